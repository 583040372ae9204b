"""The OpenVINO backend of edgeopt. Constructing it imports no toolchain."""

import sys

from edgeopt_openvino.backend import OpenVINOBackend

__all__ = ["OpenVINOBackend"]

# OpenVINO reports each import and each conversion over the network, with the operators that fail, and forks
# this process for each message. Without this module it does not; who has imported it already keeps it.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
