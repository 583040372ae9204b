"""How each weight is stored where activations stay in float: in how many bits, how many of a row share a step, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeopt.contracts.storage import INT8, Precision, weight_storage
from edgeopt.ir import ops
from edgeopt.ir.operators import WEIGHTED
from edgeopt.quantization.few_bits import GROUPS, fitting_group
from edgeopt.quantization.patterns import kept_in_float, overrides_by_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from edgeopt.ir.program import Program
    from edgeopt.options import QuantizationConfig

__all__ = ["WeightChoice", "choose_weights"]


@dataclass(frozen=True)
class WeightChoice:
    """How a weight is stored.

    Attributes:
        node: The operator that reads it first.
        bits: Bits of an integer.
        group: Inputs that share a step; None for one step a channel.
        reason: Why it has more bits than was asked for, empty where it has not.
    """

    node: torch.fx.Node
    bits: int
    group: int | None = None
    reason: str = ""

    @property
    def is_packed(self) -> bool:
        """Whether several share a byte."""
        return weight_storage(self.bits).is_packed


def choose_weights(program: Program, config: QuantizationConfig) -> dict[str, WeightChoice]:
    """Returns constant name to how it is stored, of all weights of convolutions and linears that are rounded.

    Args:
        program: In canonical form.
        config: ``int8-dynamic`` or ``int4-dynamic``.
    """
    float_names = frozenset(kept_in_float(config, program))
    overrides = overrides_by_value(config, program)
    choices: dict[str, WeightChoice] = {}
    for node, weight in _weights(program):
        if node.name in float_names or weight.name in choices:
            continue
        override = overrides.get(node.name)
        asked = override.weight_bits if override is not None else None
        if Precision(config.precision).weight_type == INT8:
            choices[weight.name] = WeightChoice(node, asked or config.bits)
        else:
            choices[weight.name] = _of_few_bits(node, weight, config, asked)
    return choices


def _weights(program: Program) -> Iterator[tuple[torch.fx.Node, torch.fx.Node]]:
    for node in program.graph.nodes:
        if node.target in WEIGHTED:
            _, weight, _ = ops.weighted_parts(node)
            if weight.name in program.constants:
                yield node, weight


def _of_few_bits(
    node: torch.fx.Node, weight: torch.fx.Node, config: QuantizationConfig, asked: int | None
) -> WeightChoice:
    eight = INT8.bits
    if asked == eight:
        return WeightChoice(node, eight, reason="asked for by overrides")
    if node.target is not ops.aten.linear.default:
        return WeightChoice(node, eight, reason="a convolution: groups are of a linear's inputs")
    if any(user.target is not node.target for user in weight.users):
        return WeightChoice(node, eight, reason="another operator reads it too")
    inputs = int(weight.meta["val"].shape[1])
    group = fitting_group(inputs, config.group)
    if group is None:
        reason = f"{inputs} inputs are no multiple of {min(GROUPS)}"
        return WeightChoice(node, eight, reason=reason)
    return WeightChoice(node, asked or config.bits, group if group < inputs else None)
