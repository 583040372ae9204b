"""How the library is called from C and C++: by its own header."""

from __future__ import annotations

from importlib import resources
from string import Template
from typing import TYPE_CHECKING

from edgeopt.contracts import CallSource
from edgeopt.errors import InputError
from edgeopt_tvm.packaging import LIBRARY

if TYPE_CHECKING:
    from edgeopt.contracts import Artifact

__all__ = ["call_source"]

_NOTE = "The library `model/model.so` is machine code for the bundle's target: build for that processor."


def call_source(artifact: Artifact, language: str) -> CallSource | None:
    """Returns the call in ``c`` or ``cpp``.

    Raises:
        InputError: The bundle holds a program, and no library.
    """
    if language not in {"c", "cpp"}:
        return None
    if artifact.entry != LIBRARY:
        what = f"the bundle for {artifact.target} holds the program {artifact.entry}, not a library"
        hint = "its device has no glibc: call model/run as a process, or deploy for one that has"
        raise InputError(what, where="--lang", hint=hint)
    program = int(artifact.metadata.get("program", 0))
    header = resources.files("edgeopt_tvm.native").joinpath("edgeopt_model.h")
    return CallSource(
        {
            "call.c": Template(_text("call.c.txt")).substitute(program=program),
            "edgeopt_model.h": header.read_text(encoding="utf-8"),
        },
        packages=Template(_text("packages.cmake")).substitute(entry=LIBRARY),
        libraries="edgeopt_model",
        model_files=(LIBRARY,),
        notes=(_NOTE,),
    )


def _text(name: str) -> str:
    folder = resources.files("edgeopt_tvm").joinpath("calls_application")
    return folder.joinpath(name).read_text(encoding="utf-8")
