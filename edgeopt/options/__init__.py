"""Every option of edgeopt, declared once: type, bounds, default and meaning.

The Python API, the command line, recipes and the search are derived from these types. No torch here.
"""

from edgeopt.options.base import Options, all_options, field_help, options_of, refuse, split
from edgeopt.options.bundle import BundleOptions
from edgeopt.options.checks import Checks, FidelityLimits, ParityChecks, ParityLimits
from edgeopt.options.distillation import Distillation
from edgeopt.options.groups import GROUPS, Groups, refuse_unknown
from edgeopt.options.postprocess import (
    Classification,
    Columns,
    Detection,
    Embedding,
    Postprocess,
    Segmentation,
)
from edgeopt.options.preprocess import (
    IMAGENET,
    AudioPreprocess,
    LogMel,
    Preprocess,
    Preprocessing,
    TextPreprocess,
)
from edgeopt.options.pruning import PruningOptions, SparsityOptions
from edgeopt.options.qat import QatOptions
from edgeopt.options.quantization import Calibration, Override, QuantizationConfig, chosen
from edgeopt.options.recipe import RecipeTraining
from edgeopt.options.request import CommonOptions, DeployOptions, SearchOptions
from edgeopt.options.training import Training, TrainingOptions
from edgeopt.options.tuning import CompileOptions, TuneOptions

__all__ = [
    "GROUPS",
    "IMAGENET",
    "AudioPreprocess",
    "BundleOptions",
    "Calibration",
    "Checks",
    "Classification",
    "Columns",
    "CommonOptions",
    "CompileOptions",
    "DeployOptions",
    "Detection",
    "Distillation",
    "Embedding",
    "FidelityLimits",
    "Groups",
    "LogMel",
    "Options",
    "Override",
    "ParityChecks",
    "ParityLimits",
    "Postprocess",
    "Preprocess",
    "Preprocessing",
    "PruningOptions",
    "QatOptions",
    "QuantizationConfig",
    "RecipeTraining",
    "SearchOptions",
    "Segmentation",
    "SparsityOptions",
    "TextPreprocess",
    "Training",
    "TrainingOptions",
    "TuneOptions",
    "all_options",
    "chosen",
    "field_help",
    "options_of",
    "refuse",
    "refuse_unknown",
    "split",
]
