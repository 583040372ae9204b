"""Writes one node through OpenVINO's own PyTorch frontend, for operators outside our table."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov
import openvino.opset13 as op

from edgeopt.lowering.frontend import OperatorImporter, require_same
from edgeopt_openvino.constants import element_type

if TYPE_CHECKING:
    import torch

    from edgeopt.lowering.frontend import SingleOperator
    from edgeopt_openvino.emitter import Emitter

__all__ = ["convert_node", "convert_operator"]


def convert_operator(operator: SingleOperator) -> ov.Model:
    """Returns the model that the frontend makes of one operator.

    Raises:
        NoRuleError: It computes something else than torch.
    """
    model = ov.convert_model(operator.exported())
    examples = operator.output if isinstance(operator.output, (tuple, list)) else [operator.output]
    for result, example in zip(model.get_results(), examples, strict=True):
        value, kind = result.input_value(0), element_type(example.dtype)
        if value.element_type != kind:
            result.input(0).replace_source_output(op.convert(value, kind).output(0))
    model.validate_nodes_and_infer_types()
    require_same(operator, lambda *inputs: _run(model, inputs), "OpenVINO")
    return model


def _run(model: ov.Model, inputs: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """Returns what the runtime makes of ``inputs``; the model stays as it is."""
    compiled = _core().compile_model(model.clone(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled([np.asarray(array, order="C") for array in inputs])
    return [results[i] for i in range(len(compiled.outputs))]


@cache
def _core() -> ov.Core:
    return ov.Core()


@cache
def _importer() -> OperatorImporter[ov.Model]:
    """Returns the importer, the same for all programs."""
    return OperatorImporter("OpenVINO", convert_operator)


def convert_node(e: Emitter, node: torch.fx.Node) -> Any:
    """Returns the value (or a tuple of them) that the frontend makes of ``node``.

    Raises:
        NoRuleError: The frontend has no rule for it.
    """
    imported, inputs = _importer()(e.program, node)
    part = _copied(imported)  # its operators become the model's own; an equal node needs others
    for parameter, value in zip(part.get_parameters(), inputs, strict=True):
        parameter.output(0).replace(e.value(value))
    results = [result.input_value(0) for result in part.get_results()]
    return tuple(results) if isinstance(node.meta["val"], (tuple, list)) else results[0]


def _copied(model: ov.Model) -> ov.Model:
    """Returns a copy; where OpenVINO has counted up a name, the copy keeps none."""
    copy = model.clone()
    pairs = zip(model.get_ordered_ops(), copy.get_ordered_ops(), strict=True)
    for operator, copied in pairs:
        if operator.get_friendly_name() == operator.get_name():
            copied.set_friendly_name("")
    return copy
