"""The training loop that distillation and quantization-aware training share."""

from edgeopt.options import TrainingOptions
from edgeopt.training.history import Epoch, History, curves_svg
from edgeopt.training.loop import Job, fit, make_accelerator

__all__ = ["Epoch", "History", "Job", "TrainingOptions", "curves_svg", "fit", "make_accelerator"]
