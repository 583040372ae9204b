"""Quantization-aware training: on the same grids that run."""

from edgeopt.qat.module import QuantizedModule
from edgeopt.qat.train import QatOptions, train_program

__all__ = ["QatOptions", "QuantizedModule", "train_program"]
