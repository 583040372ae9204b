"""A pruned model on disk: ``structure.json`` and ``weights.safetensors``, and no code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.boundary import decode_json, read_file, read_tensors
from edgeopt.errors import InputError
from edgeopt.files import replacing
from edgeopt.ir.program import Step
from edgeopt.ir.record import record_step, recorded_steps
from edgeopt.pruning.report import PruningReport

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch


__all__ = ["changes", "load_pruned", "save_module"]


_MAX_STRUCTURE = 64 << 20
_STRUCTURE, _WEIGHTS = "structure.json", "weights.safetensors"
_Value = int | list[int]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    modules: dict[str, dict[str, tuple[_Value, _Value]]]
    shapes: dict[str, list[int]]
    aliases: dict[str, str]
    report: PruningReport | None = None
    history: tuple[Step, ...] = ()


def changes(before: torch.nn.Module, after: torch.nn.Module) -> dict[str, dict[str, list[Any]]]:
    """Returns module name to its integer attributes that differ, as ``[before, after]``."""
    old = dict(before.named_modules())
    differences = {
        name: _attributes(old[name], module)
        for name, module in after.named_modules()
        if name in old
    }
    return {name: attributes for name, attributes in differences.items() if attributes}


def _attributes(old: torch.nn.Module, new: torch.nn.Module) -> dict[str, list[Any]]:
    kinds = (int, tuple, list)
    return {
        key: [_plain(vars(old)[key]), _plain(value)]
        for key, value in vars(new).items()
        if not key.startswith("_")
        and isinstance(value, kinds)
        and not isinstance(value, bool)
        and isinstance(vars(old).get(key), kinds)
        and _plain(vars(old)[key]) != _plain(value)
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, list)) else value


def save_module(
    module: torch.nn.Module,
    structure: dict[str, dict[str, list[Any]]],
    path: Path | str,
    *,
    report: PruningReport | None = None,
) -> Path:
    """Returns ``path``, a folder that `load_pruned` reads.

    Args:
        module: What is saved, with what it has been through.
        structure: What `changes` says of it beside the architecture that it will be built from.
        path: The folder; one with a pruned model is replaced as a whole.
        report: Of the pruning, where there was one.

    Raises:
        InputError: There is a file at ``path``, or a folder that holds anything else.
        OSError: The system did not let it be written; what lay there still does.
    """
    from safetensors.torch import save_file  # noqa: PLC0415

    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise InputError("there is a file", where=str(folder), hint="name a folder")
    if folder.exists() and {entry.name for entry in folder.iterdir()} - {_STRUCTURE, _WEIGHTS}:
        hint = "name a new folder, or one that holds a pruned model"
        raise InputError("holds something else", where=str(folder), hint=hint)
    tensors, aliases = _unique(module)
    record = _File(
        format=1,
        modules={n: {k: (a, b) for k, (a, b) in v.items()} for n, v in structure.items()},
        shapes={name: list(tensor.shape) for name, tensor in tensors.items()},
        aliases=aliases,
        report=report,
        history=recorded_steps(module),
    )
    with replacing(folder) as new:
        new.mkdir()
        save_file(tensors, new / _WEIGHTS)
        (new / _STRUCTURE).write_bytes(msgspec.json.format(msgspec.json.encode(record)))
    return folder


def _tensors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    tensors.update(model.named_parameters(remove_duplicate=False))
    tensors.update(model.named_buffers(remove_duplicate=False))
    return tensors


def _unique(model: torch.nn.Module) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    first: dict[int, str] = {}
    tensors, aliases = {}, {}
    for name, tensor in _tensors(model).items():
        if id(tensor) in first:
            aliases[name] = first[id(tensor)]
            continue
        first[id(tensor)] = name
        tensors[name] = tensor.detach().clone().contiguous()
    return tensors, aliases


def load_pruned(
    path: Path | str, model: torch.nn.Module | Callable[[], torch.nn.Module]
) -> torch.nn.Module:
    """Returns the pruned model in eval mode, built from the unpruned architecture.

    Args:
        path: The folder that `Pruned.save` wrote.
        model: A module of the unpruned architecture (a copy of it is changed), or what makes one.
            Its weights do not matter.

    Raises:
        InputError: There is no such folder, it is damaged, or the model is another one; says where.
    """
    import copy  # noqa: PLC0415

    import torch  # noqa: PLC0415

    record, weights = _read(Path(path))
    built = copy.deepcopy(model) if isinstance(model, torch.nn.Module) else model()
    _fit(built, record, weights)
    modules = dict(built.named_modules())
    for name, attributes in record.modules.items():
        for key, (_, new) in attributes.items():
            kind = type(getattr(modules[name], key))
            setattr(modules[name], key, kind(new))
    _fill(built, record, weights)
    for step in record.history[len(recorded_steps(built)) :]:
        record_step(built, step)
    return built.eval()


def _read(folder: Path) -> tuple[_File, dict[str, torch.Tensor]]:
    where, hint = str(folder), "pass the folder that Pruned.save wrote"
    content = read_file(folder / _STRUCTURE, most=_MAX_STRUCTURE, hint=hint)
    place = f"{where}, {_STRUCTURE}"
    record = decode_json(content, _File, where=place, hint="it is damaged: save it again")
    weights = read_tensors(folder / _WEIGHTS, hint=hint)
    if record.format != 1:
        raise InputError(f"format {record.format} is not known", where=where, hint="update edgeopt")
    if {name: list(t.shape) for name, t in weights.items()} != record.shapes:
        raise InputError("weights and structure are of two models", where=where)
    return record, weights


def _fit(model: torch.nn.Module, record: _File, weights: dict[str, torch.Tensor]) -> None:
    hint = "build the model with the configuration that it had before it was pruned"
    modules = dict(model.named_modules())
    for name, attributes in record.modules.items():
        if name not in modules:
            raise InputError("the model has no such module", where=name, hint=hint)
        for key, pair in attributes.items():
            value = _plain(vars(modules[name]).get(key))
            if value != pair[0] or type(pair[0]) is not type(pair[1]):
                what = f"{key} is {value}, it was {pair[0]} when pruned"
                raise InputError(what, where=name, hint=hint)
    have, need = set(_tensors(model)), {*weights, *record.aliases}
    for name in sorted(have ^ need):
        what = "not in the saved weights" if name in have else "the model has no such tensor"
        raise InputError(what, where=name, hint=hint)
    for name, tensor in _tensors(model).items():
        saved = weights[record.aliases.get(name, name)]
        if saved.dim() != tensor.dim():
            what = f"shape {list(saved.shape)} saved, {list(tensor.shape)} built"
            raise InputError(what, where=name, hint=hint)


def _fill(model: torch.nn.Module, record: _File, weights: dict[str, torch.Tensor]) -> None:
    from torch import nn  # noqa: PLC0415

    tensors: dict[str, torch.Tensor] = {}
    for name, old in _tensors(model).items():
        key = record.aliases.get(name, name)
        if key not in tensors:
            grad = old.requires_grad
            is_parameter = isinstance(old, nn.Parameter)
            tensors[key] = nn.Parameter(weights[key], grad) if is_parameter else weights[key]
        owner, _, leaf = name.rpartition(".")
        module = model.get_submodule(owner)
        (module._parameters if leaf in module._parameters else module._buffers)[leaf] = tensors[key]  # type: ignore[assignment]  # noqa: SLF001
