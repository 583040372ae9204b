"""The few nouns that core, backends, targets and devices share. No toolchain is imported here."""

from edgeopt.contracts.application import ApplicationSource, CallSource
from edgeopt.contracts.artifact import Artifact, DeviceRuntime, Wheel
from edgeopt.contracts.backend import Backend, Lowered
from edgeopt.contracts.device import Completed, Device, ForwardsPorts
from edgeopt.contracts.joining import BundledProgram, BundledPrograms, JoinsPrograms
from edgeopt.contracts.memory import (
    EstimatesMemory,
    FitsMemory,
    MemoryMoment,
    MemoryPart,
    MemoryUse,
)
from edgeopt.contracts.passes import PassSpec
from edgeopt.contracts.runner import Runner
from edgeopt.contracts.signature import Signature, TensorSpec
from edgeopt.contracts.support import NodeSupport, SupportReport
from edgeopt.contracts.target import MemoryRegion, Microcontroller, Npu, Target
from edgeopt.contracts.tuning import TunedKernel, TunesKernels, TuningEvent, TuningReport, Watch

__all__ = [
    "ApplicationSource",
    "Artifact",
    "Backend",
    "BundledProgram",
    "BundledPrograms",
    "CallSource",
    "Completed",
    "Device",
    "DeviceRuntime",
    "EstimatesMemory",
    "FitsMemory",
    "ForwardsPorts",
    "JoinsPrograms",
    "Lowered",
    "MemoryMoment",
    "MemoryPart",
    "MemoryRegion",
    "MemoryUse",
    "Microcontroller",
    "NodeSupport",
    "Npu",
    "PassSpec",
    "Runner",
    "Signature",
    "SupportReport",
    "Target",
    "TensorSpec",
    "TunedKernel",
    "TunesKernels",
    "TuningEvent",
    "TuningReport",
    "Watch",
    "Wheel",
]
