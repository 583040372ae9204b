"""Moves scales by at most a thousandth so that no integer result can lie near a rounding tie.

A kernel rounds ``sum * m`` with the multiplier ``m = input scale * weight scale / output scale``.
Runtimes compute it in float32, in fixed point or in float64, and where it lies close to a tie
(…,5) they disagree by one step. That is rare, but each such step changes the sums of the next
layer: after fifty layers two correct runtimes differ in half of their values. With ``m = k / d``
and ``d`` odd, ``sum * m`` is a whole number of d-ths and stays at least ``1 / (2 d)`` away from
every tie, which is more than any of these computations errs. All then give the same integers.

Requires: an int8 program. Ensures: its weights' integers are what they were; scales differ by at
most `TOLERANCE` (`WIDEST` times that at an add); biases are rounded to their new step.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir import ops
from edgeopt.ir.edit import Editor
from edgeopt.ir.operators import WEIGHTED, traits_of
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass

if TYPE_CHECKING:
    from edgeopt.ir.quant import QuantSpec

__all__ = ["TOLERANCE", "may_tie", "odd_fraction", "parameter_groups", "separate_ties"]

aten = torch.ops.aten

TOLERANCE = 1e-3
"""Largest relative change of a scale: an eighth of a step at the end of the grid."""

WIDEST = 4
"""How many times `TOLERANCE` the scale of an add may move where no fraction is nearer."""

LARGEST_DENOMINATOR = 4095
LARGEST_SUM_DENOMINATOR = 255
CHUNK = 256


@graph_pass()
def separate_ties(program: Program) -> Program:
    """Returns ``program`` with scales at which all runtimes round alike."""
    if not program.precision.is_integer:
        return program
    work = _Work(program)
    for node in list(work.editor.graph.nodes):
        work.elementwise(node)
    work.write_parameters()
    for node in list(work.editor.calls(*WEIGHTED)):
        work.layer(node)
    effect = {"kernels": work.done, "left": work.left, "largest_change": work.largest}
    return work.editor.finish(Step("separate_ties", {"tolerance": TOLERANCE}, effect))


def odd_fraction(
    value: torch.Tensor, largest: int = LARGEST_DENOMINATOR, tolerance: float = TOLERANCE
) -> torch.Tensor:
    """Returns, for each positive number, the nearby fraction whose odd denominator is smallest.

    Args:
        value: float64 of shape (n,).
        largest: Largest denominator tried.
        tolerance: Largest relative distance.

    Returns:
        float64 of shape (n,); the number itself where there is no such fraction.
    """
    result = value.clone()
    indices = torch.arange(len(value))
    for first in range(1, largest + 1, CHUNK):
        d = torch.arange(first, min(first + CHUNK, largest + 1), 2, dtype=torch.float64)
        fraction = torch.round(value[indices, None] * d).clamp_min(1) / d
        near = (fraction / value[indices, None] - 1).abs() <= tolerance
        at = near.to(torch.uint8).argmax(dim=1, keepdim=True)
        hit = near.any(dim=1)
        result[indices[hit]] = fraction.gather(1, at)[hit, 0]
        indices = indices[~hit]
        if not len(indices):
            break
    return result


def may_tie(program: Program, node: torch.fx.Node) -> bool:
    """Returns whether an elementwise integer operator can lie on a tie: its grids could not be moved apart."""
    rule = traits_of(node).scale_rule
    specs = [program.quant.get(v.name) for v in ops.activation_inputs(node)]
    out = program.quant.get((ops.fused_activation(node) or node).name)
    if not rule or out is None or not all(one is not None and one.is_activation for one in specs):
        return False
    scales = [float(one.scale[0]) for one in specs if one is not None]
    if rule == "product":
        scales = [scales[0] * scales[-1]]
    elif rule != "sum":
        scales = [scales[0] / _averaged(node)]
    return not all(_is_odd(scale / float(out.scale[0])) for scale in scales)


class _Work:
    """One run of the pass: what has been fixed so far."""

    def __init__(self, program: Program) -> None:
        self.editor = Editor(program)
        self.done = self.left = 0
        self.largest = 0.0
        self._groups = parameter_groups(program)
        self._scale = {n: float(program.quant[n].scale[0]) for n in self._groups}
        self._fixed = {self._groups[n] for n in self._groups if program.quant[n].method == "fixed"}

    def elementwise(self, node: torch.fx.Node) -> None:
        """Fixes the output's scale of a mul or mean, and two of the three scales of an add."""
        out = (ops.fused_activation(node) or node).name
        rule = traits_of(node).scale_rule
        if not rule or out not in self._groups:
            return
        inputs = [v.name for v in ops.activation_inputs(node)]
        if not all(name in self._groups for name in inputs):
            return
        if rule == "sum":
            self._sum(inputs, out)
        elif rule == "product":
            self._single(out, self._scale[inputs[0]] * self._scale[inputs[-1]])
        else:
            self._single(out, self._scale[inputs[0]] / _averaged(node))
        self._fixed.update(self._groups[name] for name in (*inputs, out))

    def _single(self, out: str, real: float) -> None:
        """Makes ``real / scale(out)`` an odd fraction by moving the scale of ``out``."""
        if not self._move(out, lambda scale: real / _odd(real / scale, LARGEST_DENOMINATOR)):
            self.left += 1

    def _sum(self, inputs: list[str], out: str) -> None:
        """Makes input over output an odd fraction for both inputs, the fixed one first.

        The second is one of a multiple of the first's denominator, so that the sum's is as small as
        can be: of two that have nothing in common it is their product, and a sum may then lie nearer
        to a tie than a kernel with multipliers of 20 bits can tell.
        """
        first, last = sorted(
            (inputs[0], inputs[-1]), key=lambda n: self._groups[n] not in self._fixed
        )
        bound = LARGEST_SUM_DENOMINATOR
        moved = self._move(out, lambda s: self._scale[first] / _odd(self._scale[first] / s, bound))
        moved = moved or self._move(
            first, lambda s: self._scale[out] * _odd(s / self._scale[out], bound)
        )
        whole = _denominator(self._scale[first] / self._scale[out])
        moved &= self._move(
            last, lambda s: self._scale[out] * _odd(s * whole / self._scale[out], bound) / whole
        )
        self.left += not moved

    def _move(self, name: str, new: Any) -> bool:
        group = self._groups[name]
        if group in self._fixed:
            return False
        members = [n for n, g in self._groups.items() if g == group]
        scale = float(torch.tensor(new(self._scale[name]), dtype=torch.float32))
        self.largest = max(self.largest, abs(scale / self._scale[name] - 1))
        self._scale.update(dict.fromkeys(members, scale))
        self._fixed.add(group)
        return True

    def write_parameters(self) -> None:
        """Puts the moved scales of activations into the table, and constants onto them."""
        for name, scale in self._scale.items():
            old = self.editor.quant[name]
            self.editor.quant[name] = replace(old, scale=torch.tensor([scale], dtype=torch.float32))
            node = self.editor.node(name)
            if self.editor.is_constant(node):
                integers = old.quantize(self.editor.tensor(node))
                self.editor.set_tensor(node, self.editor.quant[name].dequantize(integers))

    def layer(self, node: torch.fx.Node) -> None:
        """Moves the weight's scales of one weighted operator, and rounds its bias to the new step."""
        value, weight, bias = ops.weighted_parts(node)
        quant = self.editor.quant
        if value.name not in quant or quant.get(weight.name) is None:
            return
        if not self.editor.is_constant(weight):  # the model computes it: a float operator
            return
        out = quant.get((ops.fused_activation(node) or node).name)
        spec = quant[weight.name]
        if out is not None and len(weight.users) == 1:
            ratio = quant[value.name].scale.double() / out.scale.double()
            multiplier = odd_fraction(spec.scale.double() * ratio)
            self._set_weight(weight, spec, (multiplier / ratio).to(torch.float32))
            self.done += 1
        if bias is not None:
            self._set_bias(bias, quant[value.name].scale * quant[weight.name].scale)

    def _set_weight(self, weight: torch.fx.Node, spec: QuantSpec, scale: torch.Tensor) -> None:
        change = float((scale / spec.scale - 1).abs().max())
        self.largest = max(self.largest, change)
        integers = spec.quantize(self.editor.tensor(weight))
        moved = replace(spec, scale=scale)
        self.editor.quant[weight.name] = moved
        self.editor.set_tensor(weight, moved.dequantize(integers))

    def _set_bias(self, bias: torch.fx.Node, step: torch.Tensor) -> None:
        self.editor.quant[bias.name] = replace(self.editor.quant[bias.name], scale=step)
        integers = torch.round(self.editor.tensor(bias).double() / step.double())
        self.editor.set_tensor(bias, (integers * step.double()).to(torch.float32))


def _odd(value: float, largest: int) -> float:
    """Returns an odd fraction near ``value``; just below 1 only 1 itself is left, and it is further."""
    tensor = torch.tensor([value], dtype=torch.float64)
    for tolerance in (TOLERANCE, 2 * TOLERANCE, WIDEST * TOLERANCE):
        fraction = float(odd_fraction(tensor, largest, tolerance)[0])
        if fraction != value:
            return fraction
    return value


def _denominator(ratio: float) -> int:
    """Returns the denominator of a ratio of scales, 1 for one that is no odd fraction."""
    odd = _is_odd(ratio)
    return Fraction(ratio).limit_denominator(LARGEST_DENOMINATOR).denominator if odd else 1


def _is_odd(ratio: float) -> bool:
    fraction = Fraction(ratio).limit_denominator(LARGEST_DENOMINATOR)
    near = abs(float(fraction) / ratio - 1) < 2.0**-22  # scales are float32
    return near and fraction.denominator % 2 == 1


def _averaged(node: torch.fx.Node) -> int:
    """Returns how many values a mean takes together."""
    value: Any = node.args[0]
    return int(value.meta["val"].numel() // node.meta["val"].numel())


def parameter_groups(program: Program) -> dict[str, str]:
    """Returns for each value on a per-tensor grid the name that stands for all of its grid."""
    groups: dict[str, str] = {}
    for node in program.graph.nodes:
        spec = program.quant.get(node.name)
        if spec is None or not spec.is_activation:
            continue
        groups[node.name] = node.name
        if traits_of(node).shares_parameters:
            for value in ops.activation_inputs(node):
                _join(groups, node.name, value.name)
    return groups


def _join(found: dict[str, str], name: str, other: str) -> None:
    if other not in found:
        return
    old, new = found[name], found[other]
    for key, group in found.items():
        if group == old:
            found[key] = new
