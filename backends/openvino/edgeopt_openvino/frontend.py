"""Writes one node through OpenVINO's own PyTorch frontend, for operators outside our table."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import openvino as ov
import torch

from edgeopt_openvino.rules import NoRuleError

if TYPE_CHECKING:
    from edgeopt.ir import Program
    from edgeopt_openvino.emitter import Emitter

__all__ = ["convert_node"]


def convert_node(e: Emitter, node: torch.fx.Node) -> Any:
    """Returns the value (or a tuple of them) that the frontend makes of ``node``.

    Raises:
        NoRuleError: The frontend has no rule for it.
    """
    try:
        part, live = _converted(e.program, node)
    except Exception as error:  # torch and OpenVINO raise many types here
        raise NoRuleError(f"OpenVINO has no rule for it: {_first_line(error)}") from error
    for parameter, value in zip(part.get_parameters(), live, strict=True):
        parameter.output(0).replace(e.value(value))
    made = [result.input_value(0) for result in part.get_results()]
    return tuple(made) if isinstance(node.meta["val"], (tuple, list)) else made[0]


class _One(torch.nn.Module):
    """A module that calls one operator; constants of the program are its buffers."""

    def __init__(self, program: Program, node: torch.fx.Node) -> None:
        super().__init__()
        self._node = node
        self.live = [n for n in node.all_input_nodes if n.name not in program.constants]
        self._held = [n for n in node.all_input_nodes if n.name in program.constants]
        for value in self._held:
            tensor = program.constants[value.name]
            self.register_buffer(f"held_{value.name}", tensor)

    def forward(self, *values: torch.Tensor) -> Any:
        known = dict(zip(self.live, values, strict=True))
        known |= {v: getattr(self, f"held_{v.name}") for v in self._held}
        args, kwargs = torch.fx.node.map_arg((self._node.args, self._node.kwargs), known.get)
        return self._node.target(*args, **kwargs)  # type: ignore[operator]


def _converted(program: Program, node: torch.fx.Node) -> tuple[ov.Model, list[torch.fx.Node]]:
    one = _One(program, node).eval()
    examples = tuple(_example(n) for n in one.live)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        part = ov.convert_model(torch.export.export(one, examples, strict=False))
    return part, one.live


def _example(node: torch.fx.Node) -> torch.Tensor:
    held = node.meta["val"]
    return torch.zeros([int(d) for d in held.shape], dtype=held.dtype)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [
        line for line in lines if "No conversion rule" in line or "conversion is failed" in line
    ]
    return (named or lines or [type(error).__name__])[0]
