"""Two bundles beside each other on a device, or two measurements that were saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from edgeopt.boundary import decode_json
from edgeopt.errors import DeviceError, InputError
from edgeopt.measure.conditions import Conditions, Reading, conditions_warnings, reading_warnings
from edgeopt.measure.statistics import Latency, Ratio, ratio, ratio_of, summarize

if TYPE_CHECKING:
    from edgeopt.measure.on_device import PlacedBundle
    from edgeopt.measure.operators import OperatorProfile, OperatorTime
    from edgeopt.measure.record import Saved

__all__ = ["Comparison", "OperatorDifference", "compare_placed", "compare_saved"]


class _Side(msgspec.Struct, frozen=True):
    bundle: str
    digest: str
    samples_ns: tuple[int, ...]


class _Written(msgspec.Struct, frozen=True):
    """The JSON that ``run.py --against`` writes."""

    a: _Side
    b: _Side
    device: dict[str, Any]
    before: Conditions
    after: Conditions
    readings: tuple[Reading, ...] = ()
    asleep_ns: int | None = None


class OperatorDifference(msgspec.Struct, frozen=True):
    """What one value of the model costs in A and in B.

    Attributes:
        value: The value, or the operator's own name where none is known.
        place: Where in the model it comes from.
        a_ms: Time in A; None where A has no such operator.
        b_ms: Time in B, likewise.
        certain: Whether the ranges of the two do not overlap.
    """

    value: str
    place: str
    a_ms: float | None
    b_ms: float | None
    certain: bool

    @property
    def difference_ms(self) -> float:
        """A less B."""
        return (self.a_ms or 0.0) - (self.b_ms or 0.0)


class Comparison(msgspec.Struct, frozen=True):
    """How A relates to B.

    Attributes:
        a: Name of the first.
        b: Name of the second.
        a_latency: Of a call of the first.
        b_latency: Of a call of the second.
        ratio: Time of A over time of B; below 1 A is faster.
        how: ``interleaved`` (in turn, in one process) or ``apart`` (measured at different times).
        device: Where; both where they differ.
        operators: What each value costs, the largest difference first; empty where not measured.
        warnings: What makes it less than certain.
    """

    a: str
    b: str
    a_latency: Latency
    b_latency: Latency
    ratio: Ratio
    how: Literal["interleaved", "apart"]
    device: str
    operators: tuple[OperatorDifference, ...] = ()
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        verdict = self.ratio.verdict
        if verdict in ("faster", "slower"):
            verdict = f"{self.a} is {verdict} than {self.b}"  # type: ignore[assignment]
        return f"{verdict}: {self.a} / {self.b} = {self.ratio} on {self.device}, {self.how}"

    def to_dict(self) -> dict[str, Any]:
        """Returns all of it as plain JSON types."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def compare_placed(
    a: PlacedBundle, b: PlacedBundle, *, operators: bool = False, **how: Any
) -> Comparison:
    """Returns how two bundles on one device relate, run in turn there.

    Args:
        a: The first.
        b: The second, on the same device.
        operators: Whether to measure operator by operator too (one after the other).
        **how: Fields of `edgeopt.measure.timing.Timing`.

    Raises:
        InputError: They lie on different devices.
        DeviceError: One does not run there.
    """
    if a.device is not b.device:
        raise InputError("they lie on different devices", where="compare")
    name = a.device.name
    prefix = "the JSON cannot be read: "
    report = decode_json(a.beside(b, **how), _Written, where=name, error=DeviceError, prefix=prefix)
    if (report.a.digest, report.b.digest) != (a.bundle.digest, b.bundle.digest):
        raise DeviceError("other bundles were measured", where=name)
    differences: tuple[OperatorDifference, ...] = ()
    if operators:
        differences = _differences(a.operators(**how), b.operators(**how))
    warnings = conditions_warnings(
        report.before, report.after, cores=int(report.device.get("cores") or 1)
    )
    names = _names(report.a.bundle, report.b.bundle)
    return Comparison(
        a=names[0],
        b=names[1],
        a_latency=summarize(report.a.samples_ns),
        b_latency=summarize(report.b.samples_ns),
        ratio=ratio(report.a.samples_ns, report.b.samples_ns),
        how="interleaved",
        device=name,
        operators=differences,
        warnings=(*warnings, *reading_warnings(report.readings, report.asleep_ns)),
    )


def compare_saved(a: Saved, b: Saved) -> Comparison:
    """Returns how two saved measurements relate; nothing that slowed one down cancels out.

    Raises:
        InputError: One is of an emulated device, which has no times.
    """
    if a.profile.latency is None or b.profile.latency is None:
        raise InputError("an emulated device has no times to compare", where="compare")
    warnings = []
    if a.record.device != b.record.device:
        warnings.append(f"different devices: {a.record.device} and {b.record.device}")
    if a.record.threads != b.record.threads:
        warnings.append(f"different threads: {a.record.threads} and {b.record.threads}")
    warnings += [f"{s.record.model}: unstable" for s in (a, b) if not s.record.stable]
    both = a.operators is not None and b.operators is not None
    names = _names(a.record.model, b.record.model)
    return Comparison(
        a=names[0],
        b=names[1],
        a_latency=a.profile.latency,
        b_latency=b.profile.latency,
        ratio=ratio_of(a.profile.latency, b.profile.latency),
        how="apart",
        device=" and ".join(dict.fromkeys((a.record.device, b.record.device))),
        operators=_differences(a.operators, b.operators) if both else (),  # type: ignore[arg-type]
        warnings=tuple(warnings),
    )


def _names(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a != b else (f"{a} (A)", f"{b} (B)")


def _differences(a: OperatorProfile, b: OperatorProfile) -> tuple[OperatorDifference, ...]:
    """Returns what each value costs in both; operators without a value count by their kind."""
    ours, theirs = _by_value(a), _by_value(b)
    differences = []
    for value in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(value, []), theirs.get(value, [])
        ends = [(sum(o.low_ms for o in s), sum(o.high_ms for o in s)) for s in (one, other)]
        apart = ends[0][0] > ends[1][1] or ends[1][0] > ends[0][1]
        differences.append(
            OperatorDifference(
                value=value,
                place=(one or other)[0].place,
                a_ms=sum(o.time_ms for o in one) if one else None,
                b_ms=sum(o.time_ms for o in other) if other else None,
                certain=apart,
            )
        )
    return tuple(sorted(differences, key=lambda d: -abs(d.difference_ms)))


def _by_value(profile: OperatorProfile) -> dict[str, list[OperatorTime]]:
    """Returns the operators of each line of the model that has some; the rest by their kernel."""
    groups: dict[str, list[OperatorTime]] = {}
    for one in profile.operators:
        key = " ".join(w for w in (one.module, one.source) if w) or (
            one.values[0] if one.values else f"{one.kind}: {one.kernel}"
        )
        groups.setdefault(key, []).append(one)
    return groups
