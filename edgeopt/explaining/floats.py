"""Why operators run in float: grouped by operator and root reason, with what they cost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeopt.contracts.storage import Precision
from edgeopt.explaining.findings import Evidence, Finding, Remedy
from edgeopt.explaining.replacements import replacement
from edgeopt.explaining.rows import short_name
from edgeopt.explaining.typed import deploy_option, quantization_option
from edgeopt.ir.kernel_kind import REAL_SUMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgeopt.explaining.rows import ValueRow
    from edgeopt.measure import OperatorProfile

__all__ = ["float_findings"]

_UNPLACED = re.compile(r"^(?:its (weight|output)|(\S+))(?: \S+)? has no quantization parameters$")
_KEPT = re.compile(r"^kept in float by keep_float='(.*)'$")
_LOST = "rounding would lose it"
_UNROUNDED = "it computes in float anyway, on the unrounded sums"
_NO_KERNEL = "no integer kernel"
_LITTLE = 0.02
"""Share of the time below which nothing is worth a change of the model."""


@dataclass(frozen=True)
class _Group:
    """Float operators of one name and one reason.

    Attributes:
        operator: Short name.
        reason: The root reason.
        rows: The operators, in the program's order.
    """

    operator: str
    reason: str
    rows: tuple[ValueRow, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for row in self.rows for name in (row.value, row.makes)))


def float_findings(
    rows: Sequence[ValueRow],
    precision: str,
    *,
    left: Mapping[str, str] | None = None,
    wide: bool = False,
    profile: OperatorProfile | None = None,
    elsewhere: Mapping[str, frozenset[str]] | None = None,
) -> tuple[Finding, ...]:
    """Returns why operators are float, the costliest group first.

    Args:
        rows: Of the compiled program.
        precision: What it was compressed to.
        left: Values that quantization left in float, each with why, by `edgeopt.explaining.rows.left_in_float`.
        wide: Whether the backend runs single values on 16 bits.
        profile: Operator by operator on a device; None where nothing was timed.
        elsewhere: Names of other backends to the values that are float there.
    """
    floats = [row for row in rows if row.kind == "float"]
    if not floats:
        return ()
    if not Precision(precision).is_integer:
        return (_whole(floats, precision),)
    groups = [_Group(*key, tuple(each)) for key, each in _grouped(floats, rows, left or {}).items()]
    costs = {id(group): _cost(group, rows, profile) for group in groups}
    groups.sort(key=lambda group: (-costs[id(group)].share, -len(group.rows)))
    patterns = [match[1] for group in groups if (match := _KEPT.match(group.reason))]
    return tuple(
        _finding(
            group, costs[id(group)], tuple(_remedies(group, elsewhere or {}, patterns, wide=wide))
        )
        for group in groups
    )


def _whole(floats: Sequence[ValueRow], precision: str) -> Finding:
    weights = Precision(precision).has_integer_weights
    effect = (
        "weights are stored as integers, activations are not rounded" if weights else "no value"
    )
    sentence = (
        f"The precision is {precision}: {effect}."
        if weights
        else f"The precision is {precision}: {effect} has quantization parameters."
    )
    return Finding(
        kind="float",
        title=f"All {len(floats)} operators compute in float",
        sentences=(sentence,),
        evidence=(Evidence("operators in float", len(floats)),),
        remedy=(
            Remedy(
                "Round activations too; that takes real inputs to calibrate with.",
                *deploy_option("precision", "int8", flag="--precision"),
            ),
        ),
        nodes=tuple(row.value for row in floats),
    )


def _grouped(
    floats: Sequence[ValueRow], rows: Sequence[ValueRow], left: Mapping[str, str]
) -> dict[tuple[str, str], list[ValueRow]]:
    by_name = {row.value: row for row in rows}
    by_name |= {row.makes: row for row in rows if row.makes != row.value}  # a fused activation
    groups: dict[tuple[str, str], list[ValueRow]] = {}
    for row in floats:
        key = (short_name(row.operator), _root(row, by_name, left))
        groups.setdefault(key, []).append(row)
    return groups


def _root(row: ValueRow, by_name: Mapping[str, ValueRow], left: Mapping[str, str]) -> str:
    """Returns a reason without names: what reads a float value is float because of what made that."""
    one, seen = row, {row.value}
    while not _lost(one, left) and _UNPLACED.match(one.reason):
        makers = [by_name[name] for name in one.inputs if name in by_name]
        before = [m for m in makers if m.kind == "float" and m.value not in seen]
        if not before:
            unrounded = [m for m in makers if m.reason == REAL_SUMS]
            if unrounded:
                return f"{_UNROUNDED} of {short_name(unrounded[0].operator)}"
            break
        one = before[0]
        seen.add(one.value)
    reason = _lost(one, left) or _without_names(one.reason)
    if one is row:
        return reason
    return f"it reads what {short_name(one.operator)} makes, which is float: {reason}"


def _lost(row: ValueRow, left: Mapping[str, str]) -> str:
    why = left.get(row.makes) or left.get(row.value)
    return f"{_LOST}: {why}" if why else ""


def _without_names(reason: str) -> str:
    match = _UNPLACED.match(reason)
    if match is None:
        return reason
    subject = f"its {match[1]}" if match[1] else "one of its inputs"
    return f"{subject} has no quantization parameters"


@dataclass(frozen=True)
class _Cost:
    """What a group takes: of the time where that was measured, else of the multiply-adds."""

    share: float
    measured: bool
    time_ms: float = 0.0

    def sentence(self) -> str:
        if self.measured:
            return (
                f"{self.share:.1%} of the operators' time is spent there ({self.time_ms:.3g} ms)."
            )
        if not self.share:
            return "No multiply-add is in it; the time was not measured."
        return f"{self.share:.1%} of the multiply-adds are in it; the time was not measured."

    def evidence(self) -> Evidence:
        basis = "measured" if self.measured else "counted"
        what = "share of the operators' time" if self.measured else "share of the multiply-adds"
        return Evidence(what, 100 * self.share, "%", basis=basis)  # type: ignore[arg-type]


def _cost(group: _Group, rows: Sequence[ValueRow], profile: OperatorProfile | None) -> _Cost:
    if profile is None or not profile.sum_ms:
        total = sum(row.macs for row in rows) or 1
        return _Cost(sum(row.macs for row in group.rows) / total, measured=False)
    names = set(group.names)
    times = [one.time_ms for one in profile.operators if one.values and one.values[0] in names]
    return _Cost(sum(times) / profile.sum_ms, measured=True, time_ms=sum(times))


def _finding(group: _Group, cost: _Cost, remedy: tuple[Remedy, ...]) -> Finding:
    count = len(group.rows)
    many = f"{count} × {group.operator} are float" if count > 1 else f"{group.operator} is float"
    places = dict.fromkeys(row.place for row in group.rows)
    return Finding(
        kind="float",
        title=f"{many}: {group.reason}",
        sentences=(cost.sentence(), *_worth(cost)),
        evidence=(
            cost.evidence(),
            *(Evidence("float operator", group.operator, place=place) for place in places),
        ),
        remedy=remedy,
        nodes=group.names,
    )


def _worth(cost: _Cost) -> Iterator[str]:
    if cost.measured and cost.share < _LITTLE:
        yield "So little is not worth a change of the model."


def _remedies(
    group: _Group,
    elsewhere: Mapping[str, frozenset[str]],
    kept: Sequence[str],
    *,
    wide: bool,
) -> Iterator[Remedy]:
    own = _KEPT.match(group.reason)
    if own:
        others = sorted({pattern for pattern in kept if pattern != own[1]})
        yield Remedy(
            f"Leave {own[1]!r} out of keep_float.", *quantization_option("keep_float", others)
        )
        return
    if wide and group.reason.startswith(_LOST):
        bits = {row.makes: {"bits": 16} for row in group.rows}
        yield Remedy("Give it 16 bits.", *quantization_option("overrides", bits))
    if group.reason.startswith(_UNROUNDED):
        yield Remedy(
            "Round those sums; see what that loses.", *quantization_option("real_sums", "off")
        )
    for backend, floats in elsewhere.items():
        fewer = sum(row.value not in floats and row.makes not in floats for row in group.rows)
        if fewer:
            yield Remedy(
                f"{backend} runs {fewer} of {len(group.rows)} on integers.",
                *deploy_option("backend", backend, flag="--backend"),
            )
    instead = replacement(group.operator)
    if instead and group.reason.endswith(_NO_KERNEL):
        yield Remedy(f"Write what runs on integers in place of {group.operator}.", instead)
