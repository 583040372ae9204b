"""Post-training quantization: one table of grids, the same for every backend."""

from edgeopt.quantization.config import PRECISIONS, Override, QuantizationConfig
from edgeopt.quantization.pipeline import quantize_program

__all__ = ["PRECISIONS", "Override", "QuantizationConfig", "quantize_program"]
