"""Single weights set to zero: anywhere, or two of every four."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgeopt.errors import InputError
from edgeopt.ir.program import Sparsity, Step
from edgeopt.ir.record import record_step

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from edgeopt.ir import Program

__all__ = ["check_pattern", "record_sparsity", "sparsify"]

_PATTERN = 4


def check_pattern(pattern: str, ratio: float | None) -> None:
    """Checks which weights are to be zero, and how many.

    Raises:
        InputError: The pattern is unknown, or the ratio does not go with it.
    """
    if pattern not in {"unstructured", "2:4"}:
        raise InputError(
            f'there is no pattern "{pattern}"', where="pattern", hint="unstructured, 2:4"
        )
    if (pattern == "2:4") != (ratio is None) or (ratio is not None and not 0 < ratio < 1):
        hint = "between 0 and 1 with unstructured; none with 2:4, which is one half"
        raise InputError(f"{ratio} does not go with {pattern}", where="ratio", hint=hint)


def sparsify(
    model: torch.nn.Module,
    *,
    ratio: float | None = None,
    pattern: str = "unstructured",
    keep: Sequence[str] = (),
) -> torch.nn.Module:
    """Returns a copy of the model with its smallest weights at zero, layer by layer.

    No shape changes: only a runtime with sparse kernels gains speed (see docs/pruning.md); a
    compressed file gains size. By magnitude, as Han et al., 2015 (arXiv:1506.02626).

    Args:
        model: The model.
        ratio: Share of each weight set to zero; for ``unstructured``.
        pattern: ``unstructured`` or ``2:4`` (two of every four along the input channels).
        keep: Names of layers, or of modules around them, to leave as they are.

    Raises:
        InputError: The pattern is unknown, or the ratio does not go with it.
    """
    from torch import nn  # noqa: PLC0415

    check_pattern(pattern, ratio)
    copied, layers = copy.deepcopy(model), 0
    for name, layer in copied.named_modules():
        if not isinstance(layer, (nn.Linear, nn.modules.conv._ConvNd)) or _held(name, keep):  # noqa: SLF001
            continue
        mask = _two_of_four(layer.weight) if ratio is None else _smallest(layer.weight, ratio)
        if mask is not None:
            layer.weight.data.mul_(mask)
            layers += 1
    settings = {"pattern": pattern} if ratio is None else {"pattern": pattern, "ratio": ratio}
    record_step(copied, Step("sparsify", settings, {"layers": layers}))
    return copied


def _held(name: str, keep: Sequence[str]) -> bool:
    return any(name == k or name.startswith(f"{k}.") for k in keep)


def _smallest(weight: torch.Tensor, ratio: float) -> torch.Tensor:
    import torch  # noqa: PLC0415

    mask = torch.ones(weight.numel())
    mask[weight.detach().abs().flatten().argsort()[: int(ratio * weight.numel())]] = 0
    return mask.reshape(weight.shape)


def _two_of_four(weight: torch.Tensor) -> torch.Tensor | None:
    import torch  # noqa: PLC0415

    if weight.shape[1] % _PATTERN:
        return None
    rows = weight.detach().abs().movedim(1, -1)
    fours = rows.reshape(-1, _PATTERN)
    mask = torch.ones_like(fours).scatter_(1, fours.argsort(1)[:, :2], 0.0)
    return mask.reshape(rows.shape).movedim(-1, 1)


def record_sparsity(program: Program, *, least: float = 0.25) -> Program:
    """Returns the program with each weight's sparsity measured and written in its table.

    Args:
        program: The program.
        least: Weights with a smaller share of zeros are not listed.
    """
    found: dict[str, Any] = {}
    for name, tensor in program.constants.items():
        if tensor.dim() < 2 or not tensor.numel():  # noqa: PLR2004 (weights are matrices or more)
            continue
        density = float((tensor != 0).sum()) / tensor.numel()
        if 1 - density >= least:
            found[name] = Sparsity("2:4" if _is_two_of_four(tensor) else "unstructured", density)
    step = program.with_step("record_sparsity", {"least": least}, {"weights": len(found)})
    return replace(step, sparsity={**program.sparsity, **found})


def _is_two_of_four(tensor: torch.Tensor) -> bool:
    if tensor.shape[1] % _PATTERN:
        return False
    fours = (tensor != 0).movedim(1, -1).reshape(-1, _PATTERN)
    return int(fours.sum(1).max()) <= 2  # noqa: PLR2004 (two of four)
