"""How the model is called from C++: through OpenVINO's own headers, which its wheel brings."""

from __future__ import annotations

from importlib import resources
from string import Template
from typing import TYPE_CHECKING

from edgeopt.boundary import c_float, c_string
from edgeopt.contracts import CallSource
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from edgeopt.contracts import Artifact

__all__ = ["call_source"]

_PACKAGES = "\nfind_package(OpenVINO REQUIRED COMPONENTS Runtime)\n"
_NOTE = (
    "OpenVINO's wheel brings headers and CMake files: pass "
    '`-DOpenVINO_DIR=$(python3 -c "import openvino.utils as u; print(u.get_cmake_path())")`.'
)


def call_source(artifact: Artifact, language: str) -> CallSource | None:
    """Returns the call in ``cpp``.

    Raises:
        InputError: An input on a grid is not of float32.
    """
    if language != "cpp":
        return None
    grids = "".join(f"    {{{_grid(note)}}},\n" for note in artifact.metadata["inputs"])
    config = "".join(
        f"    {{{c_string(name)}, {c_string(value)}}},\n"
        for name, value in sorted(artifact.metadata["config"].items())
    )
    folder = resources.files("edgeopt_openvino").joinpath("calls_application")
    template = Template(folder.joinpath("call.cpp.txt").read_text(encoding="utf-8"))
    return CallSource(
        {"call.cpp": template.substitute(grids=grids, config=config)},
        packages=_PACKAGES,
        libraries="openvino::runtime",
        notes=(_NOTE,),
    )


def _grid(note: dict[str, object]) -> str:
    if "scale" not in note:
        return "0, 0, 0"
    if note["dtype"] != "float32":
        what = f"an input of {note['dtype']} is rounded, which is done for float32 only"
        raise InputError(what, where="--lang", hint="--lang python")
    return ", ".join(c_float(float(str(note[key]))) for key in ("scale", "low", "high"))
