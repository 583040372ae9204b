"""Turns ranges, weights and biases into a program with a quantization table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.contracts.storage import INT8, INT32, Precision, weight_storage
from edgeopt.ir import ops
from edgeopt.ir.edit import Editor
from edgeopt.ir.operators import traits_of
from edgeopt.ir.quant import QuantSpec
from edgeopt.quantization.few_bits import fitted_spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeopt.contracts.storage import StorageType
    from edgeopt.ir.program import Program, Step
    from edgeopt.quantization.placement import QuantizerPlacement

__all__ = ["bias_spec", "build_quantized", "fixed_spec", "weight_spec"]

MIN_SCALE = 1e-9
LARGEST_BIAS = 2.0**29
"""Largest integer that a bias may become: a quarter of int32, the rest is for the products."""


def weight_spec(
    weight: torch.Tensor,
    axis: int,
    *,
    bits: int = 8,
    bias: torch.Tensor | None = None,
    value: QuantSpec | None = None,
) -> QuantSpec:
    """Returns the symmetric per-channel grid that spans ``weight``; of 4 bits and fewer that of least squared error.

    Args:
        weight: Float weight, channels on ``axis``.
        axis: The channel axis.
        bits: Bits to use; 7 leaves the products of older x86 room. Up to 4 the weight is stored packed.
        bias: The bias, one value a channel; a dead channel's step is widened until it fits int32.
        value: The grid of the input, needed with ``bias``.
    """
    if weight_storage(bits).is_packed and axis == 0 and weight.ndim > 1:
        spec = fitted_spec(weight.flatten(1), bits=bits)
        return replace(spec, scale=_with_room(spec.scale, bias, value))
    others = [a for a in range(weight.ndim) if a != axis]
    largest = weight.abs().amax(dim=others) if others else weight.abs()
    storage = weight_storage(bits)
    scale = (largest / storage.limits(bits)[1]).clamp_min(MIN_SCALE).to(torch.float32)
    scale = _with_room(scale, bias, value)
    zero = torch.zeros_like(scale, dtype=torch.int32)
    return QuantSpec(storage, scale, zero, axis, bits, "absmax")


def _with_room(
    scale: torch.Tensor, bias: torch.Tensor | None, value: QuantSpec | None
) -> torch.Tensor:
    """Returns the steps, as large as it takes for the bias to fit its integers."""
    if bias is None or value is None:
        return scale
    return torch.maximum(scale, bias.abs() / (value.scale * LARGEST_BIAS))


def bias_spec(value: QuantSpec, weight: QuantSpec) -> QuantSpec:
    """Returns the int32 grid of a bias: the step of the products of ``value`` and ``weight``."""
    scale = (value.scale * weight.scale).clamp_min(torch.finfo(torch.float32).tiny)
    return QuantSpec(INT32, scale, torch.zeros_like(scale, dtype=torch.int32), 0, 32, "product")


def fixed_spec(target: Any, storage: StorageType = INT8) -> QuantSpec | None:
    """Returns the grid that integer runtimes prescribe for an operator's output, or None.

    Args:
        target: The operator.
        storage: What its output is stored in; of 16 bits all that is prescribed reaches from -1 to 1.
    """
    prescribed = traits_of(target).prescribed_output
    if prescribed is None:
        return None
    scale, zero = prescribed if storage == INT8 else (2.0**-15, 0)
    return QuantSpec(
        storage,
        torch.tensor([scale]),
        torch.tensor([zero], dtype=torch.int32),
        bits=storage.bits,
        method="fixed",
    )


def build_quantized(  # noqa: PLR0913 (all that makes it)
    program: Program,
    placement: QuantizerPlacement,
    grids: Mapping[str, QuantSpec],
    weights: Mapping[str, tuple[torch.Tensor, QuantSpec]],
    biases: Mapping[str, torch.Tensor],
    step: Step,
    *,
    precision: Precision = Precision.INT8,
) -> Program:
    """Returns ``program`` with all its grids, its weights and biases rounded onto them.

    Args:
        program: The float program.
        placement: Which values get grids.
        grids: Group name to the grid of its values.
        weights: Weight name to its values (on the grid) and its grid.
        biases: Bias name to its corrected values.
        step: The entry for the history.
        precision: What it is called then.
    """
    editor = Editor(program)
    editor.constants.update(biases)
    for name in (*placement.values, *placement.constants):
        editor.quant[name] = grids[placement.group[name]]
    for name in placement.constants:
        node = editor.node(name)
        editor.set_tensor(node, editor.quant[name].fake(editor.tensor(node)))
    for name in placement.weighted_operators:
        value, weight, bias = ops.weighted_parts(editor.node(name))
        tensor, spec = weights[weight.name]
        editor.set_tensor(weight, tensor)
        editor.quant[weight.name] = spec
        if bias is not None:
            grid = bias_spec(editor.quant[value.name], spec)
            editor.quant[bias.name] = grid
            editor.set_tensor(bias, _on_int32(editor.tensor(bias), grid))
    return editor.finish(step, precision=precision)


def _on_int32(bias: torch.Tensor, grid: QuantSpec) -> torch.Tensor:
    """Rounds in float64: float32 holds no integer above 2**24."""
    return (torch.round(bias.double() / grid.scale.double()) * grid.scale.double()).to(
        torch.float32
    )
