"""Makes a runner look like the model: the same call, the same structure of outputs.

What a user's ``evaluate`` does with the float model must work with the artefact: arguments by
position or by name, tensors or arrays, batches of another size, dicts and dataclasses returned.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from edgeopt.contracts import Runner, TensorSpec
    from edgeopt.ir import Program

__all__ = ["as_model", "as_returned", "float_model"]


def as_model(runner: Runner, program: Program, model: Any = None) -> Callable[..., Any]:
    """Returns a function that is called as the model is, and answers from ``runner``.

    Args:
        runner: Takes and gives one array for each of the program's inputs and outputs.
        program: Knows the structure of arguments and outputs.
        model: The float module, for the names and order of its arguments; without it, arguments
            of the example by position are known by the program's names.
    """
    binder = _Binder(program, model)

    def call(*args: Any, **kwargs: Any) -> Any:
        tensors = binder.bind(args, kwargs)
        outputs = _in_batches(runner, program, [_array(t) for t in tensors])
        as_given = torch.from_numpy if _wants_tensors(args, kwargs) else np.asarray
        return as_returned(program, map(as_given, outputs))

    return call


def as_returned(program: Program, outputs: Iterable[Any]) -> Any:
    """Returns a program's outputs in the structure in which the model returns them."""
    leaves = _with_constants(program, iter(outputs))
    return pytree.tree_unflatten(leaves, program.exported.call_spec.out_spec)


def float_model(model: Any) -> Callable[..., Any]:
    """Returns the float model as a function: no gradients, arrays taken and given as well."""

    def call(*args: Any, **kwargs: Any) -> Any:
        to_tensor = torch.from_numpy
        held = pytree.tree_map_only(np.ndarray, to_tensor, (args, kwargs))
        with torch.no_grad():
            result = model(*held[0], **held[1])
        if _wants_tensors(args, kwargs):
            return result
        return pytree.tree_map_only(torch.Tensor, lambda t: t.numpy(), result)

    return call


class _Binder:
    """Sorts the arguments of a call into the order of the program's inputs."""

    def __init__(self, program: Program, model: Any) -> None:
        self._program = program
        self._in_spec = program.exported.call_spec.in_spec
        self._forward = _forward(model)
        self._wanted = _tensor_leaves(program)
        self._names = _positional_names(program, self._wanted)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """Returns one tensor or array for each input of the program.

        Raises:
            InputError: The call does not fit the one that the program was captured with.
        """
        leaves, spec = pytree.tree_flatten((args, kwargs))
        if spec != self._in_spec:
            leaves = self._by_name(args, kwargs)
        return [leaves[index] for index in self._wanted]

    def _by_name(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        count = self._in_spec.num_leaves
        captured = pytree.tree_unflatten(list(range(count)), self._in_spec)
        wanted = self._arguments(*captured)
        given = self._arguments(args, kwargs)
        leaves: list[Any] = [None] * count
        for name, indices in wanted.items():
            values = pytree.tree_leaves(given.pop(name, None))
            places = pytree.tree_leaves(indices)
            if len(values) != len(places):
                self._refuse(f"argument {name} does not have the structure of the example")
            for place, value in zip(places, values, strict=True):
                leaves[place] = value
        extra = [n for n, v in given.items() if any(map(_is_tensor, pytree.tree_leaves(v)))]
        if extra:
            self._refuse(f"argument {', '.join(extra)} was not part of the example")
        return leaves

    def _arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        if self._forward is None:
            extra = [str(place) for place in range(len(self._names), len(args))]
            return {**dict(zip((*self._names, *extra), args, strict=False)), **kwargs}
        try:
            bound = self._forward.bind(*args, **kwargs)
        except TypeError as error:
            self._refuse(str(error))
        flat: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            kind = self._forward.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                flat.update(value)
            else:
                flat[name] = value
        return flat

    def _refuse(self, what: str) -> None:
        takes = ", ".join(
            f"{s.name}: {s.dtype}{list(s.shape)}" for s in self._program.signature.inputs
        )
        raise InputError(
            what,
            where="evaluate",
            hint=f"call the function as the model was called for the example: it takes {takes}",
        )


def _forward(model: Any) -> inspect.Signature | None:
    forward = getattr(model, "forward", None)
    try:
        return inspect.signature(forward) if forward is not None else None
    except (TypeError, ValueError):
        return None


def _tensor_leaves(program: Program) -> list[int]:
    """Returns which leaves of the call are the program's inputs, in their order."""
    from torch.export.graph_signature import InputKind, TensorArgument  # noqa: PLC0415

    specs = program.exported.graph_signature.input_specs
    leaves = [s for s in specs if s.kind is InputKind.USER_INPUT]
    return [i for i, s in enumerate(leaves) if isinstance(s.arg, TensorArgument)]


def _with_constants(program: Program, outputs: Iterator[Any]) -> list[Any]:
    """Returns the leaves of the returned value: None and numbers stand where the model has them."""
    from torch.export.graph_signature import OutputKind, TensorArgument  # noqa: PLC0415

    specs = program.exported.graph_signature.output_specs
    return [
        next(outputs) if isinstance(s.arg, TensorArgument) else getattr(s.arg, "value", None)
        for s in specs
        if s.kind is OutputKind.USER_OUTPUT
    ]


def _positional_names(program: Program, wanted: list[int]) -> list[str]:
    """Returns the names of the example's positional arguments, as the program knows them."""
    spec = program.exported.call_spec.in_spec
    args, _ = pytree.tree_unflatten(list(range(spec.num_leaves)), spec)
    names = dict(zip(wanted, program.input_names, strict=True))
    return [names.get(a, str(i)) if isinstance(a, int) else str(i) for i, a in enumerate(args)]


def _in_batches(runner: Runner, program: Program, arrays: list[np.ndarray]) -> list[np.ndarray]:
    specs = program.signature.inputs
    sizes = {len(a) for a, s in zip(arrays, specs, strict=True) if _other_batch(a, s)}
    if not sizes:
        return _outputs(runner, arrays)
    if len(sizes) > 1:
        raise InputError(f"inputs with batches of {sorted(sizes)} in one call", where="evaluate")
    total, batch = sizes.pop(), _batch(specs, arrays)
    chunks = [
        _outputs(runner, [_chunk(a, s, start, batch) for a, s in zip(arrays, specs, strict=True)])
        for start in range(0, total, batch)
    ]
    return _joined(program, chunks, batch, total)


def _other_batch(array: np.ndarray, spec: TensorSpec) -> bool:
    same_rest = array.ndim >= 1 and array.shape[1:] == tuple(spec.shape[1:])
    return bool(spec.shape) and array.shape != tuple(spec.shape) and same_rest and len(array) > 0


def _batch(specs: Sequence[TensorSpec], arrays: list[np.ndarray]) -> int:
    return next(s.shape[0] for a, s in zip(arrays, specs, strict=True) if _other_batch(a, s))


def _chunk(array: np.ndarray, spec: TensorSpec, start: int, batch: int) -> np.ndarray:
    """A part of the batch; the last one is filled up with its last item."""
    if not _other_batch(array, spec):
        return array
    part = array[start : start + batch]
    if len(part) < batch:
        part = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
    return part


def _joined(
    program: Program, chunks: list[list[np.ndarray]], batch: int, total: int
) -> list[np.ndarray]:
    joined = []
    for index, spec in enumerate(program.signature.outputs):
        parts = [chunk[index] for chunk in chunks]
        if spec.shape and spec.shape[0] % batch == 0:
            each = spec.shape[0] // batch
            joined.append(np.concatenate(parts)[: total * each])
        elif len(parts) == 1:
            joined.append(parts[0])
        else:
            raise InputError(
                f"output {spec.name} of shape {list(spec.shape)} has no batch to join",
                where="evaluate",
                hint=f"call the function with batches of {batch}, as the example has",
            )
    return joined


def _outputs(runner: Runner, arrays: list[np.ndarray]) -> list[np.ndarray]:
    result = runner(*arrays)
    return list(result) if isinstance(result, tuple) else [result]


def _array(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().contiguous().numpy()
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value)
    raise InputError(
        f"expected a tensor or an array, got a {type(value).__name__}", where="evaluate"
    )


def _is_tensor(value: Any) -> bool:
    return isinstance(value, (torch.Tensor, np.ndarray))


def _wants_tensors(args: Any, kwargs: Any) -> bool:
    """Arrays come back where all that was passed were arrays."""
    given = [v for v in pytree.tree_leaves((args, kwargs)) if _is_tensor(v)]
    return not given or any(isinstance(v, torch.Tensor) for v in given)
