"""Quantizes a program layer by layer, with the float and the integer program side by side.

Each node is run for all samples before the next one, once in float and once with what has been
rounded so far. So each range is found for the values that the integer program really makes, each
weight is rounded for the inputs it will really see, and each bias takes up the mean error left over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch.fx.node import map_arg

from edgeopt.contracts.storage import ACTIVATION_TYPES, INT8, Precision
from edgeopt.errors import CalibrationError
from edgeopt.ir import ops
from edgeopt.ir.operators import traits_of
from edgeopt.ir.quant import QuantSpec
from edgeopt.ir.source import source_line
from edgeopt.progress import report_progress
from edgeopt.quantization.fills import fills
from edgeopt.quantization.losses import Quality, measure_quality
from edgeopt.quantization.products import without_zero_point
from edgeopt.quantization.quantized_program import fixed_spec, weight_spec
from edgeopt.quantization.ranges import find_parameters
from edgeopt.quantization.rounding import input_moments, overflow_error, round_adaptively
from edgeopt.quantization.saturation import useful_range

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeopt.contracts.storage import StorageType
    from edgeopt.options import Override, QuantizationConfig
    from edgeopt.quantization.placement import QuantizerPlacement
    from edgeopt.quantization.views import View

__all__ = ["LayerwiseQuantizer", "QuantizationResult", "UndefinedError"]

Range = tuple[float, float]
MOST_TAPS = 4096


@dataclass
class QuantizationResult:
    """What a walk found.

    Attributes:
        grids: Group name to grid.
        weights: Weight name to its values on the grid, and the grid.
        biases: Bias name to its corrected values.
        quality: Value name to how far the integer program is from the float one there.
    """

    grids: dict[str, QuantSpec] = field(default_factory=dict)
    weights: dict[str, tuple[torch.Tensor, QuantSpec]] = field(default_factory=dict)
    biases: dict[str, torch.Tensor] = field(default_factory=dict)
    quality: dict[str, Quality] = field(default_factory=dict)


class UndefinedError(CalibrationError):
    """Rounding takes a value to where the float model is not defined: a logarithm of 0.

    Attributes:
        value: Its name.
    """

    def __init__(self, node: torch.fx.Node) -> None:
        super().__init__(
            f"{node.name} is finite in the float model, and not once its inputs are rounded to int8",
            where=source_line(node) or node.name,
            hint="its inputs lie at the end of what it is defined on: keep_float the modules that make them",
        )
        self.value = node.name


class LayerwiseQuantizer:
    """One walk through a program.

    Args:
        views: The program in float, at each shape, with the samples to carry along; memory grows with their number.
        placement: Which values get grids.
        ranges: Value name to the extremes seen over all calibration data.
        config: What to do.
        overrides: Value name to what is different for it.
    """

    def __init__(
        self,
        views: Sequence[View],
        placement: QuantizerPlacement,
        ranges: Mapping[str, Range],
        config: QuantizationConfig,
        overrides: Mapping[str, Override],
    ) -> None:
        self.views = views
        self.program = views[0].program
        self.placement = placement
        self.ranges = ranges
        self.config = config
        self.overrides = overrides
        self.known = QuantizationResult()
        self.found = QuantizationResult()
        self._weighted_names = frozenset(placement.weighted_operators)
        self._float: dict[str, list[Any]] = {}
        self._integer: dict[str, list[Any]] = {}

    def run(self, known: QuantizationResult | None = None) -> QuantizationResult:
        """Returns grids, weights and biases for the whole program.

        Args:
            known: What another run has found and this one would find again; values are computed all the same.
        """
        self.known = known or self.known
        nodes = [n for n in self.program.graph.nodes if n.op != "output"]
        uses = {n.name: len(n.users) for n in nodes}
        with torch.no_grad():
            for name in self.placement.constants:
                self._decide(name)
            for index, node in enumerate(nodes):
                if node.name not in self.program.constants:
                    self._visit(node)
                self._forget(node, uses)
                report_progress("quantize", index + 1, len(nodes))
        return self.found

    def _visit(self, node: torch.fx.Node) -> None:
        if node.op == "placeholder":
            at = self.program.input_names.index(node.name)
            self._float[node.name] = [s[at] for view in self.views for s in view.samples]
            self._integer[node.name] = list(self._float[node.name])
        else:
            self._float[node.name] = self._run(node, self._float, {})
            if node.name in self._weighted_names:
                self._weighted(node)
            else:
                self._integer[node.name] = self._run(node, self._integer, self._rounded_constants)
        if not ops.is_float_tensor(node) or not node.meta["val"].numel():
            return
        unrounded = self._integer[node.name]
        if node.name in self.placement.group:
            self._require_finite(node, unrounded)
            self._decide(node.name)
            grid = self.found.grids[self.placement.group[node.name]]
            self._integer[node.name] = [grid.fake(v) for v in unrounded]
        self.found.quality[node.name] = self._quality(node.name, unrounded)

    def _require_finite(self, node: torch.fx.Node, values: list[torch.Tensor]) -> None:
        """Refuses a value that only the rounding of what it is made of takes out of the numbers."""
        exact = self._float[node.name]
        if all(
            v.isfinite().all() or not e.isfinite().all() for v, e in zip(values, exact, strict=True)
        ):
            return
        raise UndefinedError(node)

    @cached_property
    def _rounded_constants(self) -> dict[str, torch.Tensor]:
        """The constants on their grids, which are decided before the first node."""
        grids, group = self.found.grids, self.placement.group
        return {
            name: grids[group[first]].fake(tensor)
            for first in self.placement.constants
            for name, tensor in self._constants(first).items()
        }

    def _constants(self, first: str) -> dict[str, torch.Tensor]:
        """Returns a constant of the first shape, and those that other shapes have in its place."""
        others = {
            name: view.program.constants[name]
            for view in self.views
            for name, stands_for in view.stands_for.items()
            if stands_for == first
        }
        return {first: self.program.constants[first], **others}

    def _run(
        self, node: torch.fx.Node, env: dict[str, list[Any]], instead: Mapping[str, torch.Tensor]
    ) -> list[Any]:
        results: list[Any] = []
        for view in self.views:
            own = view.program.node(node.name)
            constants = view.program.constants
            constants = {**constants, **instead} if instead else constants
            for _ in view.samples:

                def value(n: torch.fx.Node, known: Mapping[str, Any] = constants) -> Any:
                    return env[n.name][len(results)] if n.name in env else known[n.name]

                args, kwargs = map_arg((own.args, dict(own.kwargs)), value)
                results.append(own.target(*args, **kwargs))  # type: ignore[operator]
        return results

    def _weighted(self, node: torch.fx.Node) -> None:
        """Rounds the weight, corrects the bias, and computes the integer program's output."""
        x, weight, bias = ops.weighted_parts(node)
        tensor = self.program.constants[weight.name]
        if weight.name not in self.found.weights:
            known = self.known.weights.get(weight.name)
            self.found.weights[weight.name] = known or self._rounded(node, x, tensor, bias)
        instead = {weight.name: self.found.weights[weight.name][0]}
        result = self._run(node, self._integer, instead)
        if bias is not None and self.config.bias_correction != "off":
            axis = ops.result_channel_axis(node)
            error = _channel_mean(self._float[node.name], axis) - _channel_mean(result, axis)
            shape = [1] * result[0].ndim
            shape[axis] = -1
            result = [r + error.reshape(shape) for r in result]
            self.found.biases[bias.name] = self.program.constants[bias.name] + error
        self._integer[node.name] = result

    def _rounded(
        self, node: torch.fx.Node, x: torch.fx.Node, kept: torch.Tensor, bias: torch.fx.Node | None
    ) -> tuple[torch.Tensor, QuantSpec]:
        axis = ops.output_channel_axis(node)
        spec = weight_spec(
            kept,
            axis,
            bits=self.config.bits,
            bias=self.program.constants[bias.name] if bias is not None else None,
            value=self.found.grids[self.placement.group[x.name]],
        )
        taps = kept[0].numel()
        rounding = self.config.rounding
        if rounding == "nearest" or axis != 0 or (rounding == "auto" and taps > MOST_TAPS):
            return spec.fake(kept), spec
        moments = input_moments(node, self._integer[x.name])
        return round_adaptively(kept, spec, moments), spec

    def _decide(self, name: str) -> None:
        """Finds the grid of the group of ``name``, where it has none yet."""
        group = self.placement.group[name]
        if group in self.found.grids:
            return
        if group in self.known.grids:
            self.found.grids[group] = self.known.grids[group]
            return
        if name in self.placement.rows:
            self.found.grids[group] = weight_spec(self.program.constants[name], 0)
            return
        members = self.placement.members[group]
        sources = [m for m in members if self._is_source(m)] or members
        grid = self._given(members) or self._prescribed(members, sources)
        if grid is None:
            grid = self._fitted(name, members, sources)
            grid = without_zero_point(grid) if group in self.placement.factors else grid
        self.found.grids[group] = grid

    def _fitted(self, name: str, members: Sequence[str], sources: Sequence[str]) -> QuantSpec:
        """Returns the grid that fits the values of a group, the first of which to be computed is ``name``."""
        low, high = self._extremes(members, sources)
        method, storage = self._method(members), self._storage(members)
        values = self._integer.get(name)
        if len(sources) > 1 or values is None or method == "minmax" or storage != INT8:
            return QuantSpec.affine(low, high, method="minmax", storage=storage)
        flat = torch.cat([v.reshape(-1) for v in values])
        if not flat.isfinite().all():
            raise overflow_error(self.program.node(name))
        low, high = min(low, float(flat.min())), max(high, float(flat.max()))
        if method == "auto" and len(members) == 1:
            low, high = useful_range(self.program.node(name), low, high)
            flat = flat.clamp(low, high)
        return find_parameters(flat, low, high, method)

    def _given(self, members: Sequence[str]) -> QuantSpec | None:
        """Returns the grid that the user gave for one of ``members``."""
        for override in [self.overrides[m] for m in members if m in self.overrides]:
            if override.low is not None and override.high is not None:
                low, high, storage = override.low, override.high, self._storage(members)
                return QuantSpec.affine(low, high, method="given", storage=storage)
        return None

    def _prescribed(self, members: Sequence[str], sources: Sequence[str]) -> QuantSpec | None:
        """Returns the grid that the operators of all ``sources`` prescribe."""
        (target, *others) = {self.program.node(m).target for m in sources}
        return None if others else fixed_spec(target, self._storage(members))

    def _storage(self, members: Sequence[str]) -> StorageType:
        """Returns what a group is stored in: what the widest of its members' overrides says, else the precision."""
        bits = [b for m in members if m in self.overrides and (b := self.overrides[m].bits)]
        if not bits:
            return Precision(self.config.precision).activation_type
        return next(one for one in ACTIVATION_TYPES if one.bits == max(bits))

    def _method(self, members: Sequence[str]) -> str:
        methods = [self.overrides[m].ranges for m in members if m in self.overrides]
        return next((g for g in methods if g is not None), self.config.ranges)

    def _is_source(self, name: str) -> bool:
        """Whether a value is computed, not only moved or chosen from others of its group."""
        node = self.program.node(name)
        return not traits_of(node).shares_parameters

    def _extremes(self, members: Sequence[str], sources: Sequence[str]) -> Range:
        pairs = [self._extreme(name) for name in sources]
        pairs += [(fill, fill) for fill in fills(map(self.program.node, members))]
        low, high = min(p[0] for p in pairs), max(p[1] for p in pairs)
        if not all(math.isfinite(end) for pair in pairs for end in pair):
            raise overflow_error(self.program.node(members[0]))
        return low, high

    def _extreme(self, name: str) -> Range:
        if name in self.program.constants:
            tensors = self._constants(name).values()
            return min(float(t.min()) for t in tensors), max(float(t.max()) for t in tensors)
        return self.ranges[name]

    def _quality(self, name: str, unrounded: list[Any]) -> Quality:
        """Returns how far a value is from the float one; of a lost one also before it was rounded."""
        if name in self.known.quality:
            return self.known.quality[name]
        quality = self._measured(name, self._integer[name])
        if not quality.lost:
            return quality
        return replace(quality, unrounded_db=self._measured(name, unrounded).worst_db)

    def _measured(self, name: str, values: list[Any]) -> Quality:
        """Returns how far ``values`` are from the float ones at the shape where they are farthest."""
        qualities, at = [], 0
        for view in self.views:
            own = slice(at, at := at + len(view.samples))
            if view.samples:
                qualities.append(measure_quality(self._float[name][own], values[own]))
        least = (min(getattr(q, of) for q in qualities) for of in ("whole_db", "channels_db"))
        return Quality(*least)

    def _forget(self, node: torch.fx.Node, left: dict[str, int]) -> None:
        for used in node.all_input_nodes:
            left[used.name] -= 1
            if left[used.name] == 0:
                self._float.pop(used.name, None)
                self._integer.pop(used.name, None)


def _channel_mean(values: Sequence[torch.Tensor], axis: int) -> torch.Tensor:
    means = [v.movedim(axis, -1).reshape(-1, v.shape[axis]).mean(dim=0) for v in values]
    return torch.stack(means).mean(dim=0)
