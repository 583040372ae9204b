"""Classifiers whose weights no package carries: they learn photographs as the zoo's do, and see them larger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from _deployable import plausible
from _teaching import teach
from photographs import calibration_set, held_out_set
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

__all__ = ["taught"]

CHECKS = 200


class _First(nn.Module):
    """What `teach` takes: a model that returns a tuple."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.model(x),)


def taught(
    name: str, make: Callable[[], nn.Module], count: int
) -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """Returns the model, ``count`` inputs to calibrate on, and others to judge by.

    It learns at 64 pixels and works at 224: batch norms take on the statistics of the larger pictures. It is
    right less often there, so that it is judged by the float model's answers alone.
    """
    torch.manual_seed(0)
    model = make()
    plausible(model)
    teach(_First(model), name)
    calibration, checks = calibration_set(count), held_out_set(CHECKS)
    _settle(model, torch.from_numpy(calibration))
    return model.eval(), calibration, checks


def _settle(model: nn.Module, inputs: torch.Tensor) -> None:
    for norm in [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        for batch in inputs.split(25):
            model(batch)
