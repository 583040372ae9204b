"""Writes one node through TVM's own PyTorch frontend, for operators outside our table."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from tvm import relax
from tvm.relax.frontend.torch import from_exported_program

from edgeopt.ir import orders
from edgeopt_tvm.rules import NoRuleError

if TYPE_CHECKING:
    from edgeopt.ir import Program
    from edgeopt_tvm.emitter import Emitter

__all__ = ["convert_node"]


def convert_node(e: Emitter, node: torch.fx.Node) -> None:
    """Writes what the frontend makes of ``node``.

    Raises:
        NoRuleError: The frontend has no rule for it.
    """
    try:
        part, live = _converted(e.program, node)
    except Exception as error:  # torch and TVM raise many types here
        raise NoRuleError(f"TVM has no rule for it: {_reason(error)}") from error
    name = e.builder.add_func(part.without_attr("global_symbol"), f"frontend_{node.name}")
    given = []
    for source in live:
        value = e.value(source)
        given.append(e.read(value, orders.identity(len(value.shape)), real=True).expr)
    made = e.builder.emit(relax.Call(name, given))
    if isinstance(node.meta["val"], (tuple, list)):
        count = len(node.meta["val"])
        e.put_parts(node, [e.builder.emit(relax.TupleGetItem(made, i)) for i in range(count)])
    else:
        e.put(node, made)


class _One(torch.nn.Module):
    """A module that calls one operator; constants of the program are its buffers."""

    def __init__(self, program: Program, node: torch.fx.Node) -> None:
        super().__init__()
        self._node = node
        self.live = [n for n in node.all_input_nodes if n.name not in program.constants]
        self._held = [n for n in node.all_input_nodes if n.name in program.constants]
        for value in self._held:
            self.register_buffer(f"held_{value.name}", program.constants[value.name])

    def forward(self, *values: torch.Tensor) -> Any:
        known = dict(zip(self.live, values, strict=True))
        known |= {v: getattr(self, f"held_{v.name}") for v in self._held}
        args, kwargs = torch.fx.node.map_arg((self._node.args, self._node.kwargs), known.get)
        return self._node.target(*args, **kwargs)  # type: ignore[operator]


def _converted(program: Program, node: torch.fx.Node) -> tuple[Any, list[torch.fx.Node]]:
    one = _One(program, node).eval()
    examples = tuple(_example(n) for n in one.live)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        exported = torch.export.export(one, examples, strict=False)
        module = from_exported_program(exported, unwrap_unit_return_tuple=True)
    return module["main"], one.live


def _example(node: torch.fx.Node) -> torch.Tensor:
    held = node.meta["val"]
    return torch.zeros([int(d) for d in held.shape], dtype=held.dtype)


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "nsupported" in line]
    return (named or lines or [type(error).__name__])[-1]
