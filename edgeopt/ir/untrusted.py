"""Reads graphs that somebody else wrote, without running what they wrote.

torch.export's files are not safe to open as they come: its loader unpickles, imports classes by
name, evaluates dimensions given as expressions, writes names into Python code that it executes,
turns guards into code, and loads shared libraries. So it is not used. The container and its tensors
are read here; the graph is decoded into types that have no place for code, and written anew.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.boundary import decode_json, read_file, stored_members
from edgeopt.errors import EdgeoptError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch
    from torch.export import ExportedProgram

    from edgeopt.ir.graph_schema import Payload

__all__ = ["exported_program", "load_exported", "read_exported"]

_HINT = "save it again with torch.export.save, from a model without dynamic_shapes, on the CPU"
_MODEL = "models/model.json"
_WEIGHTS, _CONSTANTS = "data/weights/", "data/constants/"
_CONFIGS = {
    _WEIGHTS: _WEIGHTS + "model_weights_config.json",
    _CONSTANTS: _CONSTANTS + "model_constants_config.json",
}
_TENSORS = (_WEIGHTS + "weight_", _CONSTANTS + "tensor_")
_SAMPLES = "data/sample_inputs/model.pt"
_FACTS = {"archive_format": b"pt2", "archive_version": b"0", "byteorder": b"little"}
_KNOWN = {_MODEL, _SAMPLES, *_CONFIGS.values(), *_FACTS, ".data/version", ".data/serialization_id"}
_MAX_FILE = 32 << 30
_MAX_CONFIG = 16 << 20
_SPARE = 64 << 20
"""Bytes that all weights of a file may have more than the file: tensors that repeat themselves."""


def load_exported(path: Path | str) -> ExportedProgram:
    """Returns the ExportedProgram in a ``.pt2`` file, as `read_exported` does."""
    return read_exported(path)[0]


def read_exported(path: Path | str) -> tuple[ExportedProgram, Any]:
    """Returns the ExportedProgram in a ``.pt2`` file, and its example inputs; it runs nothing.

    The example inputs are ``(args, kwargs)``, or None. The program does not hold them itself: torch
    would write their structure into code that checks later inputs.

    Raises:
        InputError: It is not such a file, or holds what cannot be read safely: custom objects,
            compiled libraries, pickled weights, classes of its own, dynamic dimensions.
    """
    where = str(path)
    if not Path(path).exists():
        raise InputError("no such file", where=where)
    members = _members(read_file(path, most=_MAX_FILE), where)
    spare = [_SPARE]
    state = dict(_tensors(members, _WEIGHTS, where, spare))
    constants = dict(_tensors(members, _CONSTANTS, where, spare))
    exported = exported_program(members[_MODEL], state, constants, where=where, hint=_HINT)
    if not members.get(_SAMPLES):
        return exported, None
    from edgeopt.ir.sample_inputs import read_sample_inputs  # noqa: PLC0415 (torch)

    return exported, read_sample_inputs(members[_SAMPLES], where=f"{where}, {_SAMPLES}")


def exported_program(
    graph: bytes | memoryview,
    state: dict[str, torch.Tensor],
    constants: dict[str, torch.Tensor],
    *,
    where: str,
    error: type[EdgeoptError] = InputError,
    hint: str | None = None,
) -> ExportedProgram:
    """Returns the program of a graph in torch.export's JSON schema.

    Args:
        graph: The JSON text. Only what `edgeopt.ir.graph_schema` knows of it reaches torch.
        state: Parameters and buffers by name.
        constants: Other tensors by name.
        where: The file, for the error.
        error: What to raise.
        hint: What to do next, for the error.

    Raises:
        EdgeoptError: It holds what could be executed, or is damaged.
    """
    from torch._export.serde import schema  # noqa: PLC0415 (heavy)
    from torch._export.serde import serialize as serde  # noqa: PLC0415

    from edgeopt.ir.graph_schema import ExportedGraph  # noqa: PLC0415 (torch)

    document = decode_json(graph, ExportedGraph, where=where, error=error, hint=hint)
    try:
        tree = document.for_torch()
    except (ValueError, msgspec.MsgspecError) as refused:
        raise error(str(refused)[:500], where=where, hint=hint) from refused
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            anew = serde._dict_to_dataclass(schema.ExportedProgram, tree)  # type: ignore[no-untyped-call]  # noqa: SLF001
            return serde.ExportedProgramDeserializer().deserialize(anew, state, constants, None)
    except Exception as refused:  # torch raises dozens of types here
        what = f"a graph that torch cannot take: {_last(refused)}"
        raise error(what, where=where, hint=hint) from refused


def _last(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__


def _members(content: bytearray, where: str) -> dict[str, memoryview]:
    """Returns name to content, without the folder that all names begin with."""
    entries = stored_members(content, where=where)
    roots = {name.partition("/")[0] for name in entries}
    members = {name.partition("/")[2]: data for name, data in entries.items()}
    if len(roots) != 1 or len(members) != len(entries):
        raise InputError("not a file of torch.export", where=where, hint=_HINT)
    for name in members:
        if name not in _KNOWN and not name.startswith(("extra/", *_TENSORS)):
            what = f"it holds {name}: compiled code, an object, or another model"
            raise InputError(what, where=where, hint=_HINT)
    for name, value in _FACTS.items():
        if bytes(members.get(name, b"")[:99]) != value:
            what = f"not a file of torch.export of a kind that is known: {name}"
            raise InputError(what, where=where, hint=_HINT)
    for name in (_MODEL, *_CONFIGS.values()):
        if name not in members:
            raise InputError(f"it holds no {name}", where=where, hint=_HINT)
    return members


def _tensors(
    members: Mapping[str, memoryview], folder: str, where: str, spare: list[int]
) -> Iterator[tuple[str, torch.Tensor]]:
    from edgeopt.ir.graph_schema import PayloadConfig  # noqa: PLC0415 (torch)
    from edgeopt.ir.storages import storage  # noqa: PLC0415 (torch)

    place = f"{where}, {_CONFIGS[folder]}"
    config = decode_json(
        members[_CONFIGS[folder]], PayloadConfig, where=place, most=_MAX_CONFIG, hint=_HINT
    )
    files: dict[str, torch.Tensor] = {}  # weights that share a file are tied
    for name, payload in config.config.items():
        file = folder + payload.path_name
        if not file.startswith(_TENSORS) or file not in members:
            raise InputError(f"{name} is in {file!r}, which is not there", where=place, hint=_HINT)
        if file not in files:
            files[file] = storage(members[file])
        try:
            yield name, _tensor(files[file], payload, spare)
        except (ValueError, KeyError, RuntimeError) as error:
            raise InputError(f"{name}: {error}", where=place, hint=_HINT) from error


def _tensor(whole: torch.Tensor, payload: Payload, spare: list[int]) -> torch.Tensor:
    import torch  # noqa: PLC0415 (heavy)
    from torch._export.serde.serialize import _SERIALIZE_TO_TORCH_DTYPE  # noqa: PLC0415

    from edgeopt.ir.storages import strided  # noqa: PLC0415 (torch)

    meta = payload.tensor_meta
    if meta is None:
        raise ValueError("a weight without facts")
    size, stride = meta.dimensions
    dtype = _SERIALIZE_TO_TORCH_DTYPE[meta.dtype]
    tensor = strided(whole, dtype, size, stride, meta.first_element, spare=spare[0])
    spare[0] -= max(0, tensor.numel() * tensor.element_size() - whole.numel())
    return torch.nn.Parameter(tensor, meta.requires_grad) if payload.is_param else tensor
