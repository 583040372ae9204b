"""Decides which values that are joined share one grid, and which keep their own.

A concatenation of integers has one grid for all its parts, a padding one for the value and its fill. A
narrow part then has the steps of the widest one. The parts share where nobody can see that: at
a model's output no channel of a part may lose, in front of convolutions and linears the noise must
stay small beside what they compute. Else the join runs in float, and each part keeps its grid.

Where parts share, one with a grid that its operator prescribes (sigmoid, tanh) is requantized in
front of the join: an ``alias`` with the grid of all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from edgeopt.contracts.storage import INT8
from edgeopt.ir import ops
from edgeopt.ir.edit import Editor
from edgeopt.ir.operators import traits_of
from edgeopt.ir.program import Program, Step
from edgeopt.quantization.fills import fill_value, fills, is_nothing, reads_nothing_as_least
from edgeopt.quantization.placement import place_quantizers
from edgeopt.quantization.quantized_program import fixed_spec
from edgeopt.quantization.statistics import (
    ChannelStatistics,
    channel_axis,
    channel_rows,
    collect_statistics,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from edgeopt.contracts.storage import StorageType
    from edgeopt.quantization.views import View

__all__ = ["Joined", "join_parts"]

aten = torch.ops.aten

LEAST_LOSS_DB = 3.0
"""What a part may always lose: half a bit."""
OUTPUT_DB = 40.0
"""Signal to rounding noise that every channel of an output's part keeps: that of eight full bits."""
INNER_DB = 25.0
"""The same for what consumers inside the network compute, for the median channel."""
INNER_LOSS_DB = 6.0


@dataclass(frozen=True)
class Joined:
    """A program whose joins are decided.

    Attributes:
        program: With an ``alias`` wherever a value changes its grid.
        float_names: Names of nodes that stay in float.
        reasons: Name of each join in float to why.
    """

    program: Program
    float_names: tuple[str, ...]
    reasons: dict[str, str] = field(default_factory=dict)


def join_parts(
    views: Sequence[View],
    *,
    keep_float: Iterable[str] = (),
    storage: StorageType = INT8,
) -> Joined:
    """Returns the first shape's program with each join decided by the errors measured on samples.

    Args:
        views: The program in canonical form, in float, at each shape, with calibration data.
        keep_float: Names of nodes that stay in float whatever is decided here.
        storage: What activations are stored in.
    """
    program, float_names = views[0].program, tuple(keep_float)
    if not any(_is_join(n) for n in program.graph.nodes):
        return Joined(program, float_names)
    decision = _Decision(views, float_names, storage)
    while decision.cut_worst():
        pass
    return decision.written()


@dataclass(frozen=True)
class _Part:
    """What a join takes: a value that is computed, an input, a constant, or a fill."""

    name: str
    low: float
    high: float

    @property
    def width(self) -> float:
        return max(self.high, 0.0) - min(self.low, 0.0)


class _Decision:
    """The joins of one program, as far as they are decided."""

    def __init__(
        self, views: Sequence[View], float_names: Sequence[str], storage: StorageType
    ) -> None:
        self._storage = storage
        self.program = views[0].program
        self.float_names = dict.fromkeys(float_names)
        self.reasons: dict[str, str] = {}
        self._requantized = 0
        self._place()
        self._statistics = _statistics(views, self._watched())

    def _place(self) -> None:
        self._group = place_quantizers(self.program, keep_float=self.float_names).group
        self._groups: dict[str, list[str]] = {}
        for name in sorted(self._group):
            self._groups.setdefault(self._group[name], []).append(name)

    def _watched(self) -> set[str]:
        """Returns the values of all groups with a join, and the weighted operators that read them."""
        names: set[str] = set()
        for members in self._groups.values():
            if not any(_is_join(self.program.node(m)) for m in members):
                continue
            names.update(members)
            consumers = {u for m in members for u in self.program.node(m).users}
            names.update(r.name for r in consumers if ops.is_weighted(r))
        return names

    # -- deciding -----------------------------------------------------------------------------

    def cut_worst(self) -> bool:
        """Takes one join out of the integers, that which costs a part the most; False for none."""
        worst: tuple[float, str, str] | None = None
        for members in self._groups.values():
            for sensitivity in self._sensitivities(members):
                worst = sensitivity if worst is None else max(worst, sensitivity)
        if worst is None:
            return False
        _, join, reason = worst
        self.float_names[join] = None
        self.reasons[join] = reason
        self._float_from(self.program.node(join))
        self._place()
        return True

    def _sensitivities(self, members: list[str]) -> Iterator[tuple[float, str, str]]:
        nodes = [self.program.node(m) for m in members if m not in self.float_names]
        joins = [n for n in nodes if _is_join(n)]
        for join in joins:
            fill = fill_value(join)
            if fill is not None and is_nothing(fill) and not reads_nothing_as_least(join):
                yield math.inf, join.name, f"its fill of {fill:g} is on no grid"
        sides = {join.name: self._sides(join) for join in joins}
        parts = {p for every in sides.values() for side in every for p in side}
        if not parts:
            return
        shared = _Part("", min(p.low for p in parts), max(p.high for p in parts))
        for part in sorted(parts, key=lambda p: p.name):
            reason = self._sensitivity(part, shared, members)
            if reason:
                loss, join_name = max((_ratio(every, part), name) for name, every in sides.items())
                yield loss, join_name, reason

    def _sensitivity(self, part: _Part, shared: _Part, members: list[str]) -> str:
        """Returns why ``part`` cannot have the grid of ``shared``, nothing where it can."""
        if is_nothing(part.low) or is_nothing(part.high):
            return f"{part.name} goes from {part.low:g} to {part.high:g}, which is on no grid"
        loss = _db(shared.width / part.width) if part.width > 0 else 0.0
        if loss < LEAST_LOSS_DB or part.name not in self._statistics:
            return ""
        step = shared.width / self._storage.steps
        spread = self._statistics[part.name].variance
        ratios = _ratios(spread, step)
        if not len(ratios):
            return ""
        below = _moved_to(self.program.node(part.name), members)
        text = (
            f"{part.name} of {part.low:.3g} to {part.high:.3g} would lie on a grid of "
            f"{shared.low:.3g} to {shared.high:.3g}"
        )
        if not self._outputs.isdisjoint(n.name for n in below) and float(ratios.min()) < OUTPUT_DB:
            return f"{text}: {float(ratios.min()):.1f} dB in a channel of an output"
        consumers = {u for n in below for u in n.users if u.op != "output" and u not in below}
        inner = min((self._inner_db(u, ratios, step) for u in consumers), default=math.inf)
        if loss >= INNER_LOSS_DB and inner < INNER_DB:
            return f"{text}: {inner:.1f} dB where it is read"
        return ""

    @property
    def _outputs(self) -> set[str]:
        return set(self.program.output_names)

    def _inner_db(self, reader: torch.fx.Node, ratios: torch.Tensor, step: float) -> float:
        """Returns the signal of what ``reader`` computes beside noise of ``step`` in its input."""
        return _layer_db(self.program, reader, self._statistics, step, ratios)

    def _sides(self, join: torch.fx.Node) -> list[list[_Part]]:
        """Returns for each input of ``join`` the parts that it brings, and its fill as another."""
        sides = [self._parts(v) for v in ops.activation_inputs(join)]
        sides.append([_Part(f"{join.name} (fill)", f, f) for f in fills([join])])
        return [side for side in sides if side]

    def _parts(self, value: torch.fx.Node) -> list[_Part]:
        """Returns what is moved into ``value``, each once: itself where it is computed."""
        parts: list[_Part] = []
        waiting, seen = [value], {value}
        while waiting:
            node = waiting.pop()
            if _is_moved(node) and node.name not in self.float_names:
                parts += [_Part(f"{node.name} (fill)", f, f) for f in fills([node])]
                new = [v for v in ops.activation_inputs(node) if v not in seen]
                seen.update(new)
                waiting += new
                continue
            fixed = fixed_spec(node.target, self._storage)
            if fixed is not None:
                parts.append(_Part(node.name, fixed.low, fixed.high))
            elif node.name in self._statistics:
                statistics = self._statistics[node.name]
                low, high = float(statistics.low.min()), float(statistics.high.max())
                parts.append(_Part(node.name, low, high))
        return parts

    # -- writing ------------------------------------------------------------------------------

    def _float_from(self, join: torch.fx.Node) -> None:
        """Requantizes what weighted operators read of a join in float, or keeps those in float too."""
        editor = Editor(self.program)
        for value in _moved_to(join):
            for layer in [u for u in value.users if ops.is_weighted(u)]:
                if layer.args[0] is not value or layer.name in self.float_names:
                    continue
                if self._can_round(layer):
                    again = _requantize(editor, editor.node(layer.name), editor.node(value.name))
                    self._statistics[again.name] = self._statistics[value.name]
                    self._requantized += 1
                else:
                    self.float_names[layer.name] = None
        self.program = editor.finish()

    def written(self) -> Joined:
        """Returns the program with its requantizations, and what stays in float."""
        editor = Editor(self.program)
        self._requantized += self._prescribed_apart(editor)
        if not self.reasons and not self._requantized:
            return Joined(self.program, tuple(self.float_names))
        effect = {"requantized": self._requantized, "float": dict(self.reasons)}
        program = editor.finish(Step("join_parts", {}, effect))
        return Joined(program, tuple(self.float_names), dict(self.reasons))

    def _can_round(self, layer: torch.fx.Node) -> bool:
        """Whether one grid for all that ``layer`` reads leaves its outputs right."""
        value, _, _ = ops.weighted_parts(layer)
        statistics = self._statistics.get(value.name)
        if statistics is None:
            return False
        low, high = min(0.0, float(statistics.low.min())), max(0.0, float(statistics.high.max()))
        if is_nothing(low) or is_nothing(high):
            return False
        none = torch.zeros(0)
        step = (high - low) / self._storage.steps
        return _layer_db(self.program, layer, self._statistics, step, none) >= INNER_DB

    def _prescribed_apart(self, editor: Editor) -> int:
        """Requantizes values of a prescribed grid in front of joins with others."""
        count = 0
        for members in self._groups.values():
            nodes = [self.program.node(m) for m in members]
            kinds = {fixed_spec(n.target) and n.target for n in nodes if not _is_moved(n)}
            joins = [n for n in nodes if _is_join(n)]
            if kinds == {None} or (len(kinds) == 1 and not any(fills(joins))):
                continue
            for join in joins:
                for value in filter(_brings_prescribed, dict.fromkeys(ops.activation_inputs(join))):
                    _requantize(editor, editor.node(join.name), editor.node(value.name))
                    count += 1
        return count


def _statistics(views: Sequence[View], names: set[str]) -> dict[str, ChannelStatistics]:
    program = views[0].program
    nodes = {name: program.node(name) for name in names}
    axes = {k: channel_axis(n) for k, n in nodes.items() if n.meta["val"].numel() > 0}
    statistics = collect_statistics(views, axes=axes)
    for name in set(axes) & set(program.constants):
        rows = channel_rows(program.constants[name], axes[name])
        statistics[name] = ChannelStatistics.empty(rows.shape[1])
        statistics[name].add(rows)
        statistics[name].mean.zero_()  # one row has no variance, and is worth as much all the same
    return statistics


def _ratio(sides: Iterable[Sequence[_Part]], part: _Part) -> float:
    """Returns how many dB wider the widest side of a join is than the one of ``part``."""
    own = [max(p.width for p in side) for side in sides if part in side]
    widest = max(p.width for side in sides for p in side)
    return _db(widest / max(min(own), 1e-30)) if own else -math.inf


def _is_moved(node: torch.fx.Node) -> bool:
    return traits_of(node).shares_parameters


def _is_join(node: torch.fx.Node) -> bool:
    """Whether ``node`` brings values of several sources onto one grid."""
    if not _is_moved(node) or not ops.is_float_tensor(node):
        return False
    return len(set(ops.activation_inputs(node))) > 1 or fill_value(node) is not None


def _moved_to(node: torch.fx.Node, members: Sequence[str] | None = None) -> list[torch.fx.Node]:
    """Returns ``node`` and all that it is moved into, of ``members`` where given."""
    nodes, waiting = {node: None}, [node]
    while waiting:
        for user in waiting.pop().users:
            inside = members is None or user.name in members
            if inside and _is_moved(user) and user not in nodes:
                nodes[user] = None
                waiting.append(user)
    return list(nodes)


def _brings_prescribed(value: torch.fx.Node) -> bool:
    if fixed_spec(value.target) is not None:
        return True
    if not _is_moved(value) or _is_join(value):
        return False
    return any(_brings_prescribed(v) for v in ops.activation_inputs(value))


def _requantize(editor: Editor, reader: torch.fx.Node, value: torch.fx.Node) -> torch.fx.Node:
    again = editor.call(aten.alias.default, (value,), before=reader, like=reader)
    reader.replace_input_with(value, again)
    return again


def _layer_db(
    program: Program,
    reader: torch.fx.Node,
    statistics: Mapping[str, ChannelStatistics],
    step: float,
    ratios: torch.Tensor,
) -> float:
    """Returns the median over channels of signal to noise of ``step`` at what ``reader`` computes.

    For another reader than a weighted operator it is that of the value itself, given as ``ratios``.
    """
    if not ops.is_weighted(reader) or reader.name not in statistics:
        return float(ratios.median()) if len(ratios) else math.inf
    _, weight, _ = ops.weighted_parts(reader)
    if weight.name not in program.constants:
        return math.inf
    tensor, axis = program.constants[weight.name], ops.output_channel_axis(reader)
    gain = tensor.square().sum(dim=[a for a in range(tensor.ndim) if a != axis])
    spread = statistics[reader.name].variance
    if gain.numel() != spread.numel():
        gain = gain.mean().expand(spread.numel())
    channel_ratios = _ratios(spread / gain.clamp_min(1e-30), step)
    return float(channel_ratios.median()) if len(channel_ratios) else math.inf


def _ratios(spread: torch.Tensor, step: float) -> torch.Tensor:
    """Returns variance over rounding noise in dB, of the channels that are no constants."""
    live = spread > 1e-9 * float(spread.max())
    return 10 * torch.log10(spread[live] / (step * step / 12))


def _db(ratio: float) -> float:
    return 20 * math.log10(ratio) if ratio > 0 else -math.inf
