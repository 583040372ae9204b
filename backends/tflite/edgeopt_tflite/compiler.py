"""Writes the file of an emitted program, and what its runner must know."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from edgeopt.ir import orders
from edgeopt.lowering import ModelFiles

if TYPE_CHECKING:
    import torch

    from edgeopt.ir.orders import Order
    from edgeopt_tflite.emitter import Emitter
    from edgeopt_tflite.flatbuffer import Tensor
    from edgeopt_tflite.values import Copy

__all__ = ["ENTRY", "model_files"]

ENTRY = "model.tflite"


def model_files(e: Emitter, description: str) -> ModelFiles:
    """Returns the file of what ``e`` has written.

    Args:
        e: The emitter, after its run; it has refused nothing.
        description: What the file says of itself.
    """
    inputs, input_notes = _inputs(e)
    outputs, output_notes = _outputs(e)
    return ModelFiles(
        ENTRY,
        {ENTRY: e.model.finish(inputs, outputs, description)},
        metadata={"inputs": input_notes, "outputs": output_notes},
        operators=Counter(code for graph in e.model.graphs for code, _, _ in graph.operators),
        origins={e.model.name_of(i): name for i, name in sorted(e.origins.items())},
    )


def _inputs(e: Emitter) -> tuple[list[tuple[str, Tensor]], list[dict[str, Any]]]:
    """Returns the inputs that are read, and a note for each input of the signature."""
    used: list[tuple[str, Tensor]] = []
    notes = []
    names = zip(e.program.input_names, e.program.signature.inputs, strict=True)
    for name, spec in names:
        node = e.program.node(name)
        port = e.input(node)
        note = _note(e, node, port, None if port is None else len(used))
        notes.append(note)
        if port is not None:
            used.append((spec.name, port.tensor))
    return used, notes


def _outputs(e: Emitter) -> tuple[list[tuple[str, Tensor]], list[dict[str, Any]]]:
    """Returns the tensors that are returned, each once, and a note for each output."""
    tensors: list[tuple[str, Tensor]] = []
    places: dict[int, int] = {}
    notes = []
    names = zip(e.program.output_names, e.program.signature.outputs, strict=True)
    for name, spec in names:
        node = e.program.node(name)
        port = e.outputs[name]
        place = places.setdefault(port.tensor.index, len(tensors))
        if place == len(tensors):
            tensors.append((spec.name, port.tensor))
        notes.append(_note(e, node, port, place))
    return tensors, notes


def _note(e: Emitter, node: torch.fx.Node, held: Copy | None, place: int | None) -> dict[str, Any]:
    shape = list(e.shape(node))
    order: Order = orders.identity(len(shape)) if held is None else held.order
    note: dict[str, Any] = {
        "tensor": place,
        "dtype": e.dtype(node),
        "shape": shape,
        "order": list(order),
    }
    grid = None if held is None else held.tensor.grid
    if grid is not None:
        note["scale"] = float(grid.scale[0])
        note["zero_point"] = int(grid.zero_point[0])
        note["ends"] = [grid.q_min, grid.q_max]
    return note
