"""The training loop that distillation and quantization-aware training share."""

from edgeopt.training.history import Epoch, History, curves_svg
from edgeopt.training.loop import Job, fit, make_accelerator
from edgeopt.training.options import TrainingOptions

__all__ = ["Epoch", "History", "Job", "TrainingOptions", "curves_svg", "fit", "make_accelerator"]
