"""Takes a PyTorch module (or an ExportedProgram) into the IR."""

from __future__ import annotations

import dataclasses
import traceback
import warnings
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind, OutputSpec
from torch.utils import _pytree as pytree

from edgeopt.data.calls import as_call, infer_example_inputs
from edgeopt.errors import CaptureError, EdgeoptError, InputError
from edgeopt.ir.decided import decided
from edgeopt.ir.decompositions import decompositions
from edgeopt.ir.edit import Editor
from edgeopt.ir.numbers_read import use_tensors_for_numbers
from edgeopt.ir.operators import traits_of
from edgeopt.ir.program import Program, Step
from edgeopt.ir.record import recorded_steps
from edgeopt.ir.recurrence import shapes_only
from edgeopt.ir.refusals import STATISTICS, refuse_unsuitable
from edgeopt.ir.selections import compute_selections_whole
from edgeopt.ir.signature import SHAPE_OF_VALUES, read_signature
from edgeopt.ir.source import is_standard, is_torch, short_path, shorten_trace
from edgeopt.ir.tracing import traced, tried

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edgeopt.ir.decided import Decisions

__all__ = ["capture_module"]


def capture_module(model: torch.nn.Module | ExportedProgram, example_inputs: Any = None) -> Program:
    """Returns the program of ``model``: functional ATen operators, shapes fixed to the example.

    The program has weights of its own: training the model further does not change it. Its history
    begins with what the model has been through (`edgeopt.prune`, `edgeopt.distill`).

    Args:
        model: A module in eval mode, or an ExportedProgram.
        example_inputs: A tensor, a tuple of tensors, or a dict of them by argument name. May be
            left out where the model names its inputs itself.

    Raises:
        InputError: The model is in training mode, or its inputs are not known.
        CaptureError: torch.export could not capture it (carries its words and the source line),
            or what it captured is not a pure function of its inputs.
    """
    exported, is_decided = (
        (model, False) if isinstance(model, ExportedProgram) else _export(model, example_inputs)
    )
    exported = _decomposed(exported, model)
    _drop_unread_writes(exported, is_decided=is_decided)
    compute_selections_whole(exported.graph)
    use_tensors_for_numbers(exported.graph)
    refuse_unsuitable(exported)
    before = recorded_steps(model)
    editor = Editor(Program(exported, read_signature(exported), history=before))
    editor.constants = _copied(editor.constants)
    for node in editor.calls():
        node.meta["stack_trace"] = shorten_trace(node.meta.get("stack_trace") or "")
    return editor.finish(Step("capture", {}, {"nodes": len(exported.graph.nodes)}))


def _decomposed(exported: ExportedProgram, model: Any) -> ExportedProgram:
    plain = torch.autocast("cpu", enabled=False)
    with warnings.catch_warnings(), plain, shapes_only():
        warnings.simplefilter("ignore")
        try:
            decomposed: ExportedProgram = exported.run_decompositions(dict(decompositions()))
        except EdgeoptError:
            raise
        except Exception as error:  # torch raises dozens of types here
            raise _explained(error, model) from error
    return decomposed


def _export(model: torch.nn.Module, example_inputs: Any) -> tuple[ExportedProgram, bool]:
    """Returns the export, and whether numbers that the model read off its own tensors are part of it."""
    if not isinstance(model, torch.nn.Module):
        raise InputError(
            f"expected a torch.nn.Module or an ExportedProgram, got {type(model).__name__!r}"
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
    _require_plain(model)
    _require_python(model)
    try:
        return _exported(model, args, kwargs), False
    except EdgeoptError:
        raise
    except Exception as error:  # torch raises dozens of types here
        if _register_outputs(model, args, kwargs):
            return _export(model, example_inputs)
        exported = _exported_as_decided(model, args, kwargs)
        if exported is None:
            raise _explained(error, model) from error
        return exported, True


def _require_plain(model: torch.nn.Module) -> None:
    """Refuses parameters that are not float32 on the CPU, where all of edgeopt computes."""
    for name, tensor in model.named_parameters():
        kind = tensor.dtype if tensor.is_floating_point() else torch.float32
        if kind is not torch.float32 or tensor.device.type != "cpu":
            kind_name = str(tensor.dtype).removeprefix("torch.")
            raise InputError(
                f"{name} is {kind_name} on {tensor.device.type}; a model is captured in float32 on the CPU",
                where="model",
                hint="pass model.float().cpu(), and example inputs of the same kind",
            )


def _require_python(model: torch.nn.Module) -> None:
    """Refuses what was compiled by TorchScript: torch.export reads Python."""
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise InputError(
                "TorchScript cannot be captured",
                where=name or type(module).__name__,
                hint="pass the torch.nn.Module that torch.jit.script or torch.jit.trace was given",
            )


def _exported(
    model: torch.nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    decisions: Decisions | None = None,
) -> ExportedProgram:
    args, kwargs = _distinct(args, kwargs)
    plain = torch.autocast("cpu", enabled=False)  # precision is chosen later, by quantization
    known = decisions or nullcontext()
    with warnings.catch_warnings(), torch.no_grad(), plain, traced(model), shapes_only(), known:
        warnings.simplefilter("ignore")
        return torch.export.export(model, args, kwargs, strict=False)


def _exported_as_decided(
    model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> ExportedProgram | None:
    """Returns the export in which numbers that no input reaches are known, or None where that does not help."""
    try:
        with warnings.catch_warnings(), tried(model):
            warnings.simplefilter("ignore")
            decisions = decided(model, *_distinct(args, kwargs))
        exported = _exported(model, args, kwargs, decisions) if decisions.are_any else None
    except Exception:  # noqa: BLE001 (the export's first error says what the user should know)
        return None
    return exported if decisions.are_used_up else None


def _distinct(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """Returns copies of the inputs: torch would take one that comes again, or is a buffer, for the other."""

    def own(value: Any) -> Any:
        return value.detach().clone() if isinstance(value, torch.Tensor) else value

    distinct: tuple[Any, Any] = pytree.tree_map(own, (args, kwargs))
    return distinct


def _register_outputs(
    model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> bool:
    """Returns whether the model gave back a dataclass that torch.export now knows."""
    try:
        args, kwargs = _distinct(args, kwargs)
        with warnings.catch_warnings(), tried(model):
            warnings.simplefilter("ignore")
            returned = model(*args, **kwargs)
    except Exception:  # noqa: BLE001 (export's own error says more)
        return False
    kind = type(returned)
    if not dataclasses.is_dataclass(returned) or kind in pytree.SUPPORTED_NODES:
        return False
    name = f"{kind.__module__}.{kind.__qualname__}"  # without it no program could be saved
    torch.export.register_dataclass(kind, serialized_type_name=name)
    return True


def _require_eval(model: torch.nn.Module) -> None:
    training = [
        name or type(model).__name__
        for name, module in model.named_modules()
        if module.training and _acts_in_training(module)
    ]
    if model.training or training:
        where = ", ".join(training[:3]) or type(model).__name__
        raise InputError(
            "the module is in training mode: dropout and batch norm would act",
            where=where,
            hint="call model.eval() before passing it",
        )


def _acts_in_training(module: torch.nn.Module) -> bool:
    """A container or activation that was added after ``eval()`` does no harm."""
    acts = (torch.nn.modules.batchnorm._NormBase, torch.nn.modules.dropout._DropoutNd)  # noqa: SLF001
    return isinstance(module, acts)


def _drop_unread_writes(exported: ExportedProgram, *, is_decided: bool) -> None:
    """Drops writes that change nothing for a later call.

    They are those to inputs, which are the caller's, to buffers that only count, and of a buffer to itself.

    Args:
        exported: In functional form.
        is_decided: Whether the model read numbers off its own tensors: it may have read any buffer.
    """
    buffers = exported.graph_signature.inputs_to_buffers
    output = exported.graph.output_node()
    specs = list(zip(exported.graph_signature.output_specs, output.args[0], strict=True))
    results = [value for spec, value in specs if spec.kind is OutputKind.USER_OUTPUT]
    read = {buffers.get(node.name) for node in _reaching(results)}

    def is_kept(spec: OutputSpec, value: Any) -> bool:
        if spec.kind is OutputKind.BUFFER_MUTATION:
            while (
                traits_of(value).copies
                and value.meta["val"].dtype == value.args[0].meta["val"].dtype
            ):
                value = value.args[0]
            changes = buffers.get(value.name) != spec.target
            counts = is_decided or spec.target in read or str(spec.target).endswith(STATISTICS)
            return changes and counts
        return spec.kind is not OutputKind.USER_INPUT_MUTATION

    results_left = [(spec, value) for spec, value in specs if is_kept(spec, value)]
    exported.graph_signature.output_specs = [spec for spec, _ in results_left]
    output.args = (tuple(value for _, value in results_left),)


def _reaching(results: Iterable[Any]) -> set[torch.fx.Node]:
    """Returns the nodes that ``results`` are computed of, and themselves."""
    sources: set[torch.fx.Node] = set()
    waiting = [value for value in results if isinstance(value, torch.fx.Node)]
    while waiting:
        node = waiting.pop()
        if node not in sources:
            sources.add(node)
            waiting += node.all_input_nodes
    return sources


def _copied(constants: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Returns copies; constants that were one tensor (tied weights) stay one."""
    copies: dict[Any, torch.Tensor] = {}
    result = {}
    for name, tensor in constants.items():
        place = (tensor.untyped_storage().data_ptr(), tensor.storage_offset())
        key = (*place, tensor.shape, tensor.stride(), tensor.dtype)
        result[name] = copies.setdefault(key, tensor.clone())
    return result


def _explained(error: Exception, model: torch.nn.Module) -> CaptureError:
    text = str(error).strip()
    first = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    where = _own_frame(error) or type(model).__name__
    return CaptureError(f"torch.export: {first.strip()}", where=where, hint=_hint(error, text))


def _hint(error: Exception, text: str) -> str:
    kind = type(error).__name__
    if "DynamicOutputShape" in kind or "PendingUnbacked" in kind:
        return SHAPE_OF_VALUES
    if "data-dependent" in text or "DataDependent" in kind:
        return (
            "the model decides on the values of a tensor; an exported program cannot. Compute both "
            "sides and choose with torch.where, or decide outside the model; a mask that hides nothing can "
            "mostly be left out"
        )
    if "not a known type" in text:
        return "return tensors, or tuples, lists, dicts or dataclasses of them: wrap the model in a module that does"
    return "see the chained error of torch.export"


def _own_frame(error: BaseException) -> str:
    """Returns ``file:line`` of the innermost frame of the model's code in the traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        f
        for f in frames
        if not is_torch(f.filename) and not is_standard(f.filename) and f.filename != __file__
    ]
    return f"{short_path(own[-1].filename)}:{own[-1].lineno}" if own else ""
