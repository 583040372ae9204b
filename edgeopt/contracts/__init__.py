"""The few nouns that core, backends, targets and devices share. No toolchain is imported here."""

from edgeopt.contracts.artifact import Artifact, DeviceRuntime, Wheel
from edgeopt.contracts.backend import Backend, CompileOptions, Lowered, Progress
from edgeopt.contracts.device import Completed, Device, ForwardsPorts
from edgeopt.contracts.runner import Runner
from edgeopt.contracts.signature import Signature, TensorSpec
from edgeopt.contracts.support import NodeSupport, SupportReport
from edgeopt.contracts.target import Target
from edgeopt.contracts.tuning import (
    TunedKernel,
    TuneOptions,
    TunesKernels,
    TuningEvent,
    TuningReport,
    Watch,
)

__all__ = [
    "Artifact",
    "Backend",
    "CompileOptions",
    "Completed",
    "Device",
    "DeviceRuntime",
    "ForwardsPorts",
    "Lowered",
    "NodeSupport",
    "Progress",
    "Runner",
    "Signature",
    "SupportReport",
    "Target",
    "TensorSpec",
    "TuneOptions",
    "TunedKernel",
    "TunesKernels",
    "TuningEvent",
    "TuningReport",
    "Watch",
    "Wheel",
]
