"""Takes a PyTorch module (or an ExportedProgram) into the IR."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from edgeopt.contracts.signature import Signature, TensorSpec
from edgeopt.errors import CaptureError, EdgeoptError, InputError
from edgeopt.ir.edit import Editor
from edgeopt.ir.inputs import as_call, infer_example_inputs
from edgeopt.ir.program import Program, Step
from edgeopt.ir.source import source_line

__all__ = ["capture_module"]


def capture_module(model: torch.nn.Module | ExportedProgram, example_inputs: Any = None) -> Program:
    """Returns the program of ``model``: functional ATen operators, shapes fixed to the example.

    Args:
        model: A module in eval mode, or an ExportedProgram.
        example_inputs: A tensor, a tuple of tensors, or a dict of them by argument name. May be
            left out where the model names its inputs itself.

    Raises:
        InputError: The model is in training mode, or its inputs are not known.
        CaptureError: torch.export could not capture it; carries its words and the source line.
    """
    exported = model if isinstance(model, ExportedProgram) else _export(model, example_inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = exported.run_decompositions(_recurrent())
    program = Program(exported=exported, signature=_signature(exported))
    step = Step("capture", {}, {"nodes": len(exported.graph_module.graph.nodes)})
    return Editor(program).finish(step)


def _export(model: torch.nn.Module, example_inputs: Any) -> ExportedProgram:
    if not isinstance(model, torch.nn.Module):
        raise InputError(
            f"expected a torch.nn.Module or an ExportedProgram, got a {type(model).__name__}"
        )
    _require_eval(model)
    if example_inputs is None:
        example_inputs = infer_example_inputs(model)
    if example_inputs is None:
        raise InputError(
            f"{type(model).__name__} does not say what it takes",
            where="example_inputs",
            hint="pass example_inputs=(tensor,) with the shape and dtype it will see on the device",
        )
    args, kwargs = as_call(example_inputs)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            return torch.export.export(model, args, kwargs, strict=False)
        except EdgeoptError:
            raise
        except Exception as error:  # torch raises dozens of types here
            raise _explained(error, model) from error


def _recurrent() -> dict[Any, Any]:
    """Returns what unrolls LSTM and GRU into one linear a step; all else stays as it is."""
    from torch._decomp import decompositions as table  # noqa: PLC0415 (only used here)

    aten = torch.ops.aten
    return {aten.lstm.input: table.lstm_impl, aten.gru.input: table.gru_impl}


def _require_eval(model: torch.nn.Module) -> None:
    training = [
        name or type(model).__name__
        for name, module in model.named_modules()
        if module.training and not _stateless(module)
    ]
    if model.training or training:
        where = ", ".join(training[:3]) or type(model).__name__
        raise InputError(
            "the module is in training mode: dropout and batch norm would act",
            where=where,
            hint="call model.eval() before passing it",
        )


def _stateless(module: torch.nn.Module) -> bool:
    """A container or activation that was added after ``eval()`` does no harm."""
    acts = (torch.nn.modules.batchnorm._NormBase, torch.nn.modules.dropout._DropoutNd)  # noqa: SLF001
    return not isinstance(module, acts)


def _explained(error: Exception, model: torch.nn.Module) -> CaptureError:
    text = str(error).strip()
    first = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    own = [f for f in re.findall(r'File "([^"]+)", line (\d+)', text) if "/torch/" not in f[0]]
    where = f"{own[-1][0].rsplit('/', 1)[-1]}:{own[-1][1]}" if own else type(model).__name__
    hint = "see the chained error of torch.export"
    if "data-dependent" in text or "GuardOnDataDependent" in type(error).__name__:
        hint = (
            "the model decides on the values of a tensor; an exported program cannot. Replace the "
            "Python if/while with torch.where or torch.cond, or move it out of the model"
        )
    return CaptureError(f"torch.export: {first.strip()}", where=where, hint=hint)


def _signature(exported: ExportedProgram) -> Signature:
    nodes = {node.name: node for node in exported.graph_module.graph.nodes}
    program = Program(exported=exported, signature=Signature((), ()))
    in_tree, out_tree = _tree(exported.call_spec.in_spec), _tree(exported.call_spec.out_spec)
    shown_names = _output_names(exported, len(program.output_names))
    return Signature(
        inputs=tuple(_spec(nodes[name], name) for name in program.input_names),
        outputs=tuple(
            _spec(nodes[name], shown)
            for name, shown in zip(program.output_names, shown_names, strict=True)
        ),
        in_tree=in_tree,
        out_tree=out_tree,
    )


def _spec(node: torch.fx.Node, name: str) -> TensorSpec:
    value = node.meta["val"]
    if any(isinstance(d, torch.SymInt) for d in value.shape):
        raise CaptureError(
            f"a dimension of {name} is dynamic: {tuple(value.shape)}",
            where=source_line(node) or name,
            hint="export without dynamic_shapes: one artefact has one shape",
        )
    dtype = str(value.dtype).removeprefix("torch.")
    return TensorSpec(name, tuple(int(d) for d in value.shape), dtype)


def _output_names(exported: ExportedProgram, count: int) -> list[str]:
    """Returns the keys of a flat dict's or dataclass's entries, else ``output_<index>``."""
    names = [f"output_{index}" for index in range(count)]
    try:
        held = pytree.tree_unflatten(range(count), exported.call_spec.out_spec)
    except (TypeError, ValueError):
        return names
    for key, index in held.items() if isinstance(held, Mapping) else ():
        if isinstance(index, int):
            names[index] = str(key)
    return names


def _tree(spec: Any) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pytree.treespec_dumps(spec)
    except (NotImplementedError, TypeError, ValueError):
        return ""
