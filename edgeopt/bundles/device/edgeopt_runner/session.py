"""Calls a bundle's programs: by method, for inputs of any shape that it has, with the state that it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .bundle import USAGE, Stop
from .programs import interface, of_method, program_views

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Session", "crop", "pad", "smaller_axes", "varying_axes"]


class Session:
    """The programs of a bundle, each loaded when it is first called.

    Args:
        manifest: The bundle's manifest.
        load: From the view of a program (`program_views`) to what runs it: arrays in, a list of arrays out.
        initial: State to its value before the first call.
    """

    def __init__(self, manifest: dict[str, Any], load: Any, initial: dict[str, Any]) -> None:
        self._views = program_views(manifest)
        self._load = load
        self._models: dict[int, Any] = {}
        self._initial = initial
        self.states: dict[str, Any] = {}
        self.reset()

    def reset(self) -> None:
        """Puts every state back to what it was before the first call."""
        self.states = {name: np.array(value) for name, value in self._initial.items()}

    def inputs(self, method: str, arrays: list[Any]) -> list[dict[str, Any]]:
        """Returns what inputs of a method have to be like; of one that takes several shapes, of those of ``arrays``."""
        views = of_method(self._views, method)
        specs: list[dict[str, Any]] = interface(views[0])["inputs"]
        if len(views) == 1:
            return specs
        return [{**spec, "shape": list(np.shape(array))} for spec, array in zip(specs, arrays)]

    def call(self, method: str, inputs: list[Any]) -> list[Any]:
        """Returns the outputs of a method that are no state; what it writes is kept for the next call.

        Args:
            method: Its name; empty for the first.
            inputs: One array for each input that is no state, in order.

        Raises:
            Stop: There is no such method, or none of its programs takes inputs of these shapes.
        """
        views = of_method(self._views, method)
        rows = _rows_in_turn(views, inputs)
        if rows:
            parts = [
                [array[at : at + rows] for array in inputs] for at in range(0, len(inputs[0]), rows)
            ]
            columns = zip(*(self._call(views, part) for part in parts))
            return [np.concatenate(column) for column in columns]
        return self._call(views, inputs)

    def _call(self, views: list[dict[str, Any]], inputs: list[Any]) -> list[Any]:
        view = _fitting(views, inputs)
        specs = interface(view)["inputs"]
        padded = [pad(array, spec["shape"]) for array, spec in zip(inputs, specs)]
        outputs = self._run(view, dict(zip([spec["name"] for spec in specs], padded)))
        if all(np.shape(array) == tuple(spec["shape"]) for array, spec in zip(inputs, specs)):
            return outputs
        return [
            crop(out, place, [interface(view) for view in views], inputs)
            for place, out in enumerate(outputs)
        ]

    def _run(self, view: dict[str, Any], arrays: dict[str, Any]) -> list[Any]:
        if view["place"] not in self._models:
            self._models[view["place"]] = self._load(view)
        for name, state in view["reads"].items():
            arrays[name] = self.states[state]
        names = [spec["name"] for spec in view["signature"]["inputs"]]
        outputs = self._models[view["place"]](*[arrays[name] for name in names])
        several = isinstance(outputs, (list, tuple))
        outputs = [np.asarray(output) for output in (outputs if several else [outputs])]
        states = []
        for spec, output in zip(view["signature"]["outputs"], outputs):
            state = view["writes"].get(spec["name"])
            if state is None:
                states.append(output)
            else:
                self.states[state] = np.array(output)  # a runtime may hand out its own memory
        return states


def _fitting(views: list[dict[str, Any]], inputs: list[Any]) -> dict[str, Any]:
    """Returns the program for inputs of just these shapes, else the smallest that they can be filled up to."""
    shapes = [np.shape(array) for array in inputs]
    sizes = {id(view): [tuple(s["shape"]) for s in interface(view)["inputs"]] for view in views}
    exact = [view for view in views if sizes[id(view)] == shapes]
    if exact:
        return exact[0]
    varying = varying_axes([sizes[id(view)] for view in views])
    larger = [view for view in views if _fills(view, shapes, sizes[id(view)], varying)]
    if not larger:
        known = "; ".join(", ".join(str(list(size)) for size in sizes[id(view)]) for view in views)
        listing = ", ".join(str(list(shape)) for shape in shapes)
        raise Stop(
            USAGE, f"no program takes inputs of shape {listing}", f"there are some for: {known}"
        )
    return min(larger, key=lambda v: sum(float(np.prod(size)) for size in sizes[id(v)]))


def _fills(
    view: dict[str, Any], shapes: list[Any], sizes: list[Any], varying: list[list[Any]]
) -> bool:
    """Returns whether inputs may be filled up to a program's: along axes where that was seen to change nothing.

    What varies alike between the programs has to be equally long.
    """
    if smaller_axes(shapes, sizes) is None:
        return False
    lengths: dict[Any, set[int]] = {}
    for shape, size, axes in zip(shapes, sizes, varying):
        for axis, (have, want) in enumerate(zip(shape, size)):
            if have < want and (axes[axis] is None or axis not in view["pads"]):
                return False
            lengths.setdefault(axes[axis], set()).add(have)
    lengths.pop(None, None)
    return all(len(known) == 1 for known in lengths.values())


def varying_axes(sizes: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Returns for each axis of each input its sizes in all programs; None where they are all the same."""
    columns = [list(zip(*shapes)) for shapes in zip(*sizes)]
    return [[one if len(set(one)) > 1 else None for one in column] for column in columns]


def smaller_axes(shapes: Sequence[Any], sizes: Sequence[Any]) -> set[int] | None:
    """Returns the axes along which ``shapes`` are smaller than ``sizes``; None where one is larger, or of another rank."""
    if [len(shape) for shape in shapes] != [len(size) for size in sizes]:
        return None
    triples = [
        (axis, have, want)
        for shape, size in zip(shapes, sizes)
        for axis, (have, want) in enumerate(zip(shape, size))
    ]
    if any(have == 0 or have > want for _, have, want in triples):
        return None
    return {axis for axis, have, want in triples if have < want}


def _rows_in_turn(views: list[dict[str, Any]], inputs: list[Any]) -> int:
    """Returns how many rows the largest program takes, where there are more; 0 where they go at once."""
    if not inputs or not all(view["splits"] for view in views):
        return 0
    sizes = [[spec["shape"] for spec in interface(view)["inputs"]] for view in views]
    first = [axes[0] if axes else None for axes in varying_axes(sizes)]
    counts = {len(array) if np.ndim(array) else 0 for array in inputs}
    if len(counts) != 1 or len(set(first)) != 1 or first[0] is None:
        return 0
    most: int = max(first[0])
    return most if counts.pop() > most else 0


def pad(array: Any, shape: list[int]) -> Any:
    """Returns an array, filled up with zeros to a shape that is nowhere smaller."""
    missing = [(0, size - have) for have, size in zip(np.shape(array), shape)]
    return np.pad(array, missing) if any(more for _, more in missing) else array


def crop(output: Any, place: int, faces: list[dict[str, Any]], inputs: list[Any]) -> Any:
    """Returns an output without what comes of zeros that inputs were filled up with.

    Args:
        output: Of a program for a larger shape.
        place: Which output it is.
        faces: Inputs and outputs of each program of the method.
        inputs: As they were before.
    """
    for axis, (source, source_axis) in _axes(faces, place).items():
        size = np.shape(inputs[source])[source_axis]
        output = output[(slice(None),) * axis + (slice(size),)]
    return output


def _axes(faces: list[dict[str, Any]], place: int) -> dict[int, tuple[int, int]]:
    """Returns which axis of an output is as long as which axis of an input, of those that differ between programs."""
    outputs = [face["outputs"][place]["shape"] for face in faces]
    lengths: dict[Any, list[tuple[int, int]]] = {}
    for source in range(len(faces[0]["inputs"])):
        shapes = [face["inputs"][source]["shape"] for face in faces]
        for axis, sizes in enumerate(zip(*shapes)):
            lengths.setdefault(sizes, []).append((source, axis))
    return {
        axis: min(lengths[sizes], key=lambda place: place[1] != axis)
        for axis, sizes in enumerate(zip(*outputs))
        if len(set(sizes)) > 1 and sizes in lengths
    }
