"""Writes the files of an emitted program, and what its runner must know."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openvino as ov

from edgeopt.lowering import ModelFiles
from edgeopt_openvino.passes import GROUP, ROUND_GROUPS

if TYPE_CHECKING:
    from edgeopt.ir import Program

__all__ = ["CONFIG", "ENTRY", "model_files"]

ENTRY = "model.xml"
WEIGHTS = "model.bin"
CONFIG = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
"""How it must be run to give the reference's numbers: what is float stays float32. By default the
runtime takes bfloat16 or half where the CPU has them, and rounds inputs of linears to int8, which is
allowed where the program says so (`edgeopt_openvino.passes`)."""


def model_files(program: Program, model: ov.Model) -> ModelFiles:
    """Returns the files of ``model``, which ``program`` was written as."""
    _name_operators(program, model)
    return ModelFiles(
        ENTRY,
        _serialized(model),
        metadata=_metadata(program),
        operators=Counter(op.get_type_name() for op in model.get_ops()),
        origins=_origins(program, model),
    )


def _name_operators(program: Program, model: ov.Model) -> None:
    """Names all that has no name of the program's: OpenVINO would count within the process."""
    for output, spec in zip(model.outputs, program.signature.outputs, strict=True):
        output.get_tensor().set_names({spec.name})
    for index, operator in enumerate(model.get_ordered_ops()):
        if operator.get_friendly_name() == operator.get_name():
            operator.set_friendly_name(f"{operator.get_type_name()}_{index}")


def _serialized(model: ov.Model) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ENTRY
        ov.serialize(model, str(path))
        return {ENTRY: path.read_bytes(), WEIGHTS: path.with_suffix(".bin").read_bytes()}


def _metadata(program: Program) -> dict[str, Any]:
    """Returns what the runner needs: each input's grid, shape and dtype, each output's."""
    inputs = []
    for name, spec in zip(program.input_names, program.signature.inputs, strict=True):
        note: dict[str, Any] = {"shape": list(spec.shape), "dtype": spec.dtype}
        grid = program.quant.get(name)
        if grid is not None and grid.is_activation:
            note["scale"] = float(grid.scale[0])
            note["low"] = grid.q_min - int(grid.zero_point[0])
            note["high"] = grid.q_max - int(grid.zero_point[0])
        inputs.append(note)
    outputs = [{"shape": list(s.shape), "dtype": s.dtype} for s in program.signature.outputs]
    rounds = any(node.target is ROUND_GROUPS for node in program.graph.nodes)
    config = CONFIG | ({"DYNAMIC_QUANTIZATION_GROUP_SIZE": str(GROUP)} if rounds else {})
    return {"inputs": inputs, "outputs": outputs, "config": config}


def _origins(program: Program, model: ov.Model) -> dict[str, str]:
    names = {node.name for node in program.graph.nodes}
    origins = {}
    for operator in model.get_ordered_ops():
        name = operator.get_friendly_name()
        origin = name.split(".", 1)[0]
        if origin in names:
            origins[name] = origin
    return origins
