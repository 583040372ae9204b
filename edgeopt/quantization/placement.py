"""Which values of a program get an integer grid, and which of them share one.

The choice belongs to the program, not to a backend, so that every backend computes the same
numbers. Three rules:

1. Weighted operators (convolutions and linears with constant weights) take and give integers. Tables of
   embeddings are integers too: they are most of a small text model's bytes. So are the weights of
   recurrent layers, though these compute in float: what a step rounds, all steps behind it carry along.
2. What only moves values keeps the grid of its input; what integer runtimes compute element by
   element (add, mul, mean, …) is integer where all its inputs are.
3. What normalizes (layer norm, softmax, attention) stays in float, and so does the residual
   stream that leads to it: its few large values would cost all the others their precision. A
   concatenation that leads to it is part of that stream: a class token is often so small that
   the patches' grid would round it to nothing, and the norm then makes the rest of it large.
   So does what leads to a pole at 0 (a root to divide by, a divisor, a logarithm): beside a mean of
   squares every epsilon rounds to nothing, and so do small means, and a limit that keeps off 0.
   Where a logarithm is taken of a power (a front end for sounds) the operators that make it are float too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edgeopt.ir import ops
from edgeopt.ir.operators import RECURRENT, traits_of
from edgeopt.ir.recurrence import layer_of
from edgeopt.quantization.products import factors_of_products
from edgeopt.quantization.spectra import spectra

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import torch

    from edgeopt.ir.program import Program
    from edgeopt.options.kinds import RealSums

__all__ = [
    "QuantizerPlacement",
    "keeps_real",
    "leads_to_norm",
    "place_quantizers",
    "recurrent_weights",
    "rounded_sources",
]


@dataclass(frozen=True)
class QuantizerPlacement:
    """Where grids go.

    Attributes:
        weighted_operators: Names of the nodes that run on integers, in the order of the graph.
        values: Names of activations with a grid, in the order of the graph.
        group: Value name to the name that stands for all values of the same grid.
        constants: Names of float constants that need a grid (operands of add, mul, cat; tables; weights
            of recurrent layers).
        rows: Those among them with one scale a row: the weights of recurrent layers.
        factors: Names of groups that products of two computed values read: their zero point is 0 where that
            costs little.
    """

    weighted_operators: tuple[str, ...]
    values: tuple[str, ...]
    group: dict[str, str]
    constants: tuple[str, ...]
    rows: frozenset[str] = frozenset()
    factors: frozenset[str] = frozenset()

    @cached_property
    def members(self) -> dict[str, tuple[str, ...]]:
        """Group name to the names of its values, in the order of `group`."""
        members: dict[str, list[str]] = {}
        for name, group in self.group.items():
            members.setdefault(group, []).append(name)
        return {group: tuple(names) for group, names in members.items()}


def place_quantizers(
    program: Program, *, keep_float: Iterable[str] = (), real_sums: RealSums = "off"
) -> QuantizerPlacement:
    """Returns where grids go in ``program``.

    Args:
        program: In canonical form (`edgeopt.passes.run_core`).
        keep_float: Names of nodes whose operator shall stay in float.
        real_sums: Of which weighted operators the sums are not rounded (`QuantizationConfig`).
    """
    float_names = frozenset(keep_float)
    kept_weights = {_weight(n) for n in program.graph.nodes if n.name in float_names} - {None}
    nodes = [n for n in program.graph.nodes if n.op in ("placeholder", "call_function")]
    float_names |= {node.name for node in spectra(program)}
    weighted_operators = [
        n
        for n in nodes
        if _is_weighted(program, n) and _weight(n) not in kept_weights and n.name not in float_names
    ]
    on_grid = _spread(program, nodes, weighted_operators, float_names)
    if real_sums != "off":
        on_grid -= set(_unrounded(program, weighted_operators, on_grid, real_sums == "functions"))
    rows = frozenset(recurrent_weights(program, float_names))
    constants = {n for n in on_grid if n.name in program.constants}
    values = [n for n in nodes if n in on_grid and n not in constants]
    group = _groups(on_grid)
    return QuantizerPlacement(
        weighted_operators=tuple(n.name for n in weighted_operators),
        values=tuple(n.name for n in values),
        group=group | {name: name for name in rows},
        constants=tuple(n.name for n in nodes if n in constants or n.name in rows),
        rows=rows,
        factors=frozenset(group[n.name] for n in factors_of_products(program, on_grid)),
    )


def rounded_sources(node: torch.fx.Node, placement: QuantizerPlacement) -> tuple[str, ...]:
    """Returns the names of the operators that make the nearest rounded values ``node`` is computed of.

    Args:
        node: Its own grid does not count.
        placement: Where grids are.
    """
    names: dict[str, None] = {}
    waiting = list(ops.activation_inputs(node))
    seen = set(waiting)
    while waiting:
        value = waiting.pop()
        if value.op != "call_function":
            continue
        if value.name in placement.group:
            fused = [v for v in value.all_input_nodes if ops.fused_activation(v) is value]
            names |= dict.fromkeys(maker.name for maker in (*fused, value))
            continue
        new = [v for v in ops.activation_inputs(value) if v not in seen]
        seen.update(new)
        waiting += new
    return tuple(names)


def recurrent_weights(program: Program, kept: Iterable[str]) -> Iterator[str]:
    """Yields the names of weights that recurrent layers alone read: they are stored as integers.

    Args:
        program: In canonical form.
        kept: Names of nodes that shall stay in float.
    """
    in_float = frozenset(kept)
    for node in program.graph.nodes:
        if node.target not in RECURRENT:
            continue
        for weight in layer_of(node).weights:
            alone = all(u.target in RECURRENT and u.name not in in_float for u in weight.users)
            if alone and weight.name in program.constants:
                yield weight.name


def _weight(node: torch.fx.Node) -> str | None:
    """Returns the name of a weighted operator's weight: calls that share one are all float, or all integer."""
    return ops.weighted_parts(node)[1].name if ops.is_weighted(node) else None


def _is_weighted(program: Program, node: torch.fx.Node) -> bool:
    if not ops.is_weighted(node):
        return False
    _, weight, _ = ops.weighted_parts(node)
    if ops.is_transposed(node) and node.args[6] != 1:
        return False  # its weight's axis 1 counts the channels of one group only
    constant = weight.name in program.constants and ops.is_float_tensor(node)
    return constant and node.meta["val"].numel() > 0


def _spread(
    program: Program,
    nodes: list[torch.fx.Node],
    weighted_operators: list[torch.fx.Node],
    kept: frozenset[str],
) -> set[torch.fx.Node]:
    """Grows the set of values with a grid from the weighted operators until nothing changes."""
    on_grid: set[torch.fx.Node] = set()
    for node in weighted_operators:
        on_grid.add(next(ops.activation_inputs(node)))
        on_grid.add(ops.fused_activation(node) or node)
    on_grid.update(_tables(program, nodes, kept))
    inside = {n for n in weighted_operators if ops.fused_activation(n) is not None}
    size = -1
    while len(on_grid) != size:
        size = len(on_grid)
        for node in reversed(nodes):
            if node in on_grid and traits_of(node).shares_parameters:
                on_grid.update(ops.activation_inputs(node))
        for node in nodes:
            if node not in inside and node.name not in kept and _joins(program, node, on_grid):
                on_grid.add(_rounded(node, inside))
                on_grid.update(ops.activation_inputs(node))
    return on_grid


def _tables(
    program: Program, nodes: list[torch.fx.Node], kept: frozenset[str]
) -> Iterator[torch.fx.Node]:
    """Yields tables of embeddings, and what is read from them, where nothing else uses a table."""
    for node in nodes:
        if node.target is not ops.aten.embedding.default or node.name in kept:
            continue
        table: Any = node.args[0]
        alone = all(user.target is node.target for user in table.users)
        if alone and table.name in program.constants:
            yield table
            yield node


def _rounded(node: torch.fx.Node, inside: set[torch.fx.Node]) -> torch.fx.Node:
    """An add whose only user is an activation rounds after it."""
    activation = ops.fused_activation(node)
    if activation is None:
        return node
    inside.add(node)
    return activation


def _joins(program: Program, node: torch.fx.Node, on_grid: set[torch.fx.Node]) -> bool:
    # A single number gains nothing, and OpenVINO ends the process on its grid; none have no range.
    if not ops.is_float_tensor(node) or not node.meta["val"].ndim or not node.meta["val"].numel():
        return False
    inputs = list(ops.activation_inputs(node))
    live = [n for n in inputs if n.name not in program.constants]
    if not live or not all(n in on_grid for n in live):
        return False
    if node.target is ops.aten.cat.default and leads_to_norm(node):
        return False
    traits = traits_of(node)
    if traits.keeps_parameters:
        return node.target is not ops.aten.clamp.default or not _leads_to_pole(node)
    if traits.integer_kernel == "table":
        return not _only_feeds_float(node)
    joins = traits.integer_kernel in ("elementwise", "averages")
    return joins and not leads_to_norm(node) and not _leads_to_pole(node)


def leads_to_norm(node: torch.fx.Node, depth: int = 4) -> bool:
    """Returns whether a value reaches a normalization through moves and adds alone, and at most ``depth`` operators."""
    if depth == 0:
        return False
    for user in node.users:
        if traits_of(user).normalization:
            return True
        passing = traits_of(user).keeps_parameters or user.target is ops.aten.add.Tensor
        if passing and leads_to_norm(user, depth - 1):
            return True
    return False


def _leads_to_pole(node: torch.fx.Node, depth: int = 4) -> bool:
    """Whether the value reaches an operator without a result at 0 through moves, adds and means alone."""
    if depth == 0:
        return False
    for user in node.users:
        traits = traits_of(user)
        divides = user.target is ops.aten.div.Tensor and user.args[1] is node
        if divides or traits.undefined == "pole":
            return True
        passing = traits.keeps_parameters or traits.integer_kernel == "averages"
        passing |= user.target is ops.aten.add.Tensor
        if passing and _leads_to_pole(user, depth - 1):
            return True
    return False


def _unrounded(
    program: Program,
    weighted_operators: list[torch.fx.Node],
    on_grid: set[torch.fx.Node],
    functions: bool,  # noqa: FBT001 (the caller's, as it is)
) -> Iterator[torch.fx.Node]:
    """Yields the weighted operators that float operators alone read, also behind moves, and those moves."""

    def reads_real(user: torch.fx.Node) -> bool:
        return _is_function(user) if user in on_grid else keeps_real(user)

    for node in weighted_operators:
        if ops.fused_activation(node) is not None:
            continue
        values, waiting, ends = [node], [node], []
        while waiting:
            for user in waiting.pop().users:
                if user.op == "call_function" and _moves_one(user):
                    values.append(user)
                    waiting.append(user)
                else:
                    ends.append(user)
        given = any(value.name in program.output_names for value in values)
        read = ends and all(map(reads_real, ends))
        if read and not given and (functions or not any(map(_is_function, ends))):
            yield from values


def _moves_one(node: torch.fx.Node) -> bool:
    """Whether an operator only moves values, of one other: such ways never meet again. A join of several is an end."""
    return traits_of(node).shares_parameters and len(set(ops.activation_inputs(node))) == 1


def _is_function(node: torch.fx.Node) -> bool:
    """Whether runtimes look the operator up in a table, or compute it in float between two roundings."""
    traits = traits_of(node)
    return traits.integer_kernel == "table" or traits.prescribed_output is not None


def keeps_real(node: torch.fx.Node) -> bool:
    """Returns whether ``node``, where it runs in float, computes number by number or normalizes: a stream goes through it."""
    traits = traits_of(node)
    if traits.macs in ("product", "attention") or ops.is_weighted(node):
        return False
    return traits.normalization or traits.integer_kernel == "elementwise"


def _only_feeds_float(node: torch.fx.Node) -> bool:
    return all(traits_of(user).normalization for user in node.users)


def _groups(on_grid: set[torch.fx.Node]) -> dict[str, str]:
    """Returns for each value the representative of those that must share its grid."""
    parent = {n.name: n.name for n in on_grid}

    def find(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for node in sorted(on_grid, key=lambda n: n.name):
        if not traits_of(node).shares_parameters:
            continue
        for value in ops.activation_inputs(node):
            if value.name in parent:
                parent[find(node.name)] = find(value.name)
    return {name: find(name) for name in parent}
