"""`edgeopt compress` and `edgeopt recipes`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeopt.cli import options as opt
from edgeopt.cli.derive import Answers, Source, taking
from edgeopt.options import CommonOptions, RecipeTraining

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.cli.sources import Source as Loaded
    from edgeopt.deployment.recipe_deployment import RecipeRun
    from edgeopt.recipes import Compressed, Recipe

__all__ = ["compress", "recipe_of", "recipes", "with_source"]


@taking(
    Source(RecipeTraining, under="training", names={"training.overrides": "override"}),
    Source(CommonOptions, only=("calibration_data", "evaluate")),
)
def compress(
    *,
    model: opt.Model,
    recipe: Annotated[
        str, typer.Option("--recipe", help="A name of `edgeopt recipes`, or a .toml file.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Program archive to write. Default: ./RECIPE.zip."),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="The device that widths and bits suit.")
    ] = None,
    train_data: opt.TrainData = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that lies there.")
    ] = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    answers: Answers,
) -> None:
    """Prune, distil and quantize a model by a recipe; write the Program, which deploy takes."""
    from edgeopt.api import compress as run_recipe  # noqa: PLC0415
    from edgeopt.cli.show import print_columns, print_json, progress_bars  # noqa: PLC0415
    from edgeopt.cli.sources import load_source  # noqa: PLC0415
    from edgeopt.errors import InputError  # noqa: PLC0415

    run = recipe_of(recipe, train_data, answers)
    if run is None:
        raise InputError("no recipe given", where="--recipe", hint="see `edgeopt recipes`")
    definition = run.chosen()
    place = output or Path(f"{definition.name or 'compressed'}.zip")
    if place.exists() and not overwrite:
        hint = "choose another name, or pass --overwrite"
        raise InputError("something lies there already", where=str(place), hint=hint)
    source = load_source(model, answers)
    run = with_source(run, source)
    with progress_bars(quiet=quiet):
        result = run_recipe(
            source.model,
            definition,
            example_inputs=source.example_inputs,
            data=run.train_data,
            calibration_data=source.calibration_data,
            evaluate=source.evaluate,
            target=target,
            loss=run.loss,
            teacher=run.teacher,
            work=run.work,
            resume=run.resume,
        )
    result.save(place)
    if json:
        print_json({**result.to_dict(), "program": str(place)})
        return
    print_columns(*_table(result))
    typer.echo(f"{result.summary}; {result.program.precision} program in {place}")


def recipes(
    *,
    name: Annotated[
        str | None, typer.Argument(help="Print one: a name, or a .toml file, which is checked.")
    ] = None,
    json: opt.Json = False,
) -> None:
    """List the built-in recipes, or print one to begin your own with."""
    from edgeopt.cli.show import print_columns, print_json, printable  # noqa: PLC0415
    from edgeopt.recipes import builtin_recipes, builtin_text, find_recipe  # noqa: PLC0415

    if name is not None:
        definition = find_recipe(name)
        if json:
            print_json(definition.to_dict())
            return
        is_file = name.endswith(".toml") or "/" in name
        typer.echo(printable(definition.to_toml() if is_file else builtin_text(name)), nl=False)
        return
    every = builtin_recipes()
    if json:
        print_json([recipe.to_dict() for recipe in every.values()])
        return
    rows = [(one.name, " -> ".join(_names(one)), one.description) for one in every.values()]
    print_columns(("recipe", "steps", "what it does"), rows)


def recipe_of(recipe: str | None, train_data: str | None, answers: Answers) -> RecipeRun | None:
    """Returns the recipe with what its steps need, checked; None where no recipe was given.

    Raises:
        InputError: Something is wrong, or is given without a recipe.
    """
    from edgeopt.cli.sources import load_data  # noqa: PLC0415
    from edgeopt.deployment.recipe_deployment import RecipeRun  # noqa: PLC0415 (torch)
    from edgeopt.errors import InputError  # noqa: PLC0415

    training = answers.loaded().get("training", {}) if recipe else {}
    if recipe is None:
        typed = [*answers.plain.get("training", {}), *answers.later.get("training", {})]
        typed = [n.replace("overrides", "override") for n in typed]
        for name in (["train-data"] if train_data else []) + typed:
            hint = "pass --recipe too, for example --recipe cnn"
            raise InputError("is for the steps of a recipe", where=f"--{name}", hint=hint)
        return None
    data = None if train_data is None else load_data(train_data)
    run = RecipeRun(recipe=recipe, train_data=data, **training)
    run.chosen()
    return run


def with_source(run: RecipeRun, source: Loaded) -> RecipeRun:
    """Returns ``run`` with what came with the model, where the options gave nothing."""
    names = ("train_data", "loss", "teacher")
    return run.replace(**{n: getattr(source, n) for n in names if getattr(run, n) is None})


def _table(made: Compressed) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
    from edgeopt.recipes.result import HEADER  # noqa: PLC0415

    return HEADER, [tuple(row) for row in made.rows()]


def _names(recipe: Recipe) -> list[str]:
    from edgeopt.recipes.steps import step_name  # noqa: PLC0415

    return [step_name(step) for step in recipe.steps]
