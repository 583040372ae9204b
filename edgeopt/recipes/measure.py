"""What a model costs and is worth between two steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.data.calls import as_call
from edgeopt.gate.accuracy import score
from edgeopt.gate.calling import as_model, float_model
from edgeopt.ir import ReferenceRunner
from edgeopt.ir.macs import layer_macs
from edgeopt.progress import report_progress
from edgeopt.pruning.cost import layer_costs, parameter_count
from edgeopt.recipes.result import Figures

if TYPE_CHECKING:
    from edgeopt.ir import Program
    from edgeopt.recipes.execute import State
    from edgeopt.recipes.step_inputs import Resources

__all__ = ["figures"]


def figures(state: State, resources: Resources) -> Figures:
    """Returns size, multiply-accumulates, parameters and score of a model as it is now."""
    module, program = state.module, state.program
    if program is not None:
        return Figures(
            size_bytes=program.size_bytes,
            macs=layer_macs(program),
            parameters=_elements(program),
            score=_score(as_model(ReferenceRunner(program), program, module), resources),
        )
    if module is None:
        raise TypeError("neither module nor program")
    costs = layer_costs(module, as_call(resources.example_inputs))
    tensors = {id(t): t for t in (*module.parameters(), *module.buffers())}
    return Figures(
        size_bytes=sum(t.numel() * t.element_size() for t in tensors.values()),
        macs=round(sum(cost.macs for cost in costs.values())),
        parameters=parameter_count(module),
        score=_score(float_model(module), resources),
    )


def _score(function: Any, resources: Resources) -> float | None:
    if resources.evaluate is None:
        return None
    report_progress("evaluate", 0, 1)
    with torch.no_grad():
        value = score(resources.evaluate, function)
    report_progress("evaluate", 1, 1)
    return value


def _elements(program: Program) -> int:
    return sum(t.numel() for t in program.constants.values() if t.is_floating_point())
