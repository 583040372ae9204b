"""What a model looks at, by Captum: for any callable by leaving parts out, for modules by gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgeopt.errors import PluginError
from edgeopt.installation import install_command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from edgeopt.explaining.regions import Regions
    from edgeopt.gate.metrics import Arrays

__all__ = ["METHODS", "Answer", "Method", "answer_of", "gradients", "left_out"]

Method = Literal["ablation", "integrated-gradients"]

METHODS: dict[Method, str] = {
    "ablation": "feature ablation (Captum; Zeiler and Fergus, Visualizing and Understanding "
    "Convolutional Networks, 2014)",
    "integrated-gradients": "integrated gradients (Captum; Sundararajan et al., Axiomatic "
    "Attribution for Deep Networks, 2017); int8 by the straight-through estimator",
}
_STEPS = 32


@dataclass(frozen=True)
class Answer:
    """Which number of a model's outputs is traced back.

    Attributes:
        output: Place of the output.
        index: Of the number in it; None for how far the output points where it pointed on the whole input.
        direction: Of the output on the whole input, where ``index`` is None; each model has its own.
    """

    output: int
    index: int | None
    direction: np.ndarray | None = None

    def number(self, outputs: Arrays) -> float:
        """Returns the number of a call's outputs."""
        row = np.asarray(outputs[self.output], np.float64).ravel()
        if self.index is not None:
            return float(row[self.index])
        return float(row @ (row if self.direction is None else self.direction))


def answer_of(outputs: Arrays, *, output: int, by_class: bool) -> Answer:
    """Returns what is traced back: the largest score, or of values where all of them point.

    Args:
        outputs: On the whole input.
        output: Which of them.
        by_class: Whether it is one score a class.
    """
    row = np.asarray(outputs[output], np.float64).ravel()
    if by_class:
        return Answer(output, int(row.argmax()))
    length = float(np.sqrt(row @ row)) or 1.0
    return Answer(output, None, row / length)


def left_out(
    function: Callable[..., Arrays],
    sample: Arrays,
    regions: Regions,
    answer: Answer,
    *,
    token: int = 0,
) -> np.ndarray:
    """Returns by how much the answer falls where a region is left out, (regions,) float64.

    Args:
        function: Takes the arrays of a call and returns a tuple of arrays; anything that computes.
        sample: A call's inputs.
        regions: What is left out, one by one.
        answer: What is looked at.
        token: Stands for a token that is left out.

    Raises:
        PluginError: Captum is missing.
    """
    import torch  # noqa: PLC0415 (the command line reads findings without it)

    ablation = _captum().FeatureAblation(_asked(function, sample, regions.place, answer))
    array = torch.from_numpy(np.ascontiguousarray(sample[regions.place]))
    baseline = torch.from_numpy(regions.baseline(sample[regions.place], token))
    mask = torch.from_numpy(regions.mask)
    with torch.no_grad():
        attributions = ablation.attribute(array, baselines=baseline, feature_mask=mask)
    return _by_region(attributions.double().numpy(), regions, mean=True)


def gradients(
    module: torch.nn.Module, sample: Arrays, regions: Regions, answer: Answer
) -> np.ndarray:
    """Returns integrated gradients of the answer, summed over each region, (regions,) float64.

    Args:
        module: Takes a call's inputs by position; of an int8 program an `edgeopt.qat.QuantizedModule`.
        sample: A call's inputs; the one that is looked at is of real numbers.
        regions: What is looked at.
        answer: What is traced back.

    Raises:
        PluginError: Captum is missing.
    """
    import torch  # noqa: PLC0415

    tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in sample]

    def ask(changed: torch.Tensor) -> torch.Tensor:
        rows = [
            _output(module, _with(tensors, regions.place, one[None]), answer) for one in changed
        ]
        return torch.stack(rows)

    gradient = _captum().IntegratedGradients(ask)
    array = tensors[regions.place]
    baseline = torch.from_numpy(regions.baseline(sample[regions.place]))
    attributions = gradient.attribute(
        array, baselines=baseline, n_steps=_STEPS, internal_batch_size=1
    )
    return _by_region(attributions.detach().double().numpy(), regions, mean=False)


def _output(module: torch.nn.Module, inputs: Sequence[torch.Tensor], answer: Answer) -> Any:
    import torch  # noqa: PLC0415

    returned = module(*inputs)
    row = (returned if isinstance(returned, tuple) else (returned,))[answer.output].flatten()
    if answer.index is not None:
        return row[answer.index]
    return row @ torch.as_tensor(answer.direction, dtype=row.dtype)


def _with(tensors: Sequence[torch.Tensor], place: int, changed: torch.Tensor) -> list[torch.Tensor]:
    return [changed if i == place else tensor for i, tensor in enumerate(tensors)]


def _asked(
    function: Callable[..., Arrays], sample: Arrays, place: int, answer: Answer
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Returns the model as Captum calls it: from one changed input to one number."""
    import torch  # noqa: PLC0415

    def ask(changed: torch.Tensor) -> torch.Tensor:
        arrays = [a if i != place else changed.numpy() for i, a in enumerate(sample)]
        return torch.tensor([answer.number(function(*arrays))], dtype=torch.float64)

    return ask


def _by_region(attributions: np.ndarray, regions: Regions, *, mean: bool) -> np.ndarray:
    flat = regions.mask.ravel()
    sums = np.bincount(flat, weights=attributions.ravel(), minlength=regions.count)
    counts = np.bincount(flat, minlength=regions.count)
    return sums / np.maximum(counts, 1) if mean else sums


def _captum() -> Any:
    try:
        from captum import attr  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise PluginError(
            "Captum is not installed",
            where="attributions",
            hint=install_command("explain"),
        ) from error
    return attr
