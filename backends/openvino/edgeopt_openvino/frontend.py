"""Writes one node through OpenVINO's own PyTorch frontend, for operators outside our table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openvino as ov

if TYPE_CHECKING:
    import torch

    from edgeopt.lowering.frontend import SingleOperator
    from edgeopt_openvino.emitter import Emitter

__all__ = ["convert_node", "convert_operator"]


def convert_operator(operator: SingleOperator) -> ov.Model:
    """Returns the model that the frontend makes of one operator."""
    return ov.convert_model(operator.exported())


def convert_node(e: Emitter, node: torch.fx.Node) -> Any:
    """Returns the value (or a tuple of them) that the frontend makes of ``node``.

    Raises:
        NoRuleError: The frontend has no rule for it.
    """
    imported, inputs = e.importer(e.program, node)
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
