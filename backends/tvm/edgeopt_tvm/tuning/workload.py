"""What makes two kernels the same to tuning: the machine, the toolchain, and what is computed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

import tvm
import tvm_ffi
from tvm.tirx.stmt_functor import StmtExprMutator

from edgeopt.tuning import Key

if TYPE_CHECKING:
    from edgeopt_tvm.machine import Machine
    from edgeopt_tvm.tuning.templates import Templates

__all__ = ["abstracted", "bare", "key_of", "machine_text", "version_text", "workload_of"]


def key_of(function: Any, machine: Machine, templates: Templates, *, device: str = "") -> Key:
    """Returns the key under which trials of ``function``, a PrimFunc as fusion leaves it, are kept.

    Args:
        function: The kernel.
        machine: What code is made for.
        templates: What candidates are made from.
        device: Name of an emulated device: what is measured there is kept apart from everything else.
    """
    return Key(
        backend="tvm",
        machine=machine_text(machine, device=device),
        version=version_text(templates),
        workload=workload_of(function),
    )


def machine_text(machine: Machine, *, device: str = "") -> str:
    """Returns what of a machine decides how fast a kernel is, as JSON with sorted keys."""
    facts = {k: v for k, v in asdict(machine).items() if k != "glibc"}
    if device:
        facts["emulated"] = device
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))


def version_text(templates: Templates) -> str:
    """Returns TVM's version and that of the templates."""
    return f"tvm {metadata.version('apache-tvm')}, {templates.module} {templates.version}"


def workload_of(function: Any) -> str:
    """Returns a digest of what ``function`` computes, but for the values of its constants.

    Zero points and scales differ from layer to layer and from model to model; which schedule
    is fastest does not depend on them.
    """
    general = abstracted(function)
    names = "\n".join([*_blocks(general), *_types(general)])
    text = f"{tvm_ffi.structural_hash(general):016x}\n{names}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def bare(function: Any) -> Any:
    """Returns ``function`` under the name ``main``, without what fusion noted on it."""
    result = function
    for name in dict(function.attrs or {}):
        if name != "tirx.noalias":
            result = result.without_attr(name)
    return result.with_attr("global_symbol", "main")


def abstracted(function: Any) -> Any:
    """Returns ``function`` with 1 for every constant that is not part of an index or a condition."""
    plain = bare(function)
    return plain.with_body(_Abstraction().visit_stmt(plain.body))


class _Abstraction(StmtExprMutator):  # type: ignore[misc]
    """Replaces constants in what is computed; leaves alone where it is read and written."""

    def __init__(self) -> None:
        super().__init__()
        self._inside = False

    def visit_buffer_store_(self, op: Any) -> Any:
        self._inside = True
        value = self.visit_expr(op.value)
        self._inside = False
        if value is op.value:
            return op
        return tvm.tirx.BufferStore(op.buffer, value, op.indices, op.predicate, op.span)

    def visit_buffer_load_(self, op: Any) -> Any:
        return op

    def visit_call_(self, op: Any) -> Any:
        keep = 1 if "if_then_else" in str(getattr(op.op, "name", "")) else 0
        args = [a if i < keep else self.visit_expr(a) for i, a in enumerate(op.args)]
        return tvm.ir.Call(op.op, args, attrs=op.attrs, span=op.span, ret_ty=op.ty)

    def visit_select_(self, op: Any) -> Any:
        yes, no = self.visit_expr(op.true_value), self.visit_expr(op.false_value)
        return tvm.tirx.Select(op.condition, yes, no)

    def visit_float_imm_(self, op: Any) -> Any:
        return tvm.tirx.FloatImm(op.ty, 1.0) if self._inside else op

    def visit_int_imm_(self, op: Any) -> Any:
        return tvm.tirx.IntImm(op.ty, 1) if self._inside else op


def _blocks(function: Any) -> list[str]:
    """Returns the names of the blocks: templates find their way by them."""
    names: list[str] = []

    def see(node: Any) -> None:
        if isinstance(node, tvm.tirx.SBlock):
            names.append(str(node.name_hint))

    tvm.tirx.stmt_functor.post_order_visit(function.body, see)
    return names


def _types(function: Any) -> list[str]:
    return [f"{b.dtype}{[str(d) for d in b.shape]}" for b in function.params]
