"""Says in plain words why a model is fast or slow, from what was measured and the descriptor."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from edgeopt.contracts.storage import Precision

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.contracts import Target
    from edgeopt.measure.operators import OperatorProfile, OperatorTime

__all__ = ["Finding", "Roof", "explain", "roof_of"]

Topic = Literal["dominates", "in float", "converts", "limits", "lacks", "beside", "try"]

_MUCH, _SOME, _NEAR = 0.2, 0.05, 0.5
_NAMED = 3


class Finding(msgspec.Struct, frozen=True):
    """One sentence, and what it is about."""

    topic: Topic
    text: str


class Roof(msgspec.Struct, frozen=True):
    """The least time that the descriptor's peak rates allow for the operators with products.

    Attributes:
        time_ms: What these operators take.
        arithmetic_ms: Least time of their multiply-adds.
        memory_ms: Least time of their bytes, if all came from memory; None where the descriptor
            has no such rate.
        cores: Cores that the rates are counted for.
    """

    time_ms: float
    arithmetic_ms: float
    memory_ms: float | None
    cores: int

    @property
    def least_ms(self) -> float:
        """The higher of the two."""
        return max(self.arithmetic_ms, self.memory_ms or 0.0)

    @property
    def reached(self) -> float:
        """Which share of the peak is reached; 1 is the roof."""
        return self.least_ms / self.time_ms if self.time_ms else 0.0


def explain(profile: OperatorProfile, target: Target) -> tuple[Finding, ...]:
    """Returns what can be said of ``profile``; nothing that was not measured or described.

    Args:
        profile: Operator by operator.
        target: Descriptor of the device that it was measured on.
    """
    if not profile.operators:
        return ()
    if not profile.sum_ms:
        text = f"{len(profile.operators)} operators, each shorter than the runtime's clock can tell"
        return (Finding("limits", text),)
    return (
        *_dominating(profile),
        *_in_float(profile),
        *_conversions(profile),
        *_limits(profile, target),
        *_lacking(profile, target),
        *_beside(profile),
        *_advice(profile, target),
    )


def roof_of(profile: OperatorProfile, target: Target) -> Roof | None:
    """Returns the roofline's least time; None where the descriptor has no rate for the products."""
    rates: dict[str, float] = {rate.what: rate.value for rate in target.rates}
    cores = _cores(profile, target)
    share = cores / max(1, target.cpu.cores)
    operators = [one for one in profile.operators if one.macs]
    needed = {"integer": "int8_gops", "float": "fp32_gflops"}
    if not operators or any(needed.get(one.kind, "") not in rates for one in operators):
        return None
    peaks = [rates[needed[one.kind]] * share * 1e6 for one in operators]
    arithmetic = sum(2 * one.macs / peak for one, peak in zip(operators, peaks, strict=True))
    memory = None
    if "memory_gb_s" in rates and all(one.bytes for one in operators):
        memory = sum(one.bytes for one in operators) / (rates["memory_gb_s"] * 1e6)
    return Roof(sum(one.time_ms for one in operators), arithmetic, memory, cores)


def _cores(profile: OperatorProfile, target: Target) -> int:
    """Returns how many cores it ran on: by its threads, else by what the runtime says."""
    threads: Any = profile.facts.get("runtime", {}).get("threads")
    count = profile.threads or (threads if isinstance(threads, int) else 0)
    return min(count, target.cpu.cores) if count else target.cpu.cores


def _dominating(profile: OperatorProfile) -> Iterator[Finding]:
    kinds: Counter[str] = Counter()
    for one in profile.operators:
        kinds[one.operator or one.kernel.partition(" ")[0] or one.kind] += one.time_ms  # type: ignore[assignment]
    name, spent = kinds.most_common(1)[0]
    yield Finding("dominates", f"{name}: {spent / profile.sum_ms:.0%} of the operators' time")
    first = profile.top(1)[0]
    if first.share >= _SOME:
        yield Finding("dominates", f"the costliest, {first.share:.0%}: {_named(first)}")


def _in_float(profile: OperatorProfile) -> Iterator[Finding]:
    if not Precision(profile.precision).has_integer_weights:
        return
    floats = sorted((o for o in profile.operators if o.kind == "float"), key=lambda o: -o.time_ms)
    spent = sum(one.time_ms for one in floats)
    if not floats or spent < _SOME * profile.sum_ms:
        return
    share = spent / profile.sum_ms
    yield Finding("in float", f"{len(floats)} operators, {share:.0%} of the time, run in float")
    for one in floats[:_NAMED]:
        why = f": {one.reason}" if one.reason else ""
        yield Finding("in float", f"{one.share:.0%} {_named(one)}{why}")


def _conversions(profile: OperatorProfile) -> Iterator[Finding]:
    for kind, words in (("conversion", "quantize and dequantize"), ("layout", "only move values")):
        spent = profile.by_kind().get(kind, 0.0)  # type: ignore[call-overload]
        if spent >= _SOME * profile.sum_ms:
            count = sum(one.kind == kind for one in profile.operators)
            text = f"{count} operators that {words}: {spent / profile.sum_ms:.0%} of the time"
            yield Finding("converts", text)


def _limits(profile: OperatorProfile, target: Target) -> Iterator[Finding]:
    roof = roof_of(profile, target)
    if roof is None:
        text = (
            f"{target.name}'s descriptor has no peak rate for it: how near it is to one is unknown"
        )
        yield Finding("limits", text)
        return
    by_memory = roof.memory_ms is not None and roof.memory_ms > roof.arithmetic_ms
    least = f"{roof.arithmetic_ms:.3g} ms of arithmetic on {roof.cores} cores"
    if roof.memory_ms is not None:
        least += f", {roof.memory_ms:.3g} ms of memory"
    text = f"products take {roof.time_ms:.3g} ms; {target.name}'s peak rates allow {least}"
    if roof.reached < _NEAR:
        text += f": {roof.reached:.0%} of the peak, so neither of them is what limits it"
    elif by_memory:
        text += f": {roof.reached:.0%} of the peak, memory-bound"
    elif roof.memory_ms is not None:
        text += f": {roof.reached:.0%} of the peak, compute-bound"
    else:
        text += f": {roof.reached:.0%} of the arithmetic peak"
    yield Finding("limits", text)


def _lacking(profile: OperatorProfile, target: Target) -> Iterator[Finding]:
    from edgeopt.gate.diagnose import missing_isa  # noqa: PLC0415 (imports the gate)

    spent = profile.by_kind().get("integer", 0.0)
    if spent < _MUCH * profile.sum_ms:
        return
    for feature in missing_isa(target):
        share = spent / profile.sum_ms
        yield Finding("lacks", f"the processor lacks {feature} ({share:.0%} of the time is 8-bit)")


def _beside(profile: OperatorProfile) -> Iterator[Finding]:
    rest = profile.model.median_ms - profile.sum_ms
    if rest > max(_MUCH / 2 * profile.model.median_ms, 0.0):
        share = rest / profile.model.median_ms
        text = f"{rest:.3g} ms of a call ({share:.0%}) are spent beside the operators"
        if profile.runtime is not None:
            edges = profile.model.median_ms - profile.runtime.median_ms
            text += f", {max(0.0, edges):.3g} of them on converting inputs and outputs"
        yield Finding("beside", text)


def _advice(profile: OperatorProfile, target: Target) -> Iterator[Finding]:
    cores = int(profile.facts.get("device", {}).get("cores") or 1)
    roof = roof_of(profile, target)
    floats = [o for o in profile.operators if o.kind == "float" and o.share >= _SOME]
    if Precision(profile.precision).is_integer and floats:
        worst = max(floats, key=lambda one: one.time_ms)
        yield Finding(
            "try", f"another operator for {worst.operator or worst.kernel} at {worst.place}"
        )
    if roof is not None and roof.reached >= _NEAR:
        yield Finding("try", "a smaller model or input: the kernels leave little to gain")
    elif roof is not None:
        yield Finding(
            "try", "backend='auto' with this device: it measures the other backends there"
        )
    if profile.threads == 1 and cores > 1:
        yield Finding("try", f"--threads {cores}: one of {cores} cores was used")
    governor = profile.facts.get("after", {}).get("governor", "")
    if governor in ("powersave", "ondemand", "conservative", "schedutil"):
        yield Finding("try", f"the governor `performance`; it is {governor}")


def _named(one: OperatorTime) -> str:
    return f"{one.operator or one.kernel} at {one.place}"
