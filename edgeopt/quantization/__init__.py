"""Post-training quantization: one table of grids, the same for every backend."""

from edgeopt.options import Override, QuantizationConfig
from edgeopt.quantization.pipeline import quantize_program

__all__ = ["Override", "QuantizationConfig", "quantize_program"]
