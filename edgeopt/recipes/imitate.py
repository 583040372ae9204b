"""Quantization-aware training without labels: the float model's answers are the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.data.batches import split_batch
from edgeopt.data.calls import call_model
from edgeopt.distillation.logits import class_axis, find_logits
from edgeopt.distillation.losses import hinton_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["imitating"]

TEMPERATURE = 4.0


def imitating(
    teacher: torch.nn.Module, data: Iterable[Any]
) -> tuple[Iterable[Any], Callable[[Any, Any], torch.Tensor]]:
    """Returns batches whose target is their inputs, and the loss against what ``teacher`` says."""

    def loss(output: Any, inputs: Any) -> torch.Tensor:
        was = teacher.training
        with torch.no_grad():
            taught = call_model(teacher.eval(), inputs, named=teacher)
        teacher.train(was)
        student, target = find_logits(output, "student"), find_logits(taught, "teacher")
        return hinton_loss(student, target, TEMPERATURE, axis=class_axis(student), mask=None)

    return _Paired(data), loss


class _Paired:
    """Batches as ``(inputs, inputs)``; sampler and generator are those of the data."""

    def __init__(self, data: Iterable[Any]) -> None:
        self._data = data

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._data, name)

    def __len__(self) -> int:
        return len(self._data)  # type: ignore[arg-type]  # TypeError says that there is none

    def __iter__(self) -> Iterator[Any]:
        for batch in self._data:
            inputs = split_batch(batch)[0]
            yield inputs, inputs
