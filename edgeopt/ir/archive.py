"""Saves a program as one archive of JSON and safetensors, and loads it again. No pickle."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.contracts.signature import Signature
from edgeopt.errors import ProgramError
from edgeopt.ir.edit import Editor
from edgeopt.ir.program import Program, Sparsity, Step
from edgeopt.ir.quant import QuantSpec
from edgeopt.ir.untrusted import check_graph

if TYPE_CHECKING:
    import torch

__all__ = ["load_program", "save_program"]

FORMAT = 1
_CAPS = {"program.json": 256 << 20, "meta.json": 64 << 20}
_MAX_TENSORS = 16 << 30
_METADATA = ("nn_module_stack", "stack_trace")
"""What is kept of a node's history. The rest differs from run to run (addresses of objects)."""
_DATE = (1980, 1, 1, 0, 0, 0)


def save_program(program: Program, path: Path) -> Path:
    """Returns ``path`` after writing the program there, whole or not at all.

    The archive is a zip of ``meta.json`` (format, signature, grids, history), ``program.json``
    (the graph in torch.export's schema) and ``tensors.safetensors``.
    """
    from safetensors.torch import save  # noqa: PLC0415 (heavy)

    path = Path(path)
    tensors = {f"constant/{k}": v.contiguous().clone() for k, v in program.constants.items()}
    for name, spec in program.quant.items():
        tensors[f"scale/{name}"] = spec.scale.contiguous().clone()
        tensors[f"zero/{name}"] = spec.zero_point.contiguous().clone()
    parts = {
        "meta.json": json.dumps(_meta(program), sort_keys=True, indent=1).encode(),
        "program.json": _graph_to_json(program),
        "tensors.safetensors": save(tensors),
    }
    _write_atomically(path, parts)
    return path


def load_program(path: Path) -> Program:
    """Returns the program saved at ``path``.

    Raises:
        ProgramError: The file is not such an archive, is damaged, or of a newer format.
    """
    from safetensors.torch import load  # noqa: PLC0415 (heavy)

    path = Path(path)
    try:
        meta, graph, raw = _read_parts(path)
        if meta.get("format") != FORMAT:
            raise ProgramError(
                f"format {meta.get('format')!r}; this edgeopt reads format {FORMAT}",
                where=str(path),
                hint="load it with the edgeopt that wrote it, or write it again",
            )
        program = _assemble(meta, graph, load(raw))
    except ProgramError:
        raise
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ProgramError(
            f"not a program archive, or damaged: {error}", where=str(path)
        ) from error
    except Exception as error:  # torch.export and safetensors raise types of their own
        raise ProgramError(f"cannot be loaded: {error}", where=str(path)) from error
    if program.digest != meta.get("digest"):
        raise ProgramError("its content does not match its digest", where=str(path))
    return program


def _meta(program: Program) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "digest": program.digest,
        "precision": program.precision,
        "signature": msgspec.to_builtins(program.signature),
        "sparsity": {k: msgspec.to_builtins(v) for k, v in program.sparsity.items()},
        "history": [msgspec.to_builtins(step) for step in program.history],
        "quant": {
            k: {"dtype": s.dtype, "axis": s.axis, "bits": s.bits, "method": s.method}
            for k, s in program.quant.items()
        },
        "names": {
            spec.arg.name: spec.target
            for spec in program.exported.graph_signature.input_specs
            if spec.target
        },
    }


def _graph_to_json(program: Program) -> bytes:
    from torch._export.serde import serialize as serde  # noqa: PLC0415 (torch's own JSON schema)

    held = serde.ExportedProgramSerializer().serialize(program.exported)
    tree = serde._dataclass_to_dict(held.exported_program)  # type: ignore[no-untyped-call]  # noqa: SLF001
    for node in tree["graph_module"]["graph"]["nodes"]:
        node["metadata"] = {k: v for k, v in node["metadata"].items() if k in _METADATA}
    for entry in tree["graph_module"]["module_call_graph"]:
        if entry["signature"]:
            entry["signature"]["out_spec"] = _plain_tree(entry["signature"]["out_spec"])
    return json.dumps(tree, cls=serde.EnumEncoder, sort_keys=True).encode()


def _plain_tree(dumped: str) -> str:
    """Returns the structure of outputs with dicts for dataclasses, whose code a reader may not have."""
    version, spec = json.loads(dumped)

    def plain(node: dict[str, Any]) -> dict[str, Any]:
        node = {**node, "children_spec": [plain(child) for child in node["children_spec"]]}
        if node["type"] is None or node["type"].partition(".")[0] in {"builtins", "collections"}:
            return node
        names = json.loads(node["context"])
        if names and isinstance(names[0], list):  # torch.export's own: names, and those left out
            names = names[0]
        return {**node, "type": "builtins.dict", "context": json.dumps(names)}

    return json.dumps([version, plain(spec)])


def _assemble(meta: dict[str, Any], graph: bytes, tensors: dict[str, torch.Tensor]) -> Program:
    from torch._export.serde import schema  # noqa: PLC0415
    from torch._export.serde import serialize as serde  # noqa: PLC0415

    tree = json.loads(graph)
    check_graph(tree, "program.json")
    held = serde._dict_to_dataclass(  # type: ignore[no-untyped-call]  # noqa: SLF001
        schema.ExportedProgram, tree
    )
    constants = {k.removeprefix("constant/"): v for k, v in tensors.items() if k[:3] == "con"}
    state = {meta["names"][k]: v for k, v in constants.items()}
    exported = serde.ExportedProgramDeserializer().deserialize(held, state, {}, None)
    quant = {
        name: QuantSpec(
            storage=entry["dtype"],
            scale=tensors[f"scale/{name}"],
            zero_point=tensors[f"zero/{name}"],
            axis=entry["axis"],
            bits=entry["bits"],
            method=entry["method"],
        )
        for name, entry in meta["quant"].items()
    }
    loaded = Program(
        exported=exported,
        signature=msgspec.convert(meta["signature"], Signature),
        precision=meta["precision"],
        quant=quant,
        sparsity={k: msgspec.convert(v, Sparsity) for k, v in meta["sparsity"].items()},
        history=tuple(msgspec.convert(s, Step) for s in meta["history"]),
    )
    return Editor(loaded).finish()  # drops what torch adds: an entry for each unused result


def _read_parts(path: Path) -> tuple[dict[str, Any], bytes, bytes]:
    with zipfile.ZipFile(path) as archive:
        for name, cap in {**_CAPS, "tensors.safetensors": _MAX_TENSORS}.items():
            if archive.getinfo(name).file_size > cap:
                raise ProgramError(f"{name} is larger than {cap} bytes", where=str(path))
        return (
            json.loads(archive.read("meta.json")),
            archive.read("program.json"),
            archive.read("tensors.safetensors"),
        )


def _write_atomically(path: Path, parts: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
                for name, content in parts.items():
                    archive.writestr(zipfile.ZipInfo(name, _DATE), content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
