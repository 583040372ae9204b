"""A program's constants as an archive stores them: integers and halves where those are all that they are.

A constant on a grid of 8 bits or fewer is saved as its integers, of fewer than 8 bits packed, and one of half precision
as halves. Where the numbers in memory are not to the bit what those stand for, the numbers themselves are saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgeopt.errors import ProgramError
from edgeopt.ir.bit_packing import pack_bits, unpack_bits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgeopt.ir.program import Program
    from edgeopt.ir.quant import QuantSpec

__all__ = ["read_constants", "stored_constants"]

_WHOLE, _STORED = "constant/", "stored/"


def stored_constants(program: Program) -> Iterator[tuple[str, torch.Tensor]]:
    """Yields name and content of a tensor for each constant of ``program``."""
    for name, tensor in program.constants.items():
        spec = program.quant.get(name)
        stored = None if spec is None else _stored(tensor, spec)
        if stored is None:
            yield _WHOLE + name, tensor.contiguous().clone()
        else:
            yield _STORED + name, stored


def read_constants(
    tensors: Mapping[str, torch.Tensor],
    quant: Mapping[str, QuantSpec],
    shapes: Mapping[str, Sequence[int] | None],
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yields name and content of each constant.

    Args:
        tensors: What `stored_constants` made, and maybe others; read from a file of anyone.
        quant: Value name to grid.
        shapes: Value name to the shape of a constant whose integers are packed, None for others.

    Raises:
        ProgramError: A tensor is not what its grid says.
    """
    for key, tensor in tensors.items():
        if key.startswith(_WHOLE):
            yield key.removeprefix(_WHOLE), tensor
        elif key.startswith(_STORED):
            name = key.removeprefix(_STORED)
            if name not in quant:
                raise ProgramError(f"constant {name!r} has no grid to be stored on")
            yield name, _real(name, tensor, quant[name], shapes[name])


def _stored(tensor: torch.Tensor, spec: QuantSpec) -> torch.Tensor | None:
    """Returns the integers or halves of ``tensor``; None where it is not to the bit what they stand for."""
    if tensor.dtype is not torch.float32 or not (spec.is_weight or spec.storage.floating):
        return None
    short = spec.quantize(tensor).contiguous()
    real = spec.dequantize(short).contiguous()
    # Compared as bits: -0.0 is not 0.0, and NaN is what it is.
    if not torch.equal(real.view(torch.int32), tensor.contiguous().view(torch.int32)):
        return None
    if spec.storage.is_packed:
        return torch.from_numpy(pack_bits(short.numpy(), spec.storage))
    return short


def _real(
    name: str, stored: torch.Tensor, spec: QuantSpec, shape: Sequence[int] | None
) -> torch.Tensor:
    """Returns the float numbers that ``stored`` stands for."""
    if not spec.is_weight and not spec.storage.floating:
        raise ProgramError(f"constant {name!r} is stored on a grid of {spec.dtype}")
    if spec.storage.is_packed:
        stored = _unpacked(name, stored, spec, shape)
    elif stored.dtype is not getattr(torch, spec.storage.container):
        raise ProgramError(f"constant {name!r} is {stored.dtype}, and its grid {spec.dtype}")
    misfit = spec.misfit(stored.shape)
    if misfit:
        raise ProgramError(f"constant {name!r} of shape {tuple(stored.shape)}: {misfit}")
    return spec.dequantize(stored)


def _unpacked(
    name: str, stored: torch.Tensor, spec: QuantSpec, shape: Sequence[int] | None
) -> torch.Tensor:
    if shape is None:
        raise ProgramError(f"constant {name!r} is packed, and its shape is missing")
    count = 1
    for size in shape:
        count *= size
    try:
        values = unpack_bits(stored.numpy(), spec.storage, count)
    except ValueError as error:
        raise ProgramError(f"constant {name!r} of shape {tuple(shape)}: {error}") from error
    return torch.from_numpy(values).reshape(tuple(shape))
