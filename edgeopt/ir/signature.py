"""Reads inputs and outputs off an ExportedProgram: names, shapes, dtypes, structure."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch.export.graph_signature import OutputKind, TensorArgument
from torch.utils import _pytree as pytree

from edgeopt.contracts.signature import Signature, TensorSpec
from edgeopt.errors import CaptureError
from edgeopt.ir.program import Program
from edgeopt.ir.source import source_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.export import ExportedProgram

__all__ = ["SHAPE_OF_VALUES", "read_signature"]

SHAPE_OF_VALUES = (
    "the shape depends on the values of a tensor (indexing with a mask, nonzero, item). "
    "Keep the shape and mask with torch.where instead, or do this after the model"
)
"""What to do where a program has no fixed shape."""


def read_signature(exported: ExportedProgram) -> Signature:
    """Returns the signature of ``exported``.

    Raises:
        CaptureError: A dimension is not known, or no tensor comes out.
    """
    program = Program(exported=exported, signature=Signature((), ()))
    if not program.output_names:
        raise CaptureError(
            "the model returns no tensor", hint="return what the device shall compute"
        )
    shown = _output_names(exported)
    return Signature(
        inputs=tuple(_spec(program.node(name), name) for name in program.input_names),
        outputs=tuple(
            _spec(program.node(name), label)
            for name, label in zip(program.output_names, shown, strict=True)
        ),
        in_tree=_tree(exported.call_spec.in_spec),
        out_tree=_tree(exported.call_spec.out_spec),
    )


def _spec(node: torch.fx.Node, name: str) -> TensorSpec:
    value = node.meta["val"]
    unknown = [d for d in value.shape if isinstance(d, torch.SymInt)]
    if unknown:
        raise CaptureError(
            f"a dimension of {name} is not known: {tuple(value.shape)}",
            where=source_line(node) or name,
            hint=_fixing_hint(str(unknown[0])),
        )
    dtype = str(value.dtype).removeprefix("torch.")
    if value.dtype is torch.bfloat16:
        raise CaptureError(
            f"{name} is bfloat16, which numpy and so the interface of an artefact does not have",
            where=source_line(node) or name,
            hint="take and return float32: .float() in the model",
        )
    return TensorSpec(name, tuple(int(d) for d in value.shape), dtype)


def _fixing_hint(symbol: str) -> str:
    if symbol.startswith(("u", "zu")):
        return SHAPE_OF_VALUES
    return "export without dynamic_shapes: one artefact has one shape"


def _output_names(exported: ExportedProgram) -> list[str]:
    """Returns the key or field of each tensor that is returned, else ``output_<index>``."""
    specs = [s for s in exported.graph_signature.output_specs if s.kind is OutputKind.USER_OUTPUT]
    is_tensor = [isinstance(s.arg, TensorArgument) for s in specs]
    try:
        tree = pytree.tree_unflatten(range(len(specs)), exported.call_spec.out_spec)
    except (TypeError, ValueError):
        tree = tuple(range(len(specs)))
    names = dict(_named(tree, ""))
    labels = [names.get(i, "") for i, tensor in enumerate(is_tensor) if tensor]
    unique = len(set(labels)) == len(labels)
    return [
        label if unique and label and not label[0].isdigit() else f"output_{index}"
        for index, label in enumerate(labels)
    ]


def _named(held: Any, path: str) -> Iterator[tuple[int, str]]:
    if isinstance(held, int):
        yield held, path
        return
    for key, part in _entries(held):
        yield from _named(part, f"{path}_{key}" if path else str(key))


def _entries(held: Any) -> list[tuple[Any, Any]]:
    if isinstance(held, Mapping):
        return list(held.items())
    if hasattr(held, "_fields"):
        return list(zip(held._fields, held, strict=True))
    if isinstance(held, (tuple, list)):
        return list(enumerate(held))
    if dataclasses.is_dataclass(held):
        return [(f.name, getattr(held, f.name)) for f in dataclasses.fields(held)]
    return []


def _tree(spec: Any) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pytree.treespec_dumps(spec)
    except (NotImplementedError, TypeError, ValueError):
        return ""
