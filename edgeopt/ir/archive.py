"""Saves a program as one archive of JSON and safetensors, and loads it again. No pickle."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import msgspec

from edgeopt.boundary import decode_json, decode_tensors, read_file, stored_members
from edgeopt.contracts.signature import Signature
from edgeopt.contracts.storage import STORAGE_TYPES, Precision
from edgeopt.errors import ProgramError
from edgeopt.files import replacing
from edgeopt.ir.edit import Editor
from edgeopt.ir.graph_schema import ExportedGraph, check_path
from edgeopt.ir.program import Program, Sparsity, Step
from edgeopt.ir.quant import QuantSpec
from edgeopt.ir.stored_constants import read_constants, stored_constants
from edgeopt.ir.untrusted import exported_program

__all__ = ["decode_program", "load_program", "save_program"]

FORMAT = 2
READ = (1, FORMAT)
"""Formats that are read: in the first, constants on a grid are float numbers, as they are in memory."""
_CAPS = {"program.json": 64 << 20, "meta.json": 16 << 20}
_MAX_TENSORS = 16 << 30
_DATE = (1980, 1, 1, 0, 0, 0)


def save_program(program: Program, path: Path) -> Path:
    """Returns ``path`` after writing the program there, whole or not at all.

    The archive is a zip of ``meta.json`` (format, signature, grids, history), ``program.json``
    (the graph in torch.export's schema) and ``tensors.safetensors``.
    """
    from safetensors.torch import save  # noqa: PLC0415 (heavy)

    path = Path(path)
    tensors = dict(stored_constants(program))
    for name, spec in program.quant.items():
        tensors[f"scale/{name}"] = spec.scale.contiguous().clone()
        tensors[f"zero/{name}"] = spec.zero_point.contiguous().clone()
    parts = {
        "meta.json": msgspec.json.format(
            msgspec.json.encode(_meta(program), order="sorted"), indent=1
        ),
        "program.json": _graph_to_json(program),
        "tensors.safetensors": save(tensors),
    }
    _write_atomically(path, parts)
    return path


def load_program(path: Path) -> Program:
    """Returns the program saved at ``path``. Nothing in the file is executed, whoever wrote it.

    Raises:
        ProgramError: The file is not such an archive, is damaged, or of a newer format.
    """
    return decode_program(read_file(path, most=_MAX_TENSORS, error=ProgramError), where=str(path))


def decode_program(content: bytes | bytearray, *, where: str) -> Program:
    """Returns the program of an archive's bytes, as `load_program` does.

    Raises:
        ProgramError: As for `load_program`.
    """
    parts = _read_parts(content, where)
    head = decode_json(parts["meta.json"], _Head, where=f"{where}, meta.json", error=ProgramError)
    if head.format not in READ:
        raise ProgramError(
            f"format {head.format!r}; this edgeopt reads formats {READ[0]} and {READ[1]}",
            where=where,
            hint="load it with the edgeopt that wrote it, or write it again",
        )
    meta = decode_json(parts["meta.json"], _Meta, where=f"{where}, meta.json", error=ProgramError)
    try:
        program = _assemble(meta, parts, where)
    except ProgramError as error:
        raise ProgramError(error.what, where=error.where or where, hint=error.hint) from error
    except Exception as error:  # torch raises types of its own, where facts do not fit the graph
        raise ProgramError(f"cannot be loaded: {error}", where=where) from error
    if program.digest != meta.digest:
        raise ProgramError("its content does not match its digest", where=where)
    return program


class _Head(msgspec.Struct):
    format: Any


Stored = Literal["int2", "int3", "int4", "int8", "int16", "int32", "float16"]
"""Names of the storage types that values of a program may have."""


class _Grid(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How a value is stored; the shape is that of a constant whose integers are packed."""

    dtype: Stored
    axis: int | None
    bits: Annotated[int, msgspec.Meta(ge=2, le=32)]
    method: str
    group: Annotated[int, msgspec.Meta(ge=1, le=1 << 30)] | None = None
    shape: tuple[Annotated[int, msgspec.Meta(ge=0, le=1 << 40)], ...] | None = None


class _Meta(msgspec.Struct, forbid_unknown_fields=True):
    """``meta.json``."""

    format: int
    digest: str
    precision: Precision
    signature: Signature
    sparsity: dict[str, Sparsity]
    history: tuple[Step, ...]
    quant: dict[str, _Grid]
    names: dict[str, str]


def _meta(program: Program) -> _Meta:
    grids = {
        k: _Grid(
            cast("Stored", s.dtype),
            s.axis,
            s.bits,
            s.method,
            s.group,
            tuple(program.constants[k].shape)
            if s.storage.is_packed and k in program.constants
            else None,
        )
        for k, s in program.quant.items()
    }
    specs = program.exported.graph_signature.input_specs
    return _Meta(
        format=FORMAT,
        digest=program.digest,
        precision=program.precision,
        signature=program.signature,
        sparsity=dict(program.sparsity),
        history=program.history,
        quant=grids,
        names={spec.arg.name: spec.target for spec in specs if spec.target},
    )


def _graph_to_json(program: Program) -> bytes:
    from torch._export.serde import serialize as serde  # noqa: PLC0415 (torch's own JSON schema)

    artefact = serde.ExportedProgramSerializer().serialize(program.exported)
    tree = serde._dataclass_to_dict(artefact.exported_program)  # type: ignore[no-untyped-call]  # noqa: SLF001
    text = json.dumps(tree, cls=serde.EnumEncoder)
    written = decode_json(text, ExportedGraph, where="the program", error=ProgramError)
    return json.dumps(written.for_torch(), sort_keys=True).encode()


def _assemble(meta: _Meta, parts: dict[str, memoryview], where: str) -> Program:
    place = f"{where}, tensors.safetensors"
    tensors = decode_tensors(parts["tensors.safetensors"], where=place, error=ProgramError)
    quant = {
        name: QuantSpec(
            storage=STORAGE_TYPES[entry.dtype],
            scale=tensors[f"scale/{name}"],
            zero_point=tensors[f"zero/{name}"],
            axis=entry.axis,
            bits=entry.bits,
            method=entry.method,
            group=entry.group,
        )
        for name, entry in meta.quant.items()
    }
    constants = dict(read_constants(tensors, quant, {k: g.shape for k, g in meta.quant.items()}))
    for name in meta.names.values():
        check_path(name)
    exported = exported_program(
        parts["program.json"],
        {meta.names[k]: v for k, v in constants.items()},
        {},
        where=f"{where}, program.json",
        error=ProgramError,
    )
    loaded = Program(
        exported=exported,
        signature=meta.signature,
        precision=meta.precision,
        quant=quant,
        sparsity=meta.sparsity,
        history=meta.history,
    )
    editor = Editor(loaded)
    list(
        editor.calls()
    )  # a copy, of which `finish` drops what torch adds: entries of unused results
    return editor.finish()


def _read_parts(content: bytes | bytearray, where: str) -> dict[str, memoryview]:
    parts = stored_members(content, where=where, error=ProgramError)
    if set(parts) != {"meta.json", "program.json", "tensors.safetensors"}:
        raise ProgramError(f"it holds {', '.join(sorted(parts)[:5])[:200]}", where=where)
    for name, cap in _CAPS.items():
        if len(parts[name]) > cap:
            raise ProgramError(f"{name} is larger than {cap} bytes", where=where)
    return parts


def _write_atomically(path: Path, parts: dict[str, bytes]) -> None:
    with replacing(path) as new, zipfile.ZipFile(new, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), content)
