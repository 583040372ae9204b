"""Program to artefact."""

from __future__ import annotations

from collections import Counter
from importlib import metadata
from typing import TYPE_CHECKING, Any

from edgeopt.contracts import Artifact
from edgeopt.errors import UnsupportedError
from edgeopt.ir import orders
from edgeopt_tflite.emitter import Emitter
from edgeopt_tflite.support import report_of

if TYPE_CHECKING:
    import torch

    from edgeopt.contracts import Progress, Target
    from edgeopt.ir import Program
    from edgeopt.ir.orders import Order
    from edgeopt_tflite.flatbuffer import Tensor
    from edgeopt_tflite.values import Held

__all__ = ["ENTRY", "compile_program", "tool_versions"]

ENTRY = "model.tflite"
_TOOLS = ("edgeopt-tflite", "ai-edge-litert", "flatbuffers")


def tool_versions() -> dict[str, str]:
    """Returns the versions of what writes and runs the file, of those that are installed."""
    found = {}
    for name in _TOOLS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def compile_program(
    program: Program,
    target: Target,
    progress: Progress | None = None,
) -> Artifact:
    """Returns the artefact of ``program``.

    Args:
        program: After the target passes.
        target: What it is for.
        progress: Told how far it is.

    Raises:
        UnsupportedError: A node cannot be written; carries the report.
        CompileError: A lowering failed.
    """
    emitter = Emitter(program)
    emitter.run()
    _require_support(emitter, program, target)
    if progress is not None:
        progress("compile", 1, 2)
    inputs, input_notes = _inputs(emitter)
    outputs, output_notes = _outputs(emitter)
    content = emitter.model.finish(inputs, outputs, f"edgeopt {program.precision} {target.name}")
    if progress is not None:
        progress("compile", 2, 2)
    return Artifact(
        backend="tflite",
        target=target.name,
        precision=program.precision,
        signature=program.signature,
        files={ENTRY: content},
        entry=ENTRY,
        metadata={"inputs": input_notes, "outputs": output_notes},
        program_digest=program.digest,
        tools=tool_versions(),
        operators=dict(sorted(Counter(code for code, _, _ in emitter.model.operators).items())),
        origins={emitter.model.name_of(i): name for i, name in sorted(emitter.origins.items())},
    )


def _require_support(emitter: Emitter, program: Program, target: Target) -> None:
    if not emitter.unsupported:
        return
    report = report_of(program, program, target, emitter)
    names = sorted({node.operator for node in report.unsupported})
    raise UnsupportedError(
        f"TFLite cannot run {', '.join(names) or 'an input of this model'}",
        where=report.unsupported[0].source if report.unsupported else None,
        hint="see the report for each node, or choose a backend that has them",
        report=report,
    )


def _inputs(e: Emitter) -> tuple[list[tuple[str, Tensor]], list[dict[str, Any]]]:
    """Returns the inputs that are read, and a note for each input of the signature."""
    used: list[tuple[str, Tensor]] = []
    notes = []
    names = zip(e.program.input_names, e.program.signature.inputs, strict=True)
    for name, spec in names:
        node = e.program.node(name)
        held = e.input(node)
        note = _note(e, node, held, None if held is None else len(used))
        notes.append(note)
        if held is not None:
            used.append((spec.name, held.tensor))
    return used, notes


def _outputs(e: Emitter) -> tuple[list[tuple[str, Tensor]], list[dict[str, Any]]]:
    """Returns the tensors that are returned, each once, and a note for each output."""
    made: list[tuple[str, Tensor]] = []
    places: dict[int, int] = {}
    notes = []
    names = zip(e.program.output_names, e.program.signature.outputs, strict=True)
    for name, spec in names:
        node = e.program.node(name)
        held = e.output(node)
        place = places.setdefault(held.tensor.index, len(made))
        if place == len(made):
            made.append((spec.name, held.tensor))
        notes.append(_note(e, node, held, place))
    return made, notes


def _note(e: Emitter, node: torch.fx.Node, held: Held | None, place: int | None) -> dict[str, Any]:
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
    return note
