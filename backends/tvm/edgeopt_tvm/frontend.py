"""Writes one node through TVM's own PyTorch frontend, for operators outside our table."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from tvm import relax
from tvm.relax.frontend.torch import from_exported_program

from edgeopt.ir import orders
from edgeopt.lowering.frontend import OperatorImporter, require_same
from edgeopt_tvm.fusion import lower_module
from edgeopt_tvm.interpreter import Interpreter
from edgeopt_tvm.machine import here

if TYPE_CHECKING:
    import numpy as np
    import torch

    from edgeopt.lowering.frontend import SingleOperator
    from edgeopt_tvm.emitter import Emitter

__all__ = ["convert_node", "convert_operator"]


def convert_operator(operator: SingleOperator) -> Any:
    """Returns the Relax module that the frontend makes of one operator.

    Raises:
        NoRuleError: TVM has no kernel for it, or computes something else.
    """
    module = from_exported_program(operator.exported(), unwrap_unit_return_tuple=True)
    example = operator.output
    results = len(example) if isinstance(example, (tuple, list)) else 1
    require_same(operator, lambda *inputs: _run(module, inputs, results), "TVM")
    return module


@cache
def _importer() -> OperatorImporter[Any]:
    """Returns the importer, the same for all programs."""
    return OperatorImporter("TVM", convert_operator)


def convert_node(e: Emitter, node: torch.fx.Node) -> None:
    """Writes what the frontend makes of ``node``.

    Raises:
        NoRuleError: The frontend has no rule for it.
    """
    module, inputs = _importer()(e.program, node)
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


def _run(module: Any, inputs: tuple[np.ndarray, ...], results: int) -> list[np.ndarray]:
    """Returns what the kernels make of ``inputs``."""
    names = ([f"input_{i}" for i in range(len(inputs))], [f"output_{i}" for i in range(results)])
    return Interpreter(lower_module(module, here(), *names), here())(*inputs)
