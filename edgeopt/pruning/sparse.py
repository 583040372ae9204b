"""Single weights set to zero: anywhere, or two of every four."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgeopt.ir.program import Sparsity, Step
from edgeopt.ir.record import record_step
from edgeopt.options import SparsityOptions, options_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from edgeopt.ir import Program

__all__ = ["record_sparsity", "sparsify"]

_PATTERN = 4


@options_of(SparsityOptions)
def sparsify(model: torch.nn.Module, **options: Any) -> torch.nn.Module:
    """Returns a copy of the model with its smallest weights at zero, layer by layer.

    No shape changes: only a runtime with sparse kernels gains speed (see docs/pruning.md); a
    compressed file gains size. By magnitude, as Han et al., 2015 (arXiv:1506.02626).

    Args:
        model: The model.
        **options: Fields of `edgeopt.options.SparsityOptions`.

    Raises:
        ConfigError: An option is unknown or wrong.
    """
    from torch import nn  # noqa: PLC0415

    config = SparsityOptions(**options)
    ratio, keep = config.ratio, config.keep
    copied, layers = copy.deepcopy(model), 0
    for name, layer in copied.named_modules():
        if not isinstance(layer, (nn.Linear, nn.modules.conv._ConvNd)) or _held(name, keep):  # noqa: SLF001
            continue
        mask = _two_of_four(layer.weight) if ratio is None else _smallest(layer.weight, ratio)
        if mask is not None:
            layer.weight.data.mul_(mask)
            layers += 1
    settings = {"pattern": config.pattern} | ({} if ratio is None else {"ratio": ratio})
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
    table: dict[str, Any] = {}
    for name, tensor in program.constants.items():
        if tensor.dim() < 2 or not tensor.numel():  # noqa: PLR2004 (weights are matrices or more)
            continue
        density = float((tensor != 0).sum()) / tensor.numel()
        if 1 - density >= least:
            table[name] = Sparsity("2:4" if _is_two_of_four(tensor) else "unstructured", density)
    step = program.with_step("record_sparsity", {"least": least}, {"weights": len(table)})
    return replace(step, sparsity={**program.sparsity, **table})


def _is_two_of_four(tensor: torch.Tensor) -> bool:
    if tensor.shape[1] % _PATTERN:
        return False
    fours = (tensor != 0).movedim(1, -1).reshape(-1, _PATTERN)
    return int(fours.sum(1).max()) <= 2  # noqa: PLR2004 (two of four)
