"""What to type for what is optional; importing this imports no toolchain."""

__all__ = ["MICRO_INSTALL", "VELA_INSTALL"]

MICRO_INSTALL = "pip install 'edgeopt-tflite[micro]'"
"""TFLite for Micro's interpreter."""
VELA_INSTALL = "pip install 'edgeopt-tflite[ethos-u]'"
"""The compiler for Ethos-U."""
