"""Every option of edgeopt, declared once: type, bounds, default and meaning.

The Python API, the command line, recipes and the search are derived from these types. No torch here.
"""

from edgeopt.options.base import Options, all_options, field_help, options_of, refuse, split
from edgeopt.options.bundle import BundleOptions, Preprocess
from edgeopt.options.checks import Checks, FidelityLimits, ParityChecks, ParityLimits
from edgeopt.options.distillation import Distillation
from edgeopt.options.groups import GROUPS, Groups, refuse_unknown
from edgeopt.options.pruning import PruningOptions, SparsityOptions
from edgeopt.options.qat import QatOptions
from edgeopt.options.quantization import Calibration, Override, QuantizationConfig, chosen
from edgeopt.options.recipe import RecipeTraining
from edgeopt.options.request import CommonOptions, DeployOptions, SearchOptions
from edgeopt.options.shapes import Shapes
from edgeopt.options.training import Training, TrainingOptions
from edgeopt.options.tuning import CompileOptions, TuneOptions

__all__ = [
    "GROUPS",
    "BundleOptions",
    "Calibration",
    "Checks",
    "CommonOptions",
    "CompileOptions",
    "DeployOptions",
    "Distillation",
    "FidelityLimits",
    "Groups",
    "Options",
    "Override",
    "ParityChecks",
    "ParityLimits",
    "Preprocess",
    "PruningOptions",
    "QatOptions",
    "QuantizationConfig",
    "RecipeTraining",
    "SearchOptions",
    "Shapes",
    "SparsityOptions",
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
