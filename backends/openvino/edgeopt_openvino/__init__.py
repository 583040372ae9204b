"""The OpenVINO backend of edgeopt. Constructing it imports no toolchain."""

from edgeopt_openvino.backend import OpenVINOBackend

__all__ = ["OpenVINOBackend"]
