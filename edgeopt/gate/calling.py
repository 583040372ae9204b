"""Makes a runner look like the model: the same call, the same structure of outputs.

What a user's ``evaluate`` does with the float model must work with the artefact: arguments by
position or by name, tensors or arrays, batches of another size, dicts and dataclasses returned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from edgeopt.data.binder import Binder
from edgeopt.errors import InputError
from edgeopt.gate.model_call import ModelCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from edgeopt.contracts import Runner, TensorSpec
    from edgeopt.ir import Program

__all__ = ["as_model", "as_returned", "float_model"]


def as_model(runner: Runner, program: Program, model: Any = None) -> ModelCall:
    """Returns what is called as the model is, and answers from ``runner``.

    Args:
        runner: Takes and gives one array for each of the program's inputs and outputs.
        program: Knows the structure of arguments and outputs.
        model: The float module, for the names and order of its arguments; without it, arguments
            of the example by position are known by the program's names.
    """
    binder = Binder.of_program(program, model)

    def call(*args: Any, **kwargs: Any) -> Any:
        tensors = binder.bind_call(args, kwargs, "evaluate")
        outputs = _in_batches(runner, program, [_array(t) for t in tensors])
        as_given = _tensor_on(_device(args, kwargs)) if _wants_tensors(args, kwargs) else np.asarray
        return as_returned(program, map(as_given, outputs))

    return ModelCall(call, model)


def as_returned(program: Program, outputs: Iterable[Any]) -> Any:
    """Returns a program's outputs in the structure in which the model returns them."""
    leaves = _with_constants(program, iter(outputs))
    return pytree.tree_unflatten(leaves, program.exported.call_spec.out_spec)


def float_model(model: Any) -> ModelCall:
    """Returns the float model as a function: no gradients, arrays taken and given as well."""

    def call(*args: Any, **kwargs: Any) -> Any:
        to_tensor = torch.from_numpy
        arguments = pytree.tree_map_only(np.ndarray, to_tensor, (args, kwargs))
        with torch.no_grad():
            result = model(*arguments[0], **arguments[1])
        if _wants_tensors(args, kwargs):
            return result
        return pytree.tree_map_only(torch.Tensor, lambda t: t.numpy(), result)

    return ModelCall(call, model)


def _device(args: Any, kwargs: Any) -> torch.device:
    """Returns where the first tensor lies, and answers are wanted."""
    tensors = (v for v in pytree.tree_leaves((args, kwargs)) if isinstance(v, torch.Tensor))
    return next((one.device for one in tensors), torch.device("cpu"))


def _tensor_on(device: torch.device) -> Callable[[np.ndarray], torch.Tensor]:
    return lambda array: torch.from_numpy(array).to(device)


def _with_constants(program: Program, outputs: Iterator[Any]) -> list[Any]:
    """Returns the leaves of the returned value: None and numbers stand where the model has them."""
    from torch.export.graph_signature import OutputKind, TensorArgument  # noqa: PLC0415

    specs = program.exported.graph_signature.output_specs
    return [
        next(outputs) if isinstance(s.arg, TensorArgument) else getattr(s.arg, "value", None)
        for s in specs
        if s.kind is OutputKind.USER_OUTPUT
    ]


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
    values = [v for v in pytree.tree_leaves((args, kwargs)) if _is_tensor(v)]
    return not values or any(isinstance(v, torch.Tensor) for v in values)
