"""Measures: bundles on devices, and things beside each other on this machine."""

from edgeopt.measure.interleaved import interleave
from edgeopt.measure.on_device import (
    PlacedBundle,
    Verification,
    profile_bundle,
    run_on_device,
    verify_on_device,
)
from edgeopt.measure.profile import Profile
from edgeopt.measure.statistics import Latency, Ratio, ratio, summarize

__all__ = [
    "Latency",
    "PlacedBundle",
    "Profile",
    "Ratio",
    "Verification",
    "interleave",
    "profile_bundle",
    "ratio",
    "run_on_device",
    "summarize",
    "verify_on_device",
]
