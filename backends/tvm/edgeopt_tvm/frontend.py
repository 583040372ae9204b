"""Writes one node through TVM's own PyTorch frontend, for operators outside our table."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

from tvm import relax
from tvm.relax.frontend.torch import from_exported_program

from edgeopt.errors import CompileError
from edgeopt.ir import orders
from edgeopt.lowering import NoRuleError
from edgeopt.lowering.frontend import OperatorImporter, require_same
from edgeopt.progress import progress_to, silent
from edgeopt_tvm import kernels
from edgeopt_tvm.fusion import lower_module
from edgeopt_tvm.interpreter import Interpreter
from edgeopt_tvm.machine import here
from edgeopt_tvm.objects import kernel_objects

if TYPE_CHECKING:
    import torch

    from edgeopt.lowering.frontend import SingleOperator
    from edgeopt_tvm.emitter import Emitter
    from edgeopt_tvm.executable import Executable

__all__ = ["convert_node", "convert_operator"]

_LOG = logging.getLogger(__name__)


def convert_operator(operator: SingleOperator) -> Any:
    """Returns the Relax module that the frontend makes of one operator.

    Raises:
        NoRuleError: TVM has no kernel for it, or computes something else.
    """
    exported = operator.exported()
    try:
        module = from_exported_program(exported, unwrap_unit_return_tuple=True)
    except Exception as error:  # it raises errors of many kinds, about what is inside TVM
        _LOG.debug("TVM's frontend fails on %s", operator, exc_info=True)
        raise NoRuleError("TVM has no kernel for it") from error
    example = operator.output
    results = len(example) if isinstance(example, (tuple, list)) else 1
    try:
        executable = _executable(module, len(operator.inputs), results)
    except Exception as error:
        _LOG.debug("TVM's kernels for %s cannot be compiled", operator, exc_info=True)
        raise NoRuleError("TVM has no kernel for it") from error
    try:
        run = Interpreter(executable, here(), schedule=False)
    except CompileError as error:
        raise NoRuleError("TVM has no kernel for it") from error
    require_same(operator, run, "TVM")
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


def _executable(module: Any, inputs: int, results: int) -> Executable:
    """Returns the kernels of a module; each has code as it is scheduled, which the cache keeps.

    That this code is right is found out when it is compiled for the device.

    Raises:
        CompileError: One has none.
    """
    names = ([f"input_{i}" for i in range(inputs)], [f"output_{i}" for i in range(results)])
    executable = lower_module(module, here(), *names)
    functions = {v.name_hint: f for v, f in executable.module.functions.items()}
    ready = {name: kernels.scheduled(f, here()) for name, f in functions.items()}
    with progress_to(silent):  # they are not the artefact's
        kernel_objects(ready, here())
    return executable
