"""The backend for microcontrollers: a model as a C library without a runtime."""

from edgeopt_micro.backend import MicroBackend

__all__ = ["MicroBackend"]
