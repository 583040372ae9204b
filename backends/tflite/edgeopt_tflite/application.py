"""How the model is called from C++ and Kotlin: through LiteRT."""

from __future__ import annotations

from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any

from edgeopt.boundary import c_float
from edgeopt.contracts import CallSource
from edgeopt.contracts.storage import INT8
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from edgeopt.contracts import Artifact

__all__ = ["call_source"]

_ELEMENTS = {
    "float32": 1, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "int8": 9, "float16": 10,
}  # fmt: skip
"""numpy's name to LiteRT's number of a type."""
_INTEGERS = ("int8", "uint8", "int16")
_NOTE = (
    "The library is in LiteRT's wheel: pass "
    '`-DLITERT_DIR=$(python3 -c "import ai_edge_litert as m; print(m.__path__[0])")`.'
)
_GRADLE = 'implementation("com.google.ai.edge.litert:litert:1.4.0")'
_ANDROID = f"In the app's `build.gradle.kts`: `{_GRADLE}`; put `model/` below `src/main/assets/`."


def call_source(artifact: Artifact, language: str) -> CallSource | None:
    """Returns the call in ``cpp`` or ``kotlin``.

    Raises:
        InputError: It is for a microcontroller, or an input or output is of a type that is not converted.
    """
    if language not in {"cpp", "kotlin"}:
        return None
    if "micro" in artifact.metadata:
        what = f"the bundle for {artifact.target} is for TFLite for Micro's interpreter"
        raise InputError(what, where="--lang", hint="its C source is in model/: see its README")
    ports = {side: _ports(artifact, side) for side in ("inputs", "outputs")}
    if language == "kotlin":
        return CallSource({"Model.kt": _kotlin(ports)}, notes=(_ANDROID,))
    rows = {
        side: "".join(f"    {{{_row(port)}}},\n" for port in ports[side])
        for side in ("inputs", "outputs")
    }
    source = Template(_text("call.cpp.txt"))
    files = {
        "call.cpp": source.substitute(input_ports=rows["inputs"], output_ports=rows["outputs"]),
        "litert_c.h": _text("litert_c.h"),
    }
    return CallSource(
        files,
        packages=Template(_text("packages.cmake")).substitute(),
        libraries="${LITERT_LIBRARY}",
        notes=(_NOTE,),
    )


def _ports(artifact: Artifact, side: str) -> list[dict[str, Any]]:
    """Returns the compiler's notes with the type that the file stores, as ``stored``."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType  # noqa: PLC0415 (the toolchain)

    interpreter = Interpreter(
        model_content=artifact.files[artifact.entry],
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )  # without the delegate, whose making it tells on standard error
    get = interpreter.get_input_details if side == "inputs" else interpreter.get_output_details
    stored = [detail["dtype"]().dtype.name for detail in get()]
    ports = []
    for note in artifact.metadata[side]:
        place = note["tensor"]
        ports.append({**note, "stored": note["dtype"] if place is None else stored[place]})
        _check(ports[-1])
    return ports


def _check(port: dict[str, Any]) -> None:
    is_grid = port["dtype"] == "float32" and port["stored"] in _INTEGERS
    if not (is_grid if "scale" in port else port["dtype"] == port["stored"]):
        what = f"an input or output of {port['dtype']} is stored as {port['stored']}"
        raise InputError(what, where="--lang", hint="--lang python")


def _row(port: dict[str, Any]) -> str:
    import numpy as np  # noqa: PLC0415 (only here)

    low, high = port.get("ends", INT8.limits())
    place = -1 if port["tensor"] is None else port["tensor"]
    grid = (port.get("scale", 0.0), port.get("zero_point", 0), low, high)
    order = ", ".join(map(str, port["order"])) or "0"
    size = np.dtype(port["stored"]).itemsize
    numbers = ", ".join(c_float(float(number)) for number in grid)
    return f"{place}, {_ELEMENTS[port['stored']]}, {size}, {numbers}, {{{order}}}"


def _kotlin(ports: dict[str, list[dict[str, Any]]]) -> str:
    rows = {
        side: ",\n".join(f"        Port({_kotlin_row(port)})" for port in ports[side]) + "\n"
        for side in ports
    }
    source = Template(_text("Model.kt.txt"))
    return source.substitute(input_ports=rows["inputs"], output_ports=rows["outputs"])


def _kotlin_row(port: dict[str, Any]) -> str:
    low, high = port.get("ends", INT8.limits())
    place = -1 if port["tensor"] is None else port["tensor"]
    grid = (port.get("scale", 0.0), port.get("zero_point", 0), low, high)
    numbers = ", ".join(c_float(float(number)) for number in grid)
    lists = (f"intArrayOf({', '.join(map(str, port[key]))})" for key in ("shape", "order"))
    return f'{place}, "{port["stored"]}", {numbers}, {", ".join(lists)}'


def _text(name: str) -> str:
    folder = resources.files("edgeopt_tflite").joinpath("calls_application")
    return folder.joinpath(name).read_text(encoding="utf-8")
