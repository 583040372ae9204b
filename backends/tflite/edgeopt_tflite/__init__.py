"""The TFLite backend of edgeopt. Constructing it imports no toolchain."""

from edgeopt_tflite.backend import TFLiteBackend

__all__ = ["TFLiteBackend"]
