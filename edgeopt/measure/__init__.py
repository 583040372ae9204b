"""Measures: bundles on devices, their operators, and things beside each other."""

from edgeopt.measure.compare import Comparison, compare_placed, compare_saved
from edgeopt.measure.counts import OperatorCount, OperatorCounts
from edgeopt.measure.explain import Finding, explain
from edgeopt.measure.interleaved import interleave
from edgeopt.measure.on_device import PlacedBundle, Verification
from edgeopt.measure.once import profile_bundle, run_on_device, verify_on_device
from edgeopt.measure.operators import OperatorProfile, OperatorTime
from edgeopt.measure.profile import Profile
from edgeopt.measure.statistics import Latency, Ratio, ratio, ratio_of, summarize
from edgeopt.measure.throughput import Throughput

__all__ = [
    "Comparison",
    "Finding",
    "Latency",
    "OperatorCount",
    "OperatorCounts",
    "OperatorProfile",
    "OperatorTime",
    "PlacedBundle",
    "Profile",
    "Ratio",
    "Throughput",
    "Verification",
    "compare_placed",
    "compare_saved",
    "explain",
    "interleave",
    "profile_bundle",
    "ratio",
    "ratio_of",
    "run_on_device",
    "summarize",
    "verify_on_device",
]
