"""Writes one node through TVM's own PyTorch frontend, for operators outside our table."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tvm import relax
from tvm.relax.frontend.torch import from_exported_program

from edgeopt.errors import EdgeoptError
from edgeopt.ir import orders
from edgeopt_tvm.fusion import lower_module
from edgeopt_tvm.interpreter import Interpreter
from edgeopt_tvm.machine import here
from edgeopt_tvm.rules import NoRuleError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.ir import Program
    from edgeopt_tvm.emitter import Emitter

__all__ = ["convert_node"]


def convert_node(e: Emitter, node: torch.fx.Node) -> None:
    """Writes what the frontend makes of ``node``.

    Raises:
        NoRuleError: The frontend has no rule for it.
    """
    one = _One(e.program, node).eval()
    try:
        module = _converted(one)
    except Exception as error:  # torch and TVM raise many types here
        raise NoRuleError(f"TVM has no rule for it: {_reason(error)}") from error
    _require_same(one, module)
    part = module["main"].without_attr("global_symbol")
    name = e.builder.add_func(part, f"frontend_{node.name}")
    given = []
    for source in one.live:
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


def _converted(one: _One) -> Any:
    examples = tuple(_numbers(n, torch.zeros) for n in one.live)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        exported = torch.export.export(one, examples, strict=False)
        return from_exported_program(exported, unwrap_unit_return_tuple=True)


def _numbers(node: torch.fx.Node, make: Callable[..., torch.Tensor]) -> torch.Tensor:
    held = node.meta["val"]
    return make([int(d) for d in held.shape]).to(held.dtype)


def _require_same(one: _One, module: Any) -> None:
    """Runs both on random numbers: some rules of the frontend compute something else.

    Raises:
        NoRuleError: They differ, or TVM has no kernel for what it made.
    """
    generator = torch.Generator().manual_seed(0)
    given = [_numbers(n, lambda s: torch.randn(s, generator=generator)) for n in one.live]
    try:
        with torch.no_grad():
            wanted = one(*given)
    except (RuntimeError, IndexError):  # an index out of range
        given = [_numbers(n, torch.zeros) for n in one.live]
        with torch.no_grad():
            wanted = one(*given)
    wanted = list(wanted) if isinstance(wanted, (tuple, list)) else [wanted]
    names = [f"input_{i}" for i in range(len(given))], [f"output_{i}" for i in range(len(wanted))]
    try:
        executable = lower_module(module, here(), *names)
        run = Interpreter(executable, here())
        got = run(*(g.numpy() for g in given))
    except Exception as error:  # TVM raises errors of many kinds
        raise NoRuleError(f"TVM has no kernel for it: {_reason(error)}") from error
    for one_wanted, one_got in zip(wanted, got, strict=True):
        if not np.allclose(one_wanted.numpy(), one_got, rtol=1e-3, atol=1e-4, equal_nan=True):
            raise NoRuleError("TVM's rule for it computes something else")


def _reason(error: Exception) -> str:
    said = error.what if isinstance(error, EdgeoptError) else str(error)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    named = [line for line in lines if "nsupported" in line]
    return (named or lines or [type(error).__name__])[-1]
