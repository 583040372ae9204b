"""Reads graphs that somebody else wrote, without running what they wrote.

torch.export's files are not safe to open as they come: its loader falls back to pickle, evaluates
dimensions given as expressions, writes value names into Python code that it executes, turns guards
into code, and loads shared libraries. What could lead there is refused here before torch sees it.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.errors import InputError, ProgramError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.export import ExportedProgram

__all__ = ["check_graph", "load_exported"]

_NAME_KEYS = ("name", "as_name")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TARGET_KEYS = ("target", "as_operator")
_TARGET = re.compile(
    r"torch\.ops\.(higher_order\.\w+|[a-z]\w*\.\w+\.[A-Za-z]\w*)"
    r"|_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|eq|ne|lt|le|gt|ge|and_|or_|not_|pow)"
    r"|math\.[a-z]+"
)
_DIMENSION = re.compile(r"-?[0-9]+|[su][0-9]+")
_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
_MAX_GRAPH = 256 << 20
_HINT = "save it again with torch.export.save, from a model without dynamic_shapes"


def load_exported(path: Path | str) -> ExportedProgram:
    """Returns the ExportedProgram in a ``.pt2`` file; nothing in it is unpickled or executed.

    Raises:
        InputError: It is not such a file, or holds what cannot be read safely: custom objects,
            compiled libraries, pickled weights of other than tensors, dynamic dimensions.
    """
    import torch  # noqa: PLC0415 (heavy)

    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", where=str(path))
    try:
        _check_archive(path)
        with _weights_only(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exported = torch.export.load(path)
    except InputError:
        raise
    except Exception as error:  # torch raises dozens of types here
        raise InputError(
            f"not a file of torch.export, or one that holds more than tensors: {_first(error)}",
            where=str(path),
            hint="write it with torch.export.save(torch.export.export(model, inputs), path)",
        ) from error
    exported._guards_code = []  # noqa: SLF001 (code from the file; shapes are fixed anyway)
    return exported


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


def check_graph(graph: Any, where: str) -> None:
    """Checks a graph in torch.export's JSON schema for text that torch would execute.

    Raises:
        ProgramError: A value's name is not an identifier, a dimension is an expression, or what is
            called is no operator.
    """
    for key, value in _entries(graph):
        if key in _TARGET_KEYS and isinstance(value, str) and not _TARGET.fullmatch(value):
            raise ProgramError(f"it calls {value[:60]!r}", where=where, hint=_HINT)
        if key in _NAME_KEYS and isinstance(value, str) and value and not _NAME.fullmatch(value):
            raise ProgramError(f"a value is called {value[:60]!r}", where=where, hint=_HINT)
        if key == "expr_str" and not (isinstance(value, str) and _DIMENSION.fullmatch(value)):
            what = f"a dimension is the expression {str(value)[:60]!r}"
            raise ProgramError(what, where=where, hint=_HINT)


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    todo = [value]
    while todo:
        held = todo.pop()
        if isinstance(held, dict):
            yield from held.items()
            todo.extend(held.values())
        elif isinstance(held, list):
            todo.extend(held)


def _check_archive(path: Path) -> None:
    """Looks at an archive through torch's own reader: what it sees is what torch will load."""
    from torch.export.pt2_archive import constants  # noqa: PLC0415 (heavy)
    from torch.export.pt2_archive._package import PT2ArchiveReader  # noqa: PLC0415

    with path.open("rb") as stream:
        if stream.read(4) != b"PK\3\4":
            raise InputError("not a file of torch.export", where=str(path))
    forbidden = (
        constants.AOTINDUCTOR_DIR,
        constants.CONSTANTS_DIR + constants.CUSTOM_OBJ_FILENAME_PREFIX,
        constants.CONSTANTS_DIR + getattr(constants, "OPAQUE_OBJ_FILENAME_PREFIX", "opaque_obj_"),
    )
    with PT2ArchiveReader(str(path)) as archive:
        names = archive.get_file_names()
        for name in names:
            if name.startswith(forbidden):
                what = f"it holds {name}: compiled code or a custom object"
                raise InputError(what, where=str(path), hint=_HINT)
        graphs = [name for name in names if name.startswith(constants.MODELS_DIR)]
        for name in graphs:
            _check_text(archive.read_bytes(name), f"{path}, {name}")
    if not graphs:
        raise InputError("it holds no model", where=str(path), hint=_HINT)


def _check_text(text: bytes, where: str) -> None:
    if len(text) > _MAX_GRAPH:
        raise InputError(f"a graph of more than {_MAX_GRAPH} bytes", where=where)
    try:
        check_graph(json.loads(text), where)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", where=where) from error
    except ProgramError as error:
        raise InputError(error.what, where=where, hint=error.hint) from error


@contextmanager
def _weights_only() -> Iterator[None]:
    """torch.load then takes tensors only, whatever the caller inside torch asks for."""
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FORCE]
        else:
            os.environ[_FORCE] = before
