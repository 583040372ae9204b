"""Writes one node through TVM's own PyTorch frontend, for operators outside our table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tvm import relax
from tvm.relax.frontend.torch import from_exported_program

from edgeopt.errors import EdgeoptError
from edgeopt.ir import orders
from edgeopt.lowering import NoRuleError
from edgeopt_tvm.fusion import lower_module
from edgeopt_tvm.interpreter import Interpreter
from edgeopt_tvm.machine import here

if TYPE_CHECKING:
    from edgeopt.lowering.frontend import SingleOperator
    from edgeopt_tvm.emitter import Emitter

__all__ = ["convert_node", "convert_operator"]


def convert_operator(operator: SingleOperator) -> Any:
    """Returns the Relax module that the frontend makes of one operator.

    Raises:
        NoRuleError: TVM has no kernel for it, or computes something else.
    """
    module = from_exported_program(operator.exported(), unwrap_unit_return_tuple=True)
    _require_same(operator, module)
    return module


def convert_node(e: Emitter, node: torch.fx.Node) -> None:
    """Writes what the frontend makes of ``node``.

    Raises:
        NoRuleError: The frontend has no rule for it.
    """
    module, inputs = e.importer(e.program, node)
    part = module["main"].without_attr("global_symbol")
    name = e.builder.add_func(part, f"frontend_{node.name}")
    operands = []
    for source in inputs:
        value = e.value(source)
        operands.append(e.read(value, orders.identity(len(value.shape)), real=True).expr)
    output = e.builder.emit(relax.Call(name, operands))
    if isinstance(node.meta["val"], (tuple, list)):
        count = len(node.meta["val"])
        e.put_parts(node, [e.builder.emit(relax.TupleGetItem(output, i)) for i in range(count)])
    else:
        e.put(node, output)


def _require_same(one: SingleOperator, module: Any) -> None:
    """Runs both on random numbers: some rules of the frontend compute something else.

    Raises:
        NoRuleError: They differ, or TVM has no kernel for what it made.
    """
    generator = torch.Generator().manual_seed(0)
    inputs = one.examples(lambda shape: torch.randn(shape, generator=generator))
    try:
        with torch.no_grad():
            expected = one(*inputs)
    except (RuntimeError, IndexError):  # an index out of range
        inputs = one.examples()
        with torch.no_grad():
            expected = one(*inputs)
    expected = list(expected) if isinstance(expected, (tuple, list)) else [expected]
    names = (
        [f"input_{i}" for i in range(len(inputs))],
        [f"output_{i}" for i in range(len(expected))],
    )
    try:
        executable = lower_module(module, here(), *names)
        run = Interpreter(executable, here())
        actual = run(*(g.numpy() for g in inputs))
    except Exception as error:  # TVM raises errors of many kinds
        raise NoRuleError(f"TVM has no kernel for it: {_reason(error)}") from error
    for one_wanted, one_got in zip(expected, actual, strict=True):
        if not np.allclose(one_wanted.numpy(), one_got, rtol=1e-3, atol=1e-4, equal_nan=True):
            raise NoRuleError("TVM's rule for it computes something else")


def _reason(error: Exception) -> str:
    message = error.what if isinstance(error, EdgeoptError) else str(error)
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    named = [line for line in lines if "nsupported" in line]
    return (named or lines or [type(error).__name__])[-1]
