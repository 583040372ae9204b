"""Binds what a user passes (tensors, tuples, dicts, batches) to a program's inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from torch.utils import _pytree as pytree

from edgeopt.errors import CalibrationError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgeopt.contracts.signature import Signature, TensorSpec

__all__ = [
    "as_call",
    "bind_sample",
    "calibration_samples",
    "check_arrays",
    "check_finite",
    "infer_example_inputs",
]

Call = tuple[tuple[Any, ...], dict[str, Any]]


def as_call(inputs: Any) -> Call:
    """Returns ``(args, kwargs)`` for a tensor, an array, a tuple or list of them, or a dict."""
    if isinstance(inputs, Mapping):
        return (), {str(k): _tensors(v) for k, v in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        return tuple(_tensors(v) for v in inputs), {}
    return (_tensors(inputs),), {}


def infer_example_inputs(model: Any) -> Any:
    """Returns inputs that the model itself names, or None where it names none.

    Looked at, in order: ``example_inputs`` of an ExportedProgram, Lightning's
    ``example_input_array``, the Hugging Face ``dummy_inputs``, timm's ``pretrained_cfg``.
    """
    held = getattr(model, "example_inputs", None)
    if isinstance(held, tuple) and len(held) == 2 and isinstance(held[1], dict):  # noqa: PLR2004
        return held[1] if held[1] and not held[0] else held[0]
    if getattr(model, "example_input_array", None) is not None:
        return model.example_input_array
    config = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None)
    if isinstance(config, Mapping) and "input_size" in config:
        return (torch.zeros(1, *config["input_size"]),)
    try:
        return getattr(model, "dummy_inputs", None)
    except Exception:  # noqa: BLE001 (a property of somebody else's model; absent is what it means)
        return None


def bind_sample(signature: Signature, item: Any) -> list[torch.Tensor]:
    """Returns the tensors of ``item`` in the order of ``signature.inputs``.

    Args:
        signature: What the program takes.
        item: A tensor, a tuple of inputs, a dict by argument name (more keys than the program
            takes are ignored), or ``(inputs, label)``.

    Raises:
        InputError: It cannot be bound; says what was expected.
    """
    if isinstance(item, Mapping):
        return _bind_mapping(signature, item)
    if isinstance(item, (tuple, list)):
        return _bind_sequence(signature, item)
    return _checked(signature, [_tensors(item)])


def calibration_samples(
    signature: Signature, data: Iterable[Any], *, limit: int | None = None
) -> Iterator[list[torch.Tensor]]:
    """Yields one list of tensors a sample, cut to the batch that the program was captured with.

    Raises:
        CalibrationError: An item does not fit, or is not finite; says which.
    """
    count, index = 0, -1
    for index, item in enumerate(data):
        where = f"calibration_data, item {index}"
        try:
            tensors = bind_sample(signature, item)
        except InputError as error:
            raise CalibrationError(error.what, where=where, hint=error.hint) from error
        _require_finite(tensors, where)
        for sample in _cut(signature, tensors):
            yield sample
            count += 1
            if limit is not None and count >= limit:
                return
    if count == 0:
        _raise_empty(signature, had_items=index >= 0)


def _raise_empty(signature: Signature, *, had_items: bool) -> NoReturn:
    if had_items:
        batch = signature.inputs[0].shape[0]
        raise CalibrationError(
            f"no item holds a whole batch of {batch}",
            where="calibration_data",
            hint="the program was captured with that batch: use it here too, or capture with 1",
        )
    raise CalibrationError(
        "no sample in it",
        where="calibration_data",
        hint="pass some real inputs: 100 are enough. An iterator that was read before is empty",
    )


def check_arrays(signature: Signature, arrays: tuple[np.ndarray, ...]) -> None:
    """Returns nothing; checks number, shape and dtype of a runner's inputs.

    Raises:
        InputError: One does not fit; says which and what was expected.
    """
    if len(arrays) != len(signature.inputs):
        raise InputError(f"{len(arrays)} inputs given; the program takes {_expected(signature)}")
    for spec, array in zip(signature.inputs, arrays, strict=True):
        got = (tuple(np.shape(array)), str(getattr(array, "dtype", type(array).__name__)))
        if got != (spec.shape, spec.dtype):
            raise InputError(
                f"expected {spec.dtype} of shape {spec.shape}, got {got[1]} of shape {got[0]}",
                where=f"input {spec.name}",
            )


def check_finite(signature: Signature, arrays: tuple[np.ndarray, ...]) -> None:
    """Returns nothing; checks that no float input of an int8 artefact is NaN or infinite.

    Raises:
        InputError: One is: integers have no such numbers, and would answer all the same.
    """
    for spec, array in zip(signature.inputs, arrays, strict=True):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = array.size - int(np.isfinite(array).sum())
            raise InputError(
                f"{bad} of {array.size} values are NaN or infinite",
                where=f"input {spec.name}",
                hint="an int8 model has no such numbers: look at what makes the input",
            )


def _bind_mapping(signature: Signature, item: Mapping[str, Any]) -> list[torch.Tensor]:
    missing = [spec.name for spec in signature.inputs if spec.name not in item]
    if missing:
        raise InputError(
            f"no entry for {', '.join(missing)}; it has {', '.join(map(str, item))}",
            hint=f"the program takes {_expected(signature)}",
        )
    return _checked(signature, [_tensors(item[spec.name]) for spec in signature.inputs])


def _bind_sequence(signature: Signature, item: Any) -> list[torch.Tensor]:
    flat = [_tensors(v) for v in pytree.tree_leaves(list(item))]
    if len(flat) == len(signature.inputs) and all(
        _fits(s, t) for s, t in zip(signature.inputs, flat, strict=True)
    ):
        return flat
    is_labelled = len(item) == 2 and (  # noqa: PLR2004 (inputs and label)
        len(flat) != len(signature.inputs) or isinstance(item[0], (Mapping, tuple, list))
    )
    return bind_sample(signature, item[0]) if is_labelled else _checked(signature, flat)


def _checked(signature: Signature, tensors: list[Any]) -> list[torch.Tensor]:
    if len(tensors) != len(signature.inputs):
        raise InputError(
            f"{len(tensors)} tensors given", hint=f"the program takes {_expected(signature)}"
        )
    for spec, tensor in zip(signature.inputs, tensors, strict=True):
        if not _fits(spec, tensor):
            got = _describe(tensor)
            raise InputError(
                f"input {spec.name}: expected {spec.dtype} of shape {spec.shape} "
                f"(any multiple of the first), got {got}",
                hint="prepare the data as the example inputs are",
            )
    return tensors


def _fits(spec: TensorSpec, tensor: Any) -> bool:
    if not isinstance(tensor, torch.Tensor) or _dtype(tensor) != spec.dtype:
        return False
    if tuple(tensor.shape) == spec.shape:
        return True
    same_rest = len(spec.shape) > 1 and tuple(tensor.shape[1:]) == spec.shape[1:]
    return same_rest and len(tensor) > 0


def _cut(signature: Signature, tensors: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    steps = {
        len(t) // s.shape[0]
        for s, t in zip(signature.inputs, tensors, strict=True)
        if s.shape and tuple(t.shape) != s.shape
    }
    if not steps:
        yield tensors
        return
    for i in range(min(steps)):
        yield [
            t if tuple(t.shape) == s.shape else t[i * s.shape[0] : (i + 1) * s.shape[0]]
            for s, t in zip(signature.inputs, tensors, strict=True)
        ]


def _require_finite(tensors: list[torch.Tensor], where: str) -> None:
    for tensor in tensors:
        if tensor.dtype.is_floating_point and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            raise CalibrationError(
                f"{bad} of {tensor.numel()} values are NaN or infinite",
                where=where,
                hint="clean the data or the preprocessing: one such value ruins every range",
            )


def _tensors(value: Any) -> Any:
    """Returns an array as a tensor; one that torch cannot share (read-only, reversed) is copied."""
    if not isinstance(value, np.ndarray):
        return value
    shareable = value.flags.writeable and all(step >= 0 for step in value.strides)
    try:
        return torch.from_numpy(value if shareable else value.copy())
    except TypeError as error:
        raise InputError(f"an array of {value.dtype} is no tensor") from error


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _describe(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{_dtype(value)} of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"


def _expected(signature: Signature) -> str:
    return ", ".join(f"{s.name}: {s.dtype}{list(s.shape)}" for s in signature.inputs)
