"""The file for a neural processor of Arm's Ethos-U family, by its compiler Vela.

Vela takes the int8 file and puts what the processor can run into one operator of its own; the rest stays for
the CPU. It runs in a process of its own, by its module and without a shell. What it says of time and memory is an
estimate of Vela's, made without the device.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ai_edge_litert import schema_py_generated as schema

from edgeopt.errors import CompileError, PluginError
from edgeopt.files import temporary_folder
from edgeopt.installation import install_command
from edgeopt_tflite.flatbuffer import schema_name

if TYPE_CHECKING:
    from pathlib import Path

    from edgeopt.contracts.target import Npu
    from edgeopt.lowering import ModelFiles

__all__ = ["NPU_ENTRY", "with_ethos_u"]

NPU_ENTRY = "model_ethos_u.tflite"
"""The file's name in the bundle, beside the CPU's."""
_NPU_OPERATOR = "ethos-u"
_LIMIT_S = 900.0
"""Seconds that Vela may take."""
_ESTIMATES = {
    "inference_time": ("inference_ms", 1e3),
    "cycles_total": ("cycles", 1),
    "cycles_npu": ("npu_cycles", 1),
    "nn_macs": ("multiply_accumulates", 1),
    "sram_memory_used": ("sram_kb", 1),
    "dram_memory_used": ("dram_kb", 1),
    "off_chip_flash_memory_used": ("flash_kb", 1),
}
"""Column of Vela's summary to our name and factor."""


def with_ethos_u(model: ModelFiles, npu: Npu) -> ModelFiles:
    """Returns ``model``, an int8 file, with the file for ``npu`` beside it, and what Vela says of it.

    Raises:
        PluginError: Vela is not installed.
        CompileError: Vela failed; says what it said.
    """
    if find_spec("ethosu") is None:
        raise PluginError(
            f"Vela, the compiler for {npu.model}, is not installed", hint=install_command("ethos-u")
        )
    with temporary_folder() as folder:
        path = folder / "model.tflite"
        path.write_bytes(model.files[model.entry])
        _run(path, npu)
        content = (folder / "model_vela.tflite").read_bytes()
        estimates = _estimates(folder)
    facts = {
        "file": NPU_ENTRY,
        "processor": npu.model,
        "vela": metadata.version("ethos-u-vela"),
        "on_cpu": _on_cpu(content),
        "estimates": {"by": "Vela, without the device", "system": npu.system, **estimates},
    }
    return replace(
        model,
        files={**model.files, NPU_ENTRY: content},
        metadata={**model.metadata, "ethos_u": facts},
    )


def _run(path: Path, npu: Npu) -> None:
    options = {
        "--accelerator-config": npu.model,
        "--config": "Arm/vela.ini",
        "--system-config": npu.system,
        "--memory-mode": npu.memory_mode,
        "--output-dir": str(path.parent),
    }
    pairs = [word for pair in options.items() for word in pair]
    command = [sys.executable, "-m", "ethosu.vela", str(path), *pairs]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise CompileError(f"Vela did not end within {_LIMIT_S:.0f} s", where=npu.model) from error
    if done.returncode:
        raise CompileError(
            f"Vela failed: {_reason(done.stderr or done.stdout)}",
            where=f"{npu.model}, {npu.system}, {npu.memory_mode}",
            hint="`vela --list-configs Arm/vela.ini` lists the systems and memory modes that it knows",
        )


def _reason(said: bytes) -> str:
    """Returns the lines from the error on, without the way to it."""
    text = said.decode(errors="replace").strip()
    lines = text[text.find("Error:") :].splitlines() if "Error:" in text else text.splitlines()[-1:]
    return " ".join(line.strip() for line in lines) or "it ended without a word"


def _estimates(folder: Path) -> dict[str, float]:
    """Returns what the summary that Vela wrote says; times in ms, memory in KiB."""
    (summary,) = folder.glob("model_summary_*.csv")
    (row,) = csv.DictReader(summary.read_text(encoding="utf-8").splitlines())
    return {name: float(row[key]) * unit for key, (name, unit) in _ESTIMATES.items() if key in row}


def _on_cpu(content: bytes) -> list[dict[str, Any]]:
    """Returns the operators that are left to the CPU, each with the tensor that it makes."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    rows = []
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            if (code.customCode or b"").decode() != _NPU_OPERATOR:
                number = max(code.builtinCode, code.deprecatedBuiltinCode)
                name = graph.tensors[operator.outputs[0]].name.decode()
                rows.append({"operator": schema_name(number), "tensor": name})
    return rows
