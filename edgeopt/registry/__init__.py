"""What is installed: targets from TOML descriptors, backends from entry points."""

from edgeopt.registry.host import detect_host
from edgeopt.registry.plugins import BackendInfo, backends, find_backend
from edgeopt.registry.target_registry import find_target, targets

__all__ = ["BackendInfo", "backends", "detect_host", "find_backend", "find_target", "targets"]
