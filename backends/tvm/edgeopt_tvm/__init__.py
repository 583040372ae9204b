"""The TVM backend of edgeopt. Constructing it imports no toolchain."""

from edgeopt_tvm.backend import TVMBackend

__all__ = ["TVMBackend"]
