"""What torch.export lets through and a program for a device cannot be: state, chance, branches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.export.graph_signature import InputKind, OutputKind

from edgeopt.errors import CaptureError
from edgeopt.ir.operators import traits_of
from edgeopt.ir.signature import SHAPE_OF_VALUES
from edgeopt.ir.source import operator_name, source_line

if TYPE_CHECKING:
    from torch.export import ExportedProgram

__all__ = ["STATISTICS", "refuse_unsuitable"]

_WRITES = frozenset(
    {
        *("copy", "fill", "zero", "index_copy", "index_put", "scatter"),
        *("as_strided_scatter", "diagonal_scatter", "select_scatter", "slice_scatter"),
    }
)
"""Operators that write to their first input, all of it or a part that the model chose."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Buffers that a normalization writes in training mode."""


def refuse_unsuitable(exported: ExportedProgram) -> None:
    """Checks that the graph is a pure function of its inputs.

    Raises:
        CaptureError: It writes to a buffer, draws random numbers, reads memory that it has not written,
            branches in the graph, takes a tensor without elements, or needs an object that is no tensor;
            says which and where.
    """
    _refuse_writes(exported)
    _refuse_empty_inputs(exported)
    for node in exported.graph.nodes:
        if node.op == "call_function":
            _refuse_branch(node)
            _refuse_chance(node)
            _refuse_unwritten(node)
            _refuse_sparse(node)
            _refuse_unknown_shape(node)
    for spec in exported.graph_signature.input_specs:
        if spec.kind in (InputKind.CUSTOM_OBJ, InputKind.TOKEN):
            raise CaptureError(
                f"{spec.target or spec.arg.name} is no tensor", hint="a program holds tensors only"
            )


def _refuse_writes(exported: ExportedProgram) -> None:
    nodes = {node.name: node for node in exported.graph.nodes}
    for spec in exported.graph_signature.output_specs:
        if spec.kind is not OutputKind.BUFFER_MUTATION:
            continue
        buffer = str(spec.target).removeprefix("edgeopt_model.")
        hint = (
            "a program remembers nothing between calls: take the state in and give it back, or name it: "
            f'edgeopt.deploy(edgeopt.Method(model, example_inputs, keeps=(…, "{buffer}")), …)'
        )
        if str(spec.target).endswith(STATISTICS):
            hint = "it was exported in training mode: call model.eval() before torch.export"
        raise CaptureError(
            f"the model writes to its buffer {buffer}",
            where=source_line(nodes[spec.arg.name]) or None,
            hint=hint,
        )


def _refuse_empty_inputs(exported: ExportedProgram) -> None:
    names = set(exported.graph_signature.user_inputs)
    for node in exported.graph.nodes:
        example = node.meta.get("val") if node.name in names else None
        if isinstance(example, torch.Tensor) and 0 in example.shape:
            raise CaptureError(
                f"the input {node.name} has no elements: its shape is {list(example.shape)}",
                where="example_inputs",
                hint="an artefact has the shapes of the example: pass inputs as the device will see them",
            )


def _refuse_branch(node: torch.fx.Node) -> None:
    if isinstance(node.target, torch._ops.HigherOrderOperator):  # noqa: SLF001 (no public name)
        raise CaptureError(
            f"{operator_name(node)} has graphs inside; a program is one graph",
            where=source_line(node) or node.name,
            hint="compute both branches and choose with torch.where, or decide outside the model",
        )


def _refuse_chance(node: torch.fx.Node) -> None:
    tags = getattr(node.target, "tags", ())
    if torch.Tag.nondeterministic_seeded not in tags or _is_calm(node):
        return
    hint = "an artefact must give the same answer each time: remove it, or pass the numbers in"
    if "dropout" in operator_name(node):
        hint = "dropout is on: pass training=self.training to F.dropout, and call model.eval()"
    raise CaptureError(
        f"{operator_name(node)} draws random numbers",
        where=source_line(node) or node.name,
        hint=hint,
    )


def _refuse_unwritten(node: torch.fx.Node) -> None:
    """Refuses what reads the memory that ``torch.empty`` and its kin make: anything may be there."""
    name = getattr(node.target, "_opname", "")
    if not name.startswith(("empty", "new_empty")) or not node.meta["val"].numel():
        return
    reader = _reader(node)
    if reader is not None:
        raise CaptureError(
            f"the model reads what {operator_name(node)} makes, and has written nothing to it",
            where=source_line(reader) or source_line(node) or node.name,
            hint="whatever lies in memory would count: use torch.zeros, or write to it",
        )


def _reader(memory: torch.fx.Node) -> torch.fx.Node | None:
    """Returns a node that reads numbers of ``memory`` or of a view of it, None where all only write to it."""
    for user in memory.users:
        if traits_of(user).shape_only:
            continue
        inputs = [value for value in user.all_input_nodes if value is not memory]
        first = bool(user.args) and user.args[0] is memory and memory not in user.args[1:]
        if first and getattr(user.target, "_opname", "") in _WRITES:
            continue
        reader = _reader(user) if first and not inputs and _is_view(user) else user
        if reader is not None:
            return reader
    return None


def _is_view(node: torch.fx.Node) -> bool:
    """Whether what a call makes is its first input's memory, by its schema."""
    arguments = node.target._schema.arguments if node.op == "call_function" else ()  # type: ignore[union-attr]  # noqa: SLF001
    alias = arguments[0].alias_info if arguments else None
    return alias is not None and not alias.is_write


def _refuse_sparse(node: torch.fx.Node) -> None:
    value = node.meta.get("val")
    if isinstance(value, torch.Tensor) and value.layout is not torch.strided:
        raise CaptureError(
            f"{operator_name(node)} makes a sparse tensor",
            where=source_line(node) or node.name,
            hint="runtimes have dense ones: call .to_dense(), or do this outside the model",
        )


def _refuse_unknown_shape(node: torch.fx.Node) -> None:
    from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols  # noqa: PLC0415 (slow)

    value = node.meta.get("val")
    if isinstance(value, torch.Tensor) and free_unbacked_symbols(value.shape):
        shape = ", ".join(str(size) for size in value.shape)
        raise CaptureError(
            f"a dimension of {operator_name(node)} is not known: ({shape})",
            where=source_line(node) or node.name,
            hint=SHAPE_OF_VALUES,
        )


def _is_calm(node: torch.fx.Node) -> bool:
    """Operators that draw only when told to: attention and recurrent layers without dropout."""
    arguments = {a.name: a.default_value for a in node.target._schema.arguments}  # type: ignore[union-attr]  # noqa: SLF001
    names = [a.name for a in node.target._schema.arguments]  # type: ignore[union-attr]  # noqa: SLF001
    arguments.update(zip(names, node.args, strict=False))
    arguments.update(node.kwargs)
    chance = [arguments[name] for name in ("dropout_p", "dropout", "p") if name in arguments]
    training = arguments.get("train", arguments.get("training", True))
    return (bool(chance) and not any(chance)) or not training
