"""Small models out of the sample inputs of PyTorch's operator database."""

from __future__ import annotations

import random
import warnings
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils import _pytree as pytree

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Tensors = tuple[torch.Tensor, ...]

__all__ = ["Case", "Operator", "cases_of", "operators", "side_by_side"]

MOST_ELEMENTS = 16384
"""Samples with more numbers than this, inputs and results together, are left out: they say no more."""
SHUFFLES = 7
"""Inputs beside the sample's own. They hold the same numbers in another order, which keeps them in
the domain of every operator that computes number by number."""
DTYPES = (torch.float32, torch.int64, torch.bool)


@dataclass(frozen=True)
class Operator:
    """An entry of the database.

    Attributes:
        name: Its name and variant, for example ``round.decimals_3``.
        entry: torch's ``OpInfo``.
    """

    name: str
    entry: Any


@dataclass(frozen=True)
class Case:
    """A sample of an operator as a model.

    Attributes:
        operator: The operator's name.
        sample: The dtype, the position among the samples of that dtype, and which tensors are inputs.
        model: In eval mode; takes and returns tensors.
        between: Whether the operator stands between linear layers, so that int8 reaches it.
        inputs: One tuple of tensors for each time it is run.
        expected: What torch makes of each.
    """

    operator: str
    sample: str
    model: nn.Module
    inputs: tuple[Tensors, ...]
    expected: tuple[Tensors, ...]
    between: bool = False


@cache
def operators() -> dict[str, Operator]:
    """Returns every entry of the database by name. Importing it takes seconds."""
    from torch.testing._internal.common_methods_invocations import op_db  # noqa: PLC0415

    named = {}
    for entry in op_db:
        variant = entry.variant_test_name
        name = f"{entry.name}.{variant}" if variant else entry.name
        named[name] = Operator(name, entry)
    return named


def cases_of(operator: Operator, most: int) -> list[Case]:
    """Returns models of at most ``most`` samples of each dtype, spread over all of them.

    A sample with several tensors of real numbers makes two models: one that takes all of them, and one that takes
    the first and holds the others as constants, as layers hold weights. A sample of real numbers makes
    another one, with the operator between linear layers that change nothing: alone it stays in float.
    """
    cases = []
    for dtype in DTYPES:
        if dtype in operator.entry.supported_dtypes("cpu"):
            cases += _of_dtype(operator, dtype, most)
    return cases


def _of_dtype(operator: Operator, dtype: torch.dtype, most: int) -> list[Case]:
    _seed()
    cases: list[Case] = []
    distinct: dict[str, tuple[int, _Sample]] = {}
    for index, sample in enumerate(_samples(operator.entry, dtype)):
        call = _Sample.read(operator.entry, sample)
        if call is not None:
            distinct.setdefault(call.kind, (index, call))
    for index, call in _spread(list(distinct.values()), most):
        kind = str(dtype).removeprefix("torch.")
        weighted = len(call.places) > 1 and dtype.is_floating_point
        forms = ("inputs", *("constants",) * weighted, *("between",) * dtype.is_floating_point)
        for form in forms:
            case = call.case(operator.name, f"{kind}-{index}-{form}", form)
            if case is not None:
                cases.append(case)
    return cases


def _samples(entry: Any, dtype: torch.dtype) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return list(entry.sample_inputs("cpu", dtype, requires_grad=False))
        except Exception:  # noqa: BLE001 (torch's own generators need what is not here, or fail)
            return []


def _spread(items: list[Any], most: int) -> list[Any]:
    if len(items) <= most:
        return items
    chosen = np.linspace(0, len(items) - 1, most + 2).round().astype(int)[1:-1]
    return [items[i] for i in chosen]


def _seed() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (what torch's generators draw from)
    torch.manual_seed(0)


@dataclass(frozen=True)
class _Sample:
    """A call, taken apart.

    Attributes:
        function: What is called.
        leaves: Its arguments, flat.
        spec: Their structure.
        places: Which of them are tensors.
    """

    function: Any
    leaves: tuple[Any, ...]
    spec: Any
    places: tuple[int, ...]

    @classmethod
    def read(cls, entry: Any, sample: Any) -> _Sample | None:
        """Returns a sample whose tensors are of a kind that devices hold, else None.

        One whose first tensor has no elements is left out: capture refuses it.
        """
        leaves, spec = pytree.tree_flatten(((sample.input, *sample.args), sample.kwargs))
        places = tuple(i for i, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor))
        tensors = [leaves[i] for i in places]
        plain = all(
            t.layout is torch.strided and t.dtype in (*DTYPES, torch.int32) for t in tensors
        )
        if not tensors or not tensors[0].numel() or not plain:
            return None
        if sum(t.numel() for t in tensors) > MOST_ELEMENTS:
            return None
        for i in places:
            leaves[i] = leaves[i].detach().contiguous().clone()
        return cls(entry.op, tuple(leaves), spec, places)

    @property
    def kind(self) -> str:
        """What tells it from others: all but the numbers in its tensors."""
        shown = [
            f"{leaf.dtype}{list(leaf.shape)}" if isinstance(leaf, torch.Tensor) else repr(leaf)
            for leaf in self.leaves
        ]
        return f"{shown} {self.spec}"

    def case(self, operator: str, name: str, form: str) -> Case | None:
        """Returns the model, or None where torch makes no tensor of it here."""
        taken = self.places[:1] if form == "constants" else self.places
        model: nn.Module = OneOperator(self.function, list(self.leaves), self.spec, taken).eval()
        between = form == "between"
        if between:
            model = Between(model).eval()
        own = tuple(self.leaves[i] for i in taken)
        inputs = (own, *(_shuffled(own, seed) for seed in range(SHUFFLES)))
        try:
            expected = tuple(_run(model, tensors) for tensors in inputs)
        except Exception:  # noqa: BLE001 (a shuffled input may be no input: indices, bounds)
            inputs = (own,)
            try:
                expected = (_run(model, own),)
            except Exception:  # noqa: BLE001 (needs what is not here)
                return None
        shapes = {tuple((tuple(t.shape), t.dtype) for t in one) for one in expected}
        if not expected[0] or len(shapes) > 1 or not _small(expected[0]):
            return None
        return Case(operator, name, model, inputs, expected, between)


class OneOperator(nn.Module):
    """One call of an operator.

    Args:
        function: What is called.
        leaves: Its arguments, flat; tensors that are not taken become buffers.
        spec: Their structure.
        taken: Which of them the model takes.
    """

    def __init__(self, function: Any, leaves: list[Any], spec: Any, taken: Iterable[int]) -> None:
        super().__init__()
        self._function, self._leaves, self._spec = function, leaves, spec
        self._taken = tuple(taken)
        self._constants = {}
        for at, leaf in enumerate(leaves):
            if isinstance(leaf, torch.Tensor) and at not in self._taken:
                self._constants[at] = f"constant_{at}"
                self.register_buffer(f"constant_{at}", leaf)

    def forward(self, *tensors: torch.Tensor) -> Tensors:
        """Returns the tensors among the results."""
        leaves = list(self._leaves)
        for at, name in self._constants.items():
            leaves[at] = getattr(self, name)
        for at, tensor in zip(self._taken, tensors, strict=True):
            leaves[at] = tensor
        args, kwargs = pytree.tree_unflatten(leaves, self._spec)
        results = pytree.tree_leaves(self._function(*args, **kwargs))
        return tuple(result for result in results if isinstance(result, torch.Tensor))


class Between(nn.Module):
    """A model between linear layers of the identity.

    Args:
        model: Takes and returns tensors.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = model

    def forward(self, *tensors: torch.Tensor) -> Tensors:
        """Returns what the model does."""
        results: Tensors = self._model(*map(_linear, tensors))
        return tuple(map(_linear, results))


class SideBySide(nn.Module):
    """Models that have nothing to do with each other, as one.

    Args:
        models: Take and return tensors.
        counts: How many each takes.
    """

    def __init__(self, models: Iterable[nn.Module], counts: Iterable[int]) -> None:
        super().__init__()
        self._models = nn.ModuleList(models)
        self._counts = tuple(counts)

    def forward(self, *tensors: torch.Tensor) -> Tensors:
        """Returns what each makes of its share, one after the other."""
        results: Tensors = ()
        for model, count in zip(self._models, self._counts, strict=True):
            results += model(*tensors[:count])
            tensors = tensors[count:]
        return results


def side_by_side(cases: Sequence[Case]) -> Case:
    """Returns one case that holds ``cases``, which have equally many inputs."""
    model = SideBySide([c.model for c in cases], [len(c.inputs[0]) for c in cases]).eval()
    inputs = tuple(sum(parts, ()) for parts in zip(*(c.inputs for c in cases), strict=True))
    expected = tuple(sum(parts, ()) for parts in zip(*(c.expected for c in cases), strict=True))
    return Case(cases[0].operator, cases[0].sample, model, inputs, expected)


def _linear(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dtype is not torch.float32 or not tensor.ndim:
        return tensor
    return functional.linear(tensor, torch.eye(tensor.shape[-1]))


def _run(model: nn.Module, tensors: Tensors) -> Tensors:
    """Returns the model's results; it may write to what it takes."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        results: Tensors = model(*(t.clone() for t in tensors))
        return tuple(r.clone() for r in results)


def _shuffled(tensors: Tensors, seed: int) -> Tensors:
    """Returns the same numbers in another order; integers stay, for they may be indices."""
    chance = torch.Generator().manual_seed(seed)
    return tuple(
        t.flatten()[torch.randperm(t.numel(), generator=chance)].reshape(t.shape)
        if t.is_floating_point()
        else t
        for t in tensors
    )


def _small(results: Tensors) -> bool:
    plain = all(r.layout is torch.strided and not r.is_complex() for r in results)
    return plain and sum(r.numel() for r in results) <= MOST_ELEMENTS
