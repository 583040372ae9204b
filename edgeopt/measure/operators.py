"""What each operator of a bundle takes on a device, and which line of the model it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec
import numpy as np

from edgeopt.boundary import decode_json, refusing
from edgeopt.errors import DeviceError
from edgeopt.measure.conditions import Conditions, Reading, conditions_warnings, reading_warnings
from edgeopt.measure.statistics import Latency, summarize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.bundles import Bundle

__all__ = ["Kind", "OperatorProfile", "OperatorTime", "Step", "traced"]

Kind = Literal["integer", "float", "conversion", "layout", "other"]

_UNIT = {
    **dict.fromkeys(("int8", "uint8", "int16"), "integer"),
    **dict.fromkeys(("float32", "float16"), "float"),
}
_ROW_KIND: dict[str, Kind] = {
    "integer": "integer",
    "float": "float",
    "moves": "layout",
    "folded": "layout",
}
"""What a node runs as (`edgeopt.ir.kernel_kind`) to what its time is spent on."""
_FAR = 0.1


class Step(msgspec.Struct, frozen=True):
    """An operator of the runtime, as it names it."""

    name: str
    kind: str
    layers: tuple[str, ...] = ()
    type: str = ""
    role: str = ""


class _Written(msgspec.Struct, frozen=True):
    """The JSON that a bundle's ``run.py --profile`` writes."""

    bundle: str
    digest: str
    inputs: str
    threads: int
    steps: tuple[Step, ...]
    steps_ns: tuple[tuple[float, ...], ...]
    statistic: str
    model_ns: tuple[int, ...]
    runtime: dict[str, Any]
    device: dict[str, Any]
    before: Conditions
    after: Conditions
    runtime_ns: tuple[int, ...] = ()
    profiled_ns: tuple[float, ...] = ()
    profiled_sum_ns: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    readings: tuple[Reading, ...] = ()
    asleep_ns: int | None = None
    requirements: dict[str, Any] = {}


class OperatorTime(msgspec.Struct, frozen=True):
    """One operator of the runtime.

    Attributes:
        name: The runtime's own name of it; may be empty.
        kernel: What the runtime says of its kernel.
        kind: ``integer``, ``float``, ``conversion`` (quantize, dequantize), ``layout`` (values are
            moved only) or ``other`` (the runtime does not say).
        time_ms: Of one call: the median over the blocks of the measurement.
        low_ms: The least block.
        high_ms: The greatest block.
        share: Of the sum of all operators.
        values: The program's values that it makes, the costliest first.
        operator: The ATen operator of the first.
        module: Path of the module in the model.
        source: ``file:line`` of the model's code.
        reason: Why it runs in float, where it does.
        macs: Multiply-adds of one call; 0 where none are known.
        bytes: What it has to read and write at least; 0 where it is not known.
    """

    name: str
    kernel: str
    kind: Kind
    time_ms: float
    low_ms: float
    high_ms: float
    share: float
    values: tuple[str, ...] = ()
    operator: str = ""
    module: str = ""
    source: str = ""
    reason: str = ""
    macs: int = 0
    bytes: int = 0

    @property
    def place(self) -> str:
        """Where in the model it comes from, as well as is known."""
        at = " ".join(word for word in (self.module, self.source) if word)
        return at or ", ".join(self.values) or self.name or "the runtime's own"


class OperatorProfile(msgspec.Struct, frozen=True):
    """What a call takes, operator by operator. Nothing of it is estimated.

    Attributes:
        bundle: Name of the bundle.
        digest: Its digest.
        device: Name of the device.
        threads: Threads that were asked for; 0 left it to the runtime.
        model: A call as it is, without the profiler.
        runtime: A call without the conversion of inputs and outputs in numpy; None where the
            runtime converts them itself.
        operators: In the order in which they run.
        statistic: What the runtime's profiler tells of a block: ``mean`` or ``midmean``.
        covered: All operators over the whole, both in the profiler's own runs; near 1 where nothing
            is missed.
        facts: ``device``, ``runtime``, and the conditions ``before`` and ``after``.
        warnings: What makes the times less than certain.
        backend: Name of the backend.
        target: Name of the target.
        precision: The precision.
    """

    bundle: str
    digest: str
    device: str
    threads: int
    model: Latency
    runtime: Latency | None
    operators: tuple[OperatorTime, ...]
    statistic: str
    covered: float
    facts: dict[str, Any]
    warnings: tuple[str, ...]
    backend: str = ""
    target: str = ""
    precision: str = ""

    @property
    def whole(self) -> Latency:
        """A call of the runtime alone, where that is known, without the profiler."""
        return self.runtime or self.model

    @property
    def sum_ms(self) -> float:
        """All operators together."""
        return sum(one.time_ms for one in self.operators)

    def by_kind(self) -> dict[Kind, float]:
        """Returns milliseconds a call for each kind of operator there is."""
        times: dict[Kind, float] = {}
        for one in self.operators:
            times[one.kind] = times.get(one.kind, 0.0) + one.time_ms
        return times

    def top(self, count: int = 10) -> list[OperatorTime]:
        """Returns the costliest operators, the costliest first."""
        return sorted(self.operators, key=lambda one: -one.time_ms)[:count]

    def to_dict(self) -> dict[str, Any]:
        """Returns all of it as plain JSON types."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {**plain, "sum_ms": self.sum_ms, "by_kind": self.by_kind()}

    @classmethod
    def from_json(cls, text: bytes | str, *, device: str, bundle: Bundle) -> Self:
        """Returns the profile in what ``run.py --profile`` wrote.

        Raises:
            DeviceError: It is not such JSON, or of another bundle.
        """
        prefix = "the profile's JSON cannot be read: "
        report = decode_json(text, _Written, where=device, error=DeviceError, prefix=prefix)
        if report.digest != bundle.digest:
            raise DeviceError("another bundle was measured", where=device)
        with refusing(device, error=DeviceError, prefix=prefix):
            return cls._made(report, device, bundle)

    @classmethod
    def _made(cls, held: _Written, device: str, bundle: Bundle) -> Self:
        names = ("device", "runtime", "before", "after", "readings")
        profile = cls(
            bundle=held.bundle,
            digest=held.digest,
            device=device,
            threads=held.threads,
            model=summarize(held.model_ns),
            runtime=summarize(held.runtime_ns) if held.runtime_ns else None,
            operators=_operators(held, bundle),
            statistic=held.statistic,
            covered=_covered(held),
            facts={name: msgspec.to_builtins(getattr(held, name)) for name in names},
            warnings=(),
            backend=bundle.manifest.backend,
            target=bundle.manifest.target.name,
            precision=bundle.manifest.precision,
        )
        return msgspec.structs.replace(profile, warnings=tuple(_warnings(held, profile)))


def _covered(held: _Written) -> float:
    pairs = [(t, w) for t, w in zip(held.profiled_sum_ns, held.profiled_ns, strict=True) if w > 0]
    if not pairs:
        raise ValueError("its profiler measured nothing")
    return float(np.median([total / whole for total, whole in pairs]))


def _operators(held: _Written, bundle: Bundle) -> tuple[OperatorTime, ...]:
    blocks = np.asarray(held.steps_ns, np.float64).reshape(-1, len(held.steps)) / 1e6
    if not blocks.size or not np.isfinite(blocks).all() or blocks.min() < 0:
        raise ValueError("its times are no times")
    middle, low, high = np.median(blocks, axis=0), blocks.min(axis=0), blocks.max(axis=0)
    total = float(middle.sum()) or 1.0
    return tuple(
        OperatorTime(
            name=step.name,
            kernel=step.kind,
            time_ms=float(middle[i]),
            low_ms=float(low[i]),
            high_ms=float(high[i]),
            share=float(middle[i]) / total,
            **origin,
        )
        for i, (step, origin) in enumerate(zip(held.steps, traced(held.steps, bundle), strict=True))
    )


def traced(steps: Sequence[Step], bundle: Bundle) -> list[dict[str, Any]]:
    """Returns for each step which values of the program it makes, and what is known of them.

    Args:
        steps: Of the runtime.
        bundle: The bundle that they are of.
    """
    origins, rows = bundle.artifact().origins, _rows(bundle)
    return [_traced(step, origins, rows) for step in steps]


def _rows(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """Returns what the report says of each value; an activation that was fused is its weighted operator's."""
    values = (bundle.report or {}).get("values", [])
    rows = {row["value"]: row for row in values}
    return {**rows, **{row["makes"]: row for row in values if row["makes"] != row["value"]}}


def _traced(step: Step, origins: dict[str, str], rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Returns which values of the program a step makes, and what is known of them."""
    names = [origins.get(layer, layer if layer in rows else "") for layer in step.layers]
    names = [name for name in dict.fromkeys([*names, origins.get(step.name, "")]) if name]
    matches = {rows[name]["value"]: rows[name] for name in names if name in rows}
    entries = sorted(matches.values(), key=lambda row: -row["macs"])
    values = tuple(dict.fromkeys([*(row["value"] for row in entries), *names]))
    kind = _kind(step, entries)
    if not entries:
        return {"values": values, "kind": kind}
    first = entries[0]
    alone = kind not in ("conversion", "layout")
    return {
        "values": values,
        "kind": kind,
        "reason": first["reason"] if kind == "float" else "",
        "macs": sum(row["macs"] for row in entries) if alone else 0,
        "bytes": first["bytes"] if alone and len(entries) == 1 else 0,
        **{key: first[key] for key in ("operator", "module", "source")},
    }


def _kind(step: Step, known: list[dict[str, Any]]) -> Kind:
    if step.role in ("conversion", "layout"):
        return step.role  # type: ignore[return-value]
    if step.type in _UNIT:
        return _UNIT[step.type]  # type: ignore[return-value]
    if known:
        return _ROW_KIND[known[0]["kind"]]
    return "other"


def _warnings(held: _Written, made: OperatorProfile) -> list[str]:
    lines = conditions_warnings(held.before, held.after, cores=int(held.device.get("cores") or 1))
    lines += [*reading_warnings(held.readings, held.asleep_ns), *held.notes]
    if abs(made.covered - 1) > _FAR:
        lines.append(
            f"the operators are {made.covered:.0%} of the whole in the profiler's own runs: it takes "
            "time of its own, or misses some"
        )
    return lines
