"""What is known of one operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

__all__ = [
    "Captured",
    "IntegerKernel",
    "Jump",
    "Layout",
    "OperatorTraits",
    "RecurrentTraits",
    "WeightTraits",
]

IntegerKernel = Literal["", "accumulates", "elementwise", "averages", "selects", "table"]
"""How integer runtimes compute an operator; empty where they compute it in float.

``accumulates``: sums of products of integers. ``elementwise``: number by number. ``averages``: sums
divided by a count. ``selects``: chooses among its input's integers. ``table``: one entry for each
integer that the input may be."""

Layout = Literal["", "any", "channels-last", "permutes"]
"""The order of dimensions that runtimes want an operator's input in; ``any``: as it comes."""

Jump = Literal["", "order", "whole", "elsewhere"]
"""Where a result jumps: between the sides of a second operand, at whole numbers (or between them), elsewhere."""

Captured = Literal["", "rewritten", "removed"]
"""What core passes make of an operator; empty for one that stays."""


@dataclass(frozen=True, kw_only=True)
class WeightTraits:
    """What a weighted operator does with its weight; its arguments are (input, weight, bias, …).

    Attributes:
        output_axis: The axis of the weight that counts output channels.
        result_axis: The axis of the result that counts them.
        convolution: Whether it slides over its input.
        transposed: Whether each input value meets the whole kernel.
    """

    output_axis: int = 0
    result_axis: int = 1
    convolution: bool = True
    transposed: bool = False


@dataclass(frozen=True, kw_only=True)
class RecurrentTraits:
    """What a recurrent operator computes a step; its arguments are (input, states, parameters, …).

    Attributes:
        gates: How many times the hidden size its weights have rows: i, f, g, o of an LSTM, r, z, n of a GRU.
        states: How many values it carries from step to step: the hidden state, and an LSTM's cell.
        activation: The function of a plain recurrent network; empty for gated ones.
    """

    gates: int = 1
    states: int = 1
    activation: Literal["", "tanh", "relu"] = ""


@dataclass(frozen=True, kw_only=True)
class OperatorTraits:
    """One row of the table. The defaults are those of an operator that is not in it.

    Attributes:
        operator: The ATen overload (or ``getitem``); None outside of the table.
        integer_kernel: How integer runtimes compute it.
        moves: Whether it makes no new number, but reads its input in another order or shape.
        keeps_parameters: Whether the output has the quantization parameters of the inputs.
        requantizes: Whether the output may have others all the same: then it is a rounding.
        prescribed_output: Scale and zero point that integer runtimes prescribe for its output.
        weight: What a convolution or linear does with its weight; None for other operators.
        recurrent: What a recurrent layer computes a step; None for other operators.
        applies_activation: Whether its kernel applies an activation before it rounds.
        activation: Whether it is one that such a kernel applies.
        normalization: Whether it stays in float, and an integer input costs it accuracy.
        scale_rule: How its real result follows from integers: of which scales the multiplier is.
        flat: The function of one value that is flat far from zero, for `useful_range`.
        layout: The order of dimensions that its input is wanted in.
        view: Whether it leaves memory as it is, nearly always.
        casts: Whether it only changes the type of its values.
        copies: Whether it gives its input's numbers as they are, maybe of another type.
        partwise: Whether it does to imaginary parts what it does to real ones.
        jumps: Where its result jumps.
        undefined: Where it is NaN or infinite: at a ``pole`` at 0, or for ``some`` numbers, 1 not among them.
        centers: Whether it takes a mean away: rounding is beside its input's numbers, not beside what is left.
        joins: Whether it is a sum of two, which all round alike unless one is a product not rounded on the way.
        representation: Whether nobody reads its results as one score a class: they are made for another layer,
            or to be compared.
        exact: Whether all runtimes round its real results alike.
        shape_only: Whether it asks its input for its shape or type alone.
        channel_axes: Axes on which channels pass through unmixed, as far as its arguments allow;
            ``every`` where all of them do, whatever they are.
        sums: Whether it adds up numbers of its input, where neither kernel nor products say so.
        macs: Where its multiply-accumulates are counted from.
        trained_operands: The arguments whose constants are trained.
        captured: What core passes make of it.
        canonical: The overload of the same meaning that takes its place, where arguments fit.
        identity: When it hands its input on as it is; ``neutral`` is the number that does nothing.
        logic: The logical operator that it is on bool values.
    """

    operator: Any = None
    integer_kernel: IntegerKernel = ""
    moves: bool = False
    keeps_parameters: bool = False
    requantizes: bool = False
    prescribed_output: tuple[float, int] | None = None
    weight: WeightTraits | None = None
    recurrent: RecurrentTraits | None = None
    applies_activation: bool = False
    activation: bool = False
    normalization: bool = False
    scale_rule: Literal["", "sum", "product", "mean"] = ""
    flat: Callable[[torch.Tensor], torch.Tensor] | None = None
    layout: Layout = ""
    view: bool = False
    casts: bool = False
    copies: bool = False
    partwise: bool = False
    jumps: Jump = ""
    undefined: Literal["", "pole", "some"] = ""
    centers: bool = False
    joins: bool = False
    representation: bool = False
    exact: bool = False
    shape_only: bool = False
    channel_axes: tuple[Literal["every", "second", "last"], ...] = ()
    sums: bool = False
    macs: Literal["", "product", "attention", "recurrent"] = ""
    trained_operands: tuple[int, ...] = ()
    captured: Captured = ""
    canonical: Any = None
    identity: Literal["", "always", "same shape", "same dtype", "no padding", "neutral"] = ""
    neutral: float | None = None
    logic: Literal["", "and", "or"] = ""

    @property
    def shares_parameters(self) -> bool:
        """Whether input and output must have the same quantization parameters."""
        return self.keeps_parameters and not self.requantizes

    @property
    def runs_on_integers(self) -> bool:
        """Whether integers go in and come out where all values have parameters."""
        return bool(self.integer_kernel) or self.keeps_parameters

    @property
    def adds_up(self) -> bool:
        """Whether a result is a sum of many terms, which may cancel."""
        kernel = self.integer_kernel in ("accumulates", "averages")
        return kernel or self.sums or self.macs == "product"
