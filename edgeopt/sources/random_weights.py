"""Untrained weights that behave like learnt ones, as far as arithmetic goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.sources.weights import seeded

if TYPE_CHECKING:
    import torch

__all__ = ["settle"]

PASSES, BATCH = 3, 2


def settle(model: torch.nn.Module, example_inputs: tuple[torch.Tensor, ...], seed: int) -> None:
    """Lets batch norms see a few batches of noise: without, the signal of deep networks grows or dies.

    Args:
        model: A module that was just built; it is in eval mode afterwards.
        example_inputs: One sample; noise of its shape is drawn.
        seed: Of the noise.
    """
    import torch  # noqa: PLC0415 (heavy)

    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]  # noqa: SLF001
    model.eval()
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches: a momentum of 0.03 would hardly see three
        norm.train()
    with seeded(seed), torch.no_grad():
        for _ in range(PASSES):
            model(*(_noise(one) for one in example_inputs))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()


def _noise(example: torch.Tensor) -> torch.Tensor:
    """Returns a batch of spots, large and small, of the shape of ``example``, (1, channels, height, width)."""
    import torch  # noqa: PLC0415 (heavy)

    _, channels, height, width = example.shape
    whole = torch.zeros(BATCH, channels, height, width)
    for divisor in (32, 8, 2):
        spots = torch.randn(BATCH, channels, max(1, height // divisor), max(1, width // divisor))
        whole += torch.nn.functional.interpolate(spots, size=(height, width), mode="bilinear")
    return whole / whole.std()
