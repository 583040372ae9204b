"""Fits what a user passes (tensors, tuples, dicts, batches, calls) to what a model takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from edgeopt.contracts.signature import Signature, TensorSpec
from edgeopt.data.calls import Call, as_call, as_tensor
from edgeopt.data.structure import CallStructure
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.ir.program import Program

__all__ = ["Binder", "check_arrays", "check_finite"]

Tensors = list[torch.Tensor]


@dataclass(frozen=True)
class Binder:
    """Binds items of data, and calls, to the tensors that a model takes.

    Attributes:
        signature: What the model takes, in order.
        structure: The call that the model was captured with, where it is known.
        fixed: Whether shapes are those of the signature, with any multiple of the batch: so for a
            Program. A module takes any shape that it can compute with.
    """

    signature: Signature
    structure: CallStructure | None = None
    fixed: bool = True

    @classmethod
    def of_program(cls, program: Program, model: Any = None) -> Binder:
        """Returns the binder of a Program; ``model`` knows the names and order of arguments."""
        return cls(program.signature, CallStructure.of_program(program, model))

    @classmethod
    def of_example(cls, example_inputs: Any, model: Any = None) -> Binder:
        """Returns the binder of a module that is called with inputs like ``example_inputs``."""
        structure = CallStructure.of_example(example_inputs, model)
        tensors = structure.tensors(*as_call(example_inputs))
        specs = [
            TensorSpec(name, tuple(t.shape), _dtype(t))
            for name, t in zip(structure.names(), tensors, strict=True)
        ]
        return cls(Signature(tuple(specs), ()), structure, fixed=False)

    def bind(self, item: Any) -> Tensors:
        """Returns the tensors of ``item``, in the order of the signature.

        Args:
            item: A tensor, a tuple of inputs, a dict by argument name (more keys than the model
                takes are ignored), what the model was captured with, or ``(inputs, label)``.

        Raises:
            InputError: It cannot be bound; says what was expected.
        """
        as_captured = self._as_captured(item)
        if as_captured is not None:
            return as_captured
        if isinstance(item, Mapping):
            return self._mapping(item)
        if isinstance(item, (tuple, list)):
            return self._sequence(item)
        return self._checked([as_tensor(item)])

    def bind_call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], where: str) -> list[Any]:
        """Returns the tensor or array that a call of the model passes for each of its inputs.

        Raises:
            InputError: The call does not fit the one that the model was captured with.
        """
        if self.structure is None:
            raise TypeError("a binder of a signature alone knows no calls")
        try:
            return self.structure.tensors(args, kwargs)
        except InputError as error:
            hint = f"call it as the model was called for the example: it takes {self._expected()}"
            raise InputError(error.what, where=where, hint=hint) from error

    def call(self, tensors: Tensors) -> Call:
        """Returns the arguments with which the model is called on ``tensors``."""
        if self.structure is None:
            raise TypeError("a binder of a signature alone knows no calls")
        return self.structure.call(tensors)

    def example(self) -> Call:
        """Returns the arguments of the example's call."""
        if self.structure is None:
            raise TypeError("a binder of a signature alone knows no calls")
        return self.structure.call([self.structure.values[i] for i in self.structure.places])

    def batches(self, tensors: Tensors) -> int | None:
        """Returns how many times the model's own batch bound ``tensors`` hold: whole ones.

        None where they are what one call takes, not a multiple of it.

        Raises:
            InputError: They hold different numbers of them.
        """
        pairs = list(zip(self.signature.inputs, tensors, strict=True))
        rows = {len(t) / s.shape[0] for s, t in pairs if s.shape and tuple(t.shape) != s.shape}
        if len(rows) > 1:
            sizes = ", ".join(f"{s.name}: {list(t.shape)}" for s, t in pairs)
            raise InputError(f"inputs with batches of different size: {sizes}")
        return int(rows.pop()) if rows else None

    def cut(self, tensors: Tensors) -> Iterator[Tensors]:
        """Yields what each call takes of bound ``tensors``; rows that fill no batch are left out."""
        count = self.batches(tensors)
        if count is None:
            yield tensors
            return
        for i in range(count):
            yield [
                t if tuple(t.shape) == s.shape else t[i * s.shape[0] : (i + 1) * s.shape[0]]
                for s, t in zip(self.signature.inputs, tensors, strict=True)
            ]

    def size(self, tensors: Tensors) -> int:
        """Returns how many samples bound ``tensors`` are; one sample is what the example was."""
        if self.fixed:
            count = self.batches(tensors)
            return 1 if count is None else count
        pairs = zip(self.signature.inputs, tensors, strict=True)
        return next((max(1, len(t) // s.shape[0]) for s, t in pairs if s.shape and s.shape[0]), 1)

    def leftover(self, tensors: Tensors) -> int:
        """Returns how many rows of bound ``tensors`` fill no batch of the model's."""
        pairs = zip(self.signature.inputs, tensors, strict=True)
        return next(
            (len(t) % s.shape[0] for s, t in pairs if s.shape and tuple(t.shape) != s.shape), 0
        )

    def _as_captured(self, item: Any) -> Tensors | None:
        """Returns the tensors of an item with the structure of the example, None for any other."""
        if self.structure is None:
            return None
        leaves, spec = pytree.tree_flatten(as_call(item))
        if spec != self.structure.spec:
            return None
        tensors = [as_tensor(leaves[place]) for place in self.structure.places]
        return tensors if self._all_fit(tensors) else None

    def _mapping(self, item: Mapping[str, Any]) -> Tensors:
        names = [spec.name for spec in self.signature.inputs]
        missing = [name for name in names if name not in item]
        if missing:
            raise InputError(
                f"no entry for {', '.join(missing)}; it has {', '.join(map(str, item))}",
                hint=f"the program takes {self._expected()}",
            )
        return self._checked([as_tensor(item[name]) for name in names])

    def _sequence(self, item: Any) -> Tensors:
        count = len(self.signature.inputs)
        flat = [as_tensor(v) for v in pytree.tree_leaves(list(item))]
        if self._all_fit(flat):
            return flat
        is_nested = len(item) == 2 and isinstance(item[0], (Mapping, tuple, list))  # noqa: PLR2004
        if is_nested:  # ((inputs), label)
            return self.bind(item[0])
        if len(item) == count + 1:  # (input, …, label)
            return self._checked([as_tensor(v) for v in item[:count]])
        return self._checked(flat)

    def _checked(self, tensors: list[Any]) -> Tensors:
        if len(tensors) != len(self.signature.inputs):
            raise InputError(
                f"{len(tensors)} tensors given", hint=f"the program takes {self._expected()}"
            )
        for spec, tensor in zip(self.signature.inputs, tensors, strict=True):
            if not self._fits(spec, tensor):
                of_shape = f" of shape {spec.shape} (any multiple of the first)"
                raise InputError(
                    f"input {spec.name}: expected {spec.dtype}{of_shape if self.fixed else ''}, "
                    f"got {_describe(tensor)}",
                    hint="prepare the data as the example inputs are",
                )
        return tensors

    def _all_fit(self, tensors: list[Any]) -> bool:
        return len(tensors) == len(self.signature.inputs) and all(
            self._fits(s, t) for s, t in zip(self.signature.inputs, tensors, strict=True)
        )

    def _fits(self, spec: TensorSpec, tensor: Any) -> bool:
        if not isinstance(tensor, torch.Tensor) or _dtype(tensor) != spec.dtype:
            return False
        if tuple(tensor.shape) == spec.shape:
            return True
        if not self.fixed:
            return tensor.ndim == len(spec.shape) and tensor.numel() > 0
        same_rest = len(spec.shape) > 1 and tuple(tensor.shape[1:]) == spec.shape[1:]
        return same_rest and len(tensor) > 0

    def _expected(self) -> str:
        return ", ".join(f"{s.name}: {s.dtype}{list(s.shape)}" for s in self.signature.inputs)


def check_arrays(signature: Signature, arrays: tuple[np.ndarray, ...]) -> None:
    """Checks number, shape and dtype of a runner's inputs.

    Raises:
        InputError: One does not fit; says which and what was expected.
    """
    if len(arrays) != len(signature.inputs):
        takes = Binder(signature)._expected()  # noqa: SLF001 (this module's own)
        raise InputError(f"{len(arrays)} inputs given; the program takes {takes}")
    for spec, array in zip(signature.inputs, arrays, strict=True):
        shape, dtype = tuple(np.shape(array)), str(getattr(array, "dtype", type(array).__name__))
        if (shape, dtype) != (spec.shape, spec.dtype):
            raise InputError(
                f"expected {spec.dtype} of shape {spec.shape}, got {dtype} of shape {shape}",
                where=f"input {spec.name}",
            )


def check_finite(signature: Signature, arrays: tuple[np.ndarray, ...]) -> None:
    """Checks that no float input of an int8 artefact is NaN or infinite.

    Raises:
        InputError: One is: integers have no such numbers, and would answer all the same.
    """
    for spec, array in zip(signature.inputs, arrays, strict=True):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = array.size - int(np.isfinite(array).sum())
            raise InputError(
                f"{bad} of {array.size} values are NaN or infinite",
                where=f"input {spec.name}",
                hint="a model on integers has no such numbers: look at what makes the input",
            )


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _describe(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{_dtype(value)} of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"
