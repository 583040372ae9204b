"""Further shapes of a deployment: example inputs for each, and whether zeros fill one up."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgeopt.bundles.device.edgeopt_runner.session import crop, pad, smaller_axes
from edgeopt.errors import InputError
from edgeopt.gate.metrics import LikenessMeter
from edgeopt.gate.parity import run_all
from edgeopt.ir import ReferenceRunner
from edgeopt.registry.limits import memory_mb
from edgeopt.units import shown_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgeopt.data.binder import Binder
    from edgeopt.gate.metrics import Arrays, Likeness
    from edgeopt.ir import Program
    from edgeopt.options import Shapes

__all__ = ["examples_of", "padding_axes", "rows_are_apart"]

SAME_DB = 60.0
"""What filling up with zeros must leave of each output: more than the last bits of float32 lose."""
TRIES = 3
"""Samples of each shape that filling up is tried on."""
PICTURE = 4
CHANNELS = (1, 3, 4)


def examples_of(shapes: Shapes, binder: Binder, example: Any, peak_bytes: int = 0) -> Iterator[Any]:
    """Yields example inputs of each further shape: those given, and the first example, repeated or cut.

    Args:
        shapes: What was asked for.
        binder: Of the program that was captured with ``example``.
        example: As for `edgeopt.capture`.
        peak_bytes: What the values of a call with it take.

    Raises:
        InputError: The inputs have no such axis, or the values of a call with them do not fit into memory.
    """
    tensors = binder.bind(example)
    rows = [[{0: count}] * len(tensors) for count in shapes.batches]
    others = [_sequence_axes(tensors, length) for length in shapes.lengths]
    others += [_all_picture_axes(tensors, size) for size in shapes.pictures]
    pairs = itertools.product(rows, others) if shapes.crossed else ()
    crossed = [[one | other for one, other in zip(*pair, strict=True)] for pair in pairs]
    for axes in (*rows, *others, *crossed):
        _require_memory(tensors, axes, peak_bytes)
        yield _as_call(binder, [_resized(*pair) for pair in zip(tensors, axes, strict=True)])
    yield from () if shapes.examples is None else shapes.examples


def _all_picture_axes(tensors: list[torch.Tensor], size: tuple[int, int]) -> list[dict[int, int]]:
    if not any(tensor.ndim == PICTURE for tensor in tensors):
        shapes_of = ", ".join(str(list(tensor.shape)) for tensor in tensors)
        raise InputError(
            f"the inputs are {shapes_of}: none is a picture",
            where="shapes.sizes",
            hint="pass examples of each shape: Shapes(examples=[…])",
        )
    return [_picture_axes(tensor, size) for tensor in tensors]


def _as_call(binder: Binder, tensors: Sequence[torch.Tensor]) -> Any:
    args, kwargs = binder.call(list(tensors))
    return kwargs if kwargs and not args else args


def _sequence_axes(tensors: list[torch.Tensor], length: int) -> list[dict[int, int]]:
    """Returns axis 1 of each input that is as long as in the first one; of the others none."""
    if not tensors or not 1 < tensors[0].ndim < PICTURE:
        shape = list(tensors[0].shape) if tensors else []
        raise InputError(
            f"the first input is {shape}: axis 1 is not the length of a sequence",
            where="shapes.lengths",
            hint="pass examples of each shape: Shapes(examples=[…])",
        )
    first = tensors[0].shape[1]
    return [{1: length} if t.ndim > 1 and t.shape[1] == first else {} for t in tensors]


def _picture_axes(tensor: torch.Tensor, size: tuple[int, int]) -> dict[int, int]:
    if tensor.ndim != PICTURE:
        return {}
    first = 1 if tensor.shape[3] in CHANNELS and tensor.shape[1] not in CHANNELS else 2
    return {first: size[0], first + 1: size[1]}


def _require_memory(
    tensors: list[torch.Tensor], axes: Sequence[dict[int, int]], peak_bytes: int
) -> None:
    """Refuses inputs for which a call's values, that grow at least as the inputs do, do not fit into memory."""
    growths = [
        math.prod(size / tensor.shape[axis] for axis, size in sizes.items() if axis < tensor.ndim)
        for tensor, sizes in zip(tensors, axes, strict=True)
    ]
    needed, there = max(growths) * peak_bytes, memory_mb() << 20
    if there and needed > there:
        sizes = max(axes, key=len)
        shape = ", ".join(f"{size} along axis {axis}" for axis, size in sizes.items())
        raise InputError(
            f"inputs of {shape} take about {shown_bytes(round(needed))} of memory a call; "
            f"this machine has {shown_bytes(there)}",
            where="shapes",
            hint="each shape is captured and run here; ask for a smaller one",
        )


def _resized(tensor: torch.Tensor, sizes: dict[int, int]) -> torch.Tensor:
    """Returns a tensor with axes of other sizes, repeated or cut."""
    for axis, size in sizes.items():
        if tensor.ndim <= axis:
            raise InputError(
                f"an input is {list(tensor.shape)}: it has no axis {axis}", where="shapes"
            )
        indices = torch.arange(size) % tensor.shape[axis]
        tensor = tensor.index_select(axis, indices)
    return tensor


def padding_axes(
    programs: Sequence[Program], samples: Sequence[Sequence[Arrays]]
) -> tuple[int, ...]:
    """Returns the axes along which inputs that are filled up with zeros give the same outputs, cut back.

    A maximum of positive numbers does not see zeros: each sample is tried negated too.

    Args:
        programs: In float, one a shape.
        samples: Samples for each.
    """
    faces = [_face(program) for program in programs]
    axes: dict[int, bool] = {}
    for small, large, axis in _pairs(faces):
        for sample in samples[small][:TRIES]:
            for inputs in (sample, tuple(-a if a.dtype.kind == "f" else a for a in sample)):
                is_kept = axes.get(axis, True) and _is_kept(programs, inputs, small, large, faces)
                axes[axis] = is_kept
    return tuple(sorted(axis for axis, is_kept in axes.items() if is_kept))


def _is_kept(
    programs: Sequence[Program], sample: Arrays, small: int, large: int, faces: list[Any]
) -> bool:
    specs = faces[large]["inputs"]
    larger = tuple(pad(array, spec["shape"]) for array, spec in zip(sample, specs, strict=True))
    (padded,) = run_all(ReferenceRunner(programs[large]), [larger])
    cut = [crop(output, place, faces, list(sample)) for place, output in enumerate(padded)]
    (expected,) = run_all(ReferenceRunner(programs[small]), [sample])
    return _are_same(cut, expected)


def rows_are_apart(programs: Sequence[Program], samples: Sequence[Sequence[Arrays]]) -> bool:
    """Returns whether rows that are computed in turns, by a program for fewer, are what they are together.

    Args:
        programs: In float, one a shape.
        samples: Samples for each.
    """
    faces = [_face(program) for program in programs]
    pairs = [(small, large) for small, large, axis in _pairs(faces) if axis == 0]
    return bool(pairs) and all(
        _is_apart(programs, samples[large][0], small, large, faces) for small, large in pairs
    )


def _is_apart(
    programs: Sequence[Program], sample: Arrays, small: int, large: int, faces: list[Any]
) -> bool:
    rows, total = (faces[one]["inputs"][0]["shape"][0] for one in (small, large))
    turns = range(0, total - rows + 1, rows)  # whole ones only
    parts = [tuple(array[at : at + rows] for array in sample) for at in turns]
    shapes = [tuple(spec["shape"]) for spec in faces[small]["inputs"]]
    if any([array.shape for array in part] != shapes for part in parts):
        return False
    results = run_all(ReferenceRunner(programs[small]), parts)
    (together,) = run_all(ReferenceRunner(programs[large]), [sample])
    count = len(parts) * rows
    apart = [np.concatenate(column) for column in zip(*results, strict=True)]
    return _are_same(apart, [output[:count] for output in together])


def _face(program: Program) -> dict[str, Any]:
    """Returns inputs and outputs as the bundle's runner reads them."""
    signature = program.signature
    sides = (("inputs", signature.inputs), ("outputs", signature.outputs))
    return {side: [{"shape": list(spec.shape)} for spec in specs] for side, specs in sides}


def _pairs(faces: Sequence[dict[str, Any]]) -> Iterator[tuple[int, int, int]]:
    """Yields a program, one for larger inputs, and the only axis along which these are larger."""
    shapes = [[spec["shape"] for spec in face["inputs"]] for face in faces]
    for small, large in itertools.permutations(range(len(faces)), 2):
        axes = smaller_axes(shapes[small], shapes[large])
        if axes is not None and len(axes) == 1:
            yield small, large, axes.pop()


def _are_same(values: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> bool:
    return all(
        a.shape == b.shape and _likeness(a, b).snr_db >= SAME_DB
        for a, b in zip(values, expected, strict=True)
    )


def _likeness(values: np.ndarray, expected: np.ndarray) -> Likeness:
    meter = LikenessMeter("")
    meter.add(expected, values)
    return meter.likeness()
