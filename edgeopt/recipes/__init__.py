"""Recipes: which compression steps, in which order, with what; as TOML or in Python."""

from edgeopt.recipes.find import builtin_recipes, builtin_text, find_recipe, with_overrides
from edgeopt.recipes.recipe import FORMATS, Recipe, parse_recipe, read_recipe
from edgeopt.recipes.result import Compressed, Figures, StepRecord
from edgeopt.recipes.steps import (
    STEPS,
    Distill,
    Finetune,
    Prune,
    Quantize,
    Sparsify,
    Training,
    TrainQuantized,
)

__all__ = [
    "FORMATS",
    "STEPS",
    "Compressed",
    "Distill",
    "Figures",
    "Finetune",
    "Prune",
    "Quantize",
    "Recipe",
    "Sparsify",
    "StepRecord",
    "TrainQuantized",
    "Training",
    "builtin_recipes",
    "builtin_text",
    "find_recipe",
    "parse_recipe",
    "read_recipe",
    "with_overrides",
]
