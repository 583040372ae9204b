"""The structure of a model's call: which arguments hold its tensors, in which order."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from edgeopt.data.calls import Call, as_call, forward_signature
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeopt.ir.program import Program

__all__ = ["CallStructure"]


@dataclass(frozen=True, eq=False)
class CallStructure:
    """One call's arguments, flattened.

    Attributes:
        spec: The structure of ``(args, kwargs)``.
        values: The leaves of the example's call; where a tensor belongs, anything.
        places: Which leaves are the model's tensors, in their order.
        forward: Names and order of the module's arguments; None where they are not known.
        positional: Names of the arguments by position, where ``forward`` is not known.
    """

    spec: Any
    values: tuple[Any, ...]
    places: tuple[int, ...]
    forward: inspect.Signature | None
    positional: tuple[str, ...]

    @classmethod
    def of_program(cls, program: Program, model: Any = None) -> CallStructure:
        """Returns the structure with which ``program`` was captured from ``model``."""
        from torch.export.graph_signature import InputKind, TensorArgument  # noqa: PLC0415

        spec = program.exported.call_spec.in_spec
        specs = program.exported.graph_signature.input_specs
        args = [s.arg for s in specs if s.kind is InputKind.USER_INPUT]
        places = tuple(i for i, a in enumerate(args) if isinstance(a, TensorArgument))
        names = dict(zip(places, program.input_names, strict=True))
        values = tuple(getattr(a, "value", None) for a in args)
        return cls(spec, values, places, forward_signature(model), _positional(spec, names))

    @classmethod
    def of_example(cls, example_inputs: Any, model: Any = None) -> CallStructure:
        """Returns the structure of a call with ``example_inputs``."""
        values, spec = pytree.tree_flatten(as_call(example_inputs))
        places = tuple(i for i, v in enumerate(values) if isinstance(v, torch.Tensor))
        forward = forward_signature(model)
        parameters = () if forward is None else tuple(forward.parameters)
        names = _positional(spec, {})
        labels = (*parameters[: len(names)], *names[len(parameters) :])
        return cls(spec, tuple(values), places, forward, labels)

    def names(self) -> tuple[str, ...]:
        """Returns a name for each tensor: its argument's, with its place where that holds several."""
        args, kwargs = pytree.tree_unflatten(range(len(self.values)), self.spec)
        labels: dict[int, str] = {}
        for name, part in (*zip(self.positional, args, strict=True), *kwargs.items()):
            places = pytree.tree_leaves(part)
            for index, place in enumerate(places):
                labels[place] = name if len(places) == 1 else f"{name}_{index}"
        return tuple(labels[place] for place in self.places)

    def tensors(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
        """Returns what a call passes for each of the model's tensors.

        Raises:
            InputError: The call does not have the structure of the example.
        """
        leaves, spec = pytree.tree_flatten((args, dict(kwargs)))
        if spec != self.spec:
            leaves = self._by_name(args, kwargs)
        return [leaves[place] for place in self.places]

    def call(self, tensors: list[Any]) -> Call:
        """Returns the arguments that pass ``tensors``; all else is as in the example."""
        leaves = list(self.values)
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor
        args, kwargs = pytree.tree_unflatten(leaves, self.spec)
        return tuple(args), dict(kwargs)

    def _by_name(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
        example = pytree.tree_unflatten(list(range(len(self.values))), self.spec)
        passed = self._arguments(args, kwargs)
        leaves: list[Any] = [None] * len(self.values)
        for name, indices in self._arguments(*example).items():
            values = pytree.tree_leaves(passed.pop(name, None))
            places = pytree.tree_leaves(indices)
            if len(values) != len(places):
                raise InputError(f"argument {name} does not have the structure of the example")
            for place, value in zip(places, values, strict=True):
                leaves[place] = value
        extra = [n for n, v in passed.items() if any(map(_is_tensor, pytree.tree_leaves(v)))]
        if extra:
            raise InputError(f"argument {', '.join(extra)} was not part of the example")
        return leaves

    def _arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        if self.forward is None:
            extra = [str(place) for place in range(len(self.positional), len(args))]
            return {**dict(zip((*self.positional, *extra), args, strict=False)), **kwargs}
        try:
            bound = self.forward.bind(*args, **kwargs)
        except TypeError as error:
            raise InputError(str(error)) from error
        flat: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            if self.forward.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                flat.update(value)
            else:
                flat[name] = value
        return flat


def _positional(spec: Any, names: dict[int, str]) -> tuple[str, ...]:
    """Returns names of the example's positional arguments: those of the tensors, else places."""
    args, _ = pytree.tree_unflatten(list(range(spec.num_leaves)), spec)
    return tuple(names.get(a, str(i)) if isinstance(a, int) else str(i) for i, a in enumerate(args))


def _is_tensor(value: Any) -> bool:
    return isinstance(value, (torch.Tensor, np.ndarray))
