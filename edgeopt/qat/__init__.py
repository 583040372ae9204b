"""Quantization-aware training: on the same grids that run."""

from edgeopt.qat.module import QuantizedModule
from edgeopt.qat.train import train_program

__all__ = ["QuantizedModule", "train_program"]
