"""Runs a TFLite model with LiteRT or tflite-runtime. Needs only numpy beside it; Python 3.9.

Inputs come as the float model has them; ``metadata`` says what the file wants (`edgeopt_tflite_ports`).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import tempfile
import warnings
from importlib import metadata as distributions
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Model"]

_RUNTIMES = (
    ("LiteRT", "ai_edge_litert", "ai-edge-litert"),
    ("tflite-runtime", "tflite_runtime", "tflite-runtime"),
)

_SETTLING = 10
"""Runs of the profiler that do not count."""
_KERNELS = (
    ("QC8", "int8"), ("QS8", "int8"), ("QU8", "uint8"), ("QD8", "int8-dynamic"), ("F16", "float16"),
    ("F32", "float32"),
)  # fmt: skip


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the runtime's notes (``INFO: Created ... delegate``) from the terminal; all else it says is shown."""
    try:
        terminal = os.dup(2)
    except OSError:  # there is none
        yield
        return
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            said.seek(0)
            for line in said:
                if not line.startswith(b"INFO:"):
                    os.write(2, line)


class Model:
    """A TFLite model that answers as the float model does.

    Args:
        path: The model file.
        metadata: What the compiler noted of inputs and outputs.
        threads: Threads to use; 0 leaves it to the runtime.
    """

    def __init__(self, path: str, metadata: dict[str, Any], threads: int = 0) -> None:
        self._name, self._distribution, module = _import_runtime()
        self._threads = threads
        with warnings.catch_warnings(), _quiet():
            warnings.simplefilter("ignore")
            self._interpreter = module.Interpreter(model_path=path, num_threads=threads or None)
            self._interpreter.allocate_tensors()
        self._path, self._module = path, module
        self._inputs = _bound(metadata["inputs"], self._interpreter.get_input_details())
        outputs = _bound(metadata["outputs"], self._interpreter.get_output_details())
        self._outputs = [port for port in outputs if port is not None]

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Returns the outputs in the float model's shapes and types."""
        self._fill(inputs)
        self._interpreter.invoke()
        tensor = self._interpreter.get_tensor  # copies: what it returns is nobody else's
        return [port.read(tensor(port.index)) for port in self._outputs]

    def invoke(self) -> None:
        """Runs the model on what its inputs hold: the runtime alone, for measuring."""
        self._interpreter.invoke()

    def operators(self, runs: int, *inputs: np.ndarray) -> dict[str, Any]:
        """Returns what each operator takes, by LiteRT's own profiler, over ``runs`` runs.

        Raises:
            RuntimeError: The runtime has none.
        """
        self._fill(inputs)
        profiler = self._profiler()
        try:
            for place, detail in enumerate(self._interpreter.get_input_details()):
                profiler.fill(place, self._interpreter.get_tensor(detail["index"]))
            profiler.events(_SETTLING)
            events = profiler.events(runs)
        finally:
            profiler.close()
        details = [
            d for d in _operators(self._interpreter) if "delegate" not in d["op_name"].lower()
        ]
        names = {d["index"]: d["name"] for d in self._interpreter.get_tensor_details()}
        return _profile(events, [(d["op_name"], names.get(_made(d), "")) for d in details])

    def _profiler(self) -> Any:
        library = os.path.join(os.path.dirname(self._module.__file__), "libLiteRt.so")
        details = [self._interpreter.get_input_details(), self._interpreter.get_output_details()]
        helper = _helper("edgeopt_litert_profiler")
        return helper.LiteRTProfiler(library, self._path, details, max(1, self._threads))

    def _fill(self, inputs: tuple[np.ndarray, ...]) -> None:
        for port, array in zip(self._inputs, inputs):
            if port is not None:
                memory = self._interpreter.tensor(port.index)()
                if isinstance(memory, np.generic):  # of no axes: a copy, as a number
                    room = np.empty((), memory.dtype)
                    port.fill(room, array)
                    self._interpreter.set_tensor(port.index, room)
                else:
                    port.fill(memory, array)
                del memory  # the runtime refuses to run while somebody holds its memory

    def facts(self) -> dict[str, Any]:
        """Returns the runtime's name and version, and whether XNNPACK runs the operators.

        ``partitions`` counts the parts that XNNPACK runs; more than one means that operators
        between them are run by TFLite's own kernels.
        """
        names = [d["op_name"] for d in _operators(self._interpreter)]
        partitions = sum("delegate" in name.lower() for name in names)
        return {
            "name": self._name,
            "version": _version(self._distribution),
            "threads": self._threads,
            "xnnpack": partitions > 0,
            "partitions": partitions,
        }


def _profile(
    found: list[tuple[int, list[tuple[str, int, int, int]]]], known: list[tuple[str, str]]
) -> dict[str, Any]:
    """Returns the middle of each operator's times, and which of the file's operators it is.

    Args:
        found: Time and operators of each run, as the profiler has them.
        known: The file's operators: what they do, and the name of what they make.
    """
    ran = [row for row in (operators for _, operators in found) if len(row) == len(found[0][1])]
    first = found[0][1]
    own = {index for _, delegated, index, _ in first if not delegated}
    rest = [place for place in range(len(known)) if place not in own]
    theirs = [name for name, delegated, _, _ in first if delegated]
    places = iter(
        _helper("edgeopt_litert_names").aligned([known[place][0] for place in rest], theirs)
    )
    steps = []
    for position, (name, delegated, index, _) in enumerate(first):
        if delegated:
            at = next(places)
            place = None if at is None else rest[at]
        else:
            place = index if index < len(known) else None
        layers = [known[place][1]] if place is not None and known[place][1] else []
        times = [row[position][3] for row in ran]
        steps.append({**_told(name, layers), "ns": _middle(times)})
    lost = sum(not step["layers"] for step in steps)
    notes = [f"{lost} of XNNPACK's operators could not be told apart"] if lost else []
    whole = _middle([passed for passed, _ in found])
    total = _middle([sum(operator[3] for operator in row) for row in ran])
    profile = {"statistic": "midmean", "steps": steps, "notes": notes}
    return {**profile, "whole_ns": whole, "sum_ns": total}


def _helper(name: str) -> Any:
    """Returns a module that lies beside this one, or in the bundle's ``lib``."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return importlib.import_module(f"edgeopt_tflite.device.{name}")


def _told(kind: str, layers: list[str]) -> dict[str, Any]:
    first = kind.partition(" (")[0]
    moves = first in ("Transpose", "Copy", "Static Reshape", "TRANSPOSE", "RESHAPE")
    converts = first in ("Convert", "QUANTIZE", "DEQUANTIZE")
    return {
        "name": layers[0] if layers else "",
        "kind": kind,
        "layers": layers,
        "type": next((dtype for mark, dtype in _KERNELS if mark in kind), ""),
        "role": "layout" if moves else "conversion" if converts else "",
    }


def _middle(times: list[int]) -> float:
    """Returns the mean of the middle half: finer than a median of whole microseconds."""
    quarter = len(times) // 4
    middle = sorted(times)[quarter : len(times) - quarter]
    return sum(middle) / len(middle)


def _made(operator: dict[str, Any]) -> int:
    return int(operator["outputs"][0]) if len(operator["outputs"]) else -1


def _bound(notes: list[dict[str, Any]], details: list[dict[str, Any]]) -> list[Any]:
    """Returns one port for each note; None for an input that the model does not read."""
    port = _helper("edgeopt_tflite_ports").Port
    places = [note["tensor"] for note in notes]
    return [
        None if place is None else port(note, details[place]["index"])
        for note, place in zip(notes, places)
    ]


def _import_runtime() -> tuple[str, str, Any]:
    for name, package, distribution in _RUNTIMES:
        try:
            return name, distribution, importlib.import_module(package + ".interpreter")
        except ImportError:
            continue
    raise ImportError("no TFLite runtime: pip install ai-edge-litert (or tflite-runtime)")


def _operators(interpreter: Any) -> list[dict[str, Any]]:
    """Returns what the runtime says of its operators; it has no public way to ask."""
    try:
        details: list[dict[str, Any]] = interpreter._get_ops_details()  # noqa: SLF001
    except Exception:  # noqa: BLE001 (a private function may be gone)
        return []
    return details


def _version(distribution: str) -> str:
    try:
        return distributions.version(distribution)
    except distributions.PackageNotFoundError:
        return "unknown"
