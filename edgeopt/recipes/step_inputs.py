"""What a user gives beside model and recipe, and what each step needs of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeopt.contracts.storage import Precision
from edgeopt.data.batches import BatchInputs
from edgeopt.errors import InputError
from edgeopt.recipes.steps import (
    AnyStep,
    Distill,
    Finetune,
    Prune,
    Quantize,
    TrainQuantized,
    step_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import torch

    from edgeopt.contracts import Target
    from edgeopt.data.dataset import Dataset
    from edgeopt.ir import Program
    from edgeopt.recipes.recipe import Recipe

__all__ = ["Resources", "require_all"]


@dataclass(frozen=True)
class Resources:
    """What the steps work with; `edgeopt.compress` documents it.

    Attributes:
        example_inputs: One call's inputs.
        data: Training batches.
        loss: ``loss(output, target)``.
        calibration_data: Real inputs; None takes those of ``data``.
        evaluate: ``evaluate(model) -> float``.
        target: The device.
        teacher: What students learn from; the model itself where None was given.
        others: From a module to its programs for further shapes, with samples of each.
    """

    example_inputs: Any
    data: Iterable[Any] | None = None
    loss: Callable[[Any, Any], torch.Tensor] | None = None
    calibration_data: Iterable[Any] | None = None
    evaluate: Callable[[Any], float] | None = None
    target: Target | None = None
    teacher: torch.nn.Module | None = None
    others: Callable[[torch.nn.Module], Sequence[tuple[Program, Dataset]]] = lambda _: ()

    def inputs(self) -> Iterable[Any] | None:
        """Returns real inputs: the calibration data, or the inputs of the training batches."""
        if self.calibration_data is not None or self.data is None:
            return self.calibration_data
        return BatchInputs(self.data)


def require_all(recipe: Recipe, resources: Resources, *, is_module: bool) -> None:
    """Checks that each step has what it needs, before any work is done.

    Raises:
        InputError: Something is missing; all of it is named, with what to pass.
    """
    lacking = [
        (f"steps[{place}] ({step_name(step)}) {what}", hint)
        for place, step in enumerate(recipe.steps)
        for what, hint in _lacking(step, resources, is_module=is_module)
    ]
    if lacking:
        hints = list(dict.fromkeys(hint for _, hint in lacking))
        raise InputError(
            "; ".join(what for what, _ in lacking),
            where=f"recipe {recipe.name}".strip(),
            hint="; ".join(hints),
        )


_DATA = "data=a DataLoader or a list of batches (inputs, target)"
_INPUTS = "calibration_data=about 100 real inputs, or data="
_LOSS = "loss=a function of (output, target), for example torch.nn.functional.cross_entropy"


def _lacking(step: AnyStep, resources: Resources, *, is_module: bool) -> Iterator[tuple[str, str]]:
    if step.level == "module" and not is_module:
        yield "works on a torch module, and a Program was given", "pass the module"
    if isinstance(step, Prune):
        yield from _lacking_to_prune(step, resources)
    elif isinstance(step, (Distill, Finetune, TrainQuantized)) and resources.data is None:
        yield "needs training data", f"pass {_DATA}"
    if (
        isinstance(step, Quantize)
        and Precision(step.precision).needs_calibration
        and resources.inputs() is None
    ):
        yield "needs to see real inputs", f"pass {_INPUTS}"
    if isinstance(step, Finetune) and resources.loss is None and not _own_loss(resources):
        yield "needs a loss", f"pass {_LOSS}"
    alone = resources.teacher is None and not is_module
    if isinstance(step, TrainQuantized) and resources.loss is None and alone:
        yield "needs a loss or a teacher", f"pass {_LOSS}, or teacher=the float module"


def _lacking_to_prune(step: Prune, resources: Resources) -> Iterator[tuple[str, str]]:
    looks = step.importance == "activation" or step.sensitivity is not None
    if looks and resources.inputs() is None:
        what = "needs to see real inputs" if step.sensitivity is None else "needs real inputs"
        yield what, f'pass {_INPUTS}; importance = "l1" needs none'
    if step.importance == "taylor" and (resources.data is None or resources.loss is None):
        yield "ranks by gradients", f"pass {_DATA} and {_LOSS}"
    if step.latency_ms is not None and resources.target is None:
        yield "has a latency as its goal", 'pass target="rpi4", for example'
    if step.finetune is not None and resources.data is None:
        yield "trains after each of its steps", f"pass {_DATA}"


def _own_loss(resources: Resources) -> bool:
    """Whether the model itself may return a loss: batches by name, as Hugging Face takes them."""
    first = next(iter(resources.data or ()), None)
    return isinstance(first, Mapping)
