"""Kernels to machine code by LLVM: each to an object file of its own, whoever its neighbours are.

TVM's passes go over all of them at once, which is cheaper than one by one and gives the same; LLVM takes
them one by one, so that what is generated of a kernel can be kept for other models.
"""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tvm
from tvm import s_tir, tirx

from edgeopt.errors import CompileError
from edgeopt_tvm.messages import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from edgeopt_tvm.machine import Machine

__all__ = ["object_files", "plain_functions"]

_CONFIG = {"tirx.disable_assert": True}
"""The runtime passes what `check_executable` found right; checks in kernels would find it again."""
_ENTRY = "tirx.is_entry_func"
"""TVM calls a function that is alone the module's entry, and writes it a second name."""
_PLAIN_LEVEL = 1
"""LLVM's level of optimization of what runs a few times, to compare with."""


def object_files(functions: Mapping[str, Any], machine: Machine) -> Iterator[tuple[str, bytes]]:
    """Yields for each kernel its name and its object file.

    Args:
        functions: The kernel's name, a C identifier, to its PrimFunc, ready for code generation. Its code
            is called ``__tvm_ffi_`` and the name.
        machine: What it shall run on.

    Raises:
        CompileError: TVM failed.
    """
    target = machine.tvm_target()
    try:
        with tvm.transform.PassContext(opt_level=3, config=_CONFIG):
            pipeline, host_passes, _ = tirx.get_default_tir_pipeline(target)
            module = host_passes()(pipeline(_bound(functions, target)))
        modules = [
            (str(variable.name_hint), tvm.IRModule({variable: function.without_attr(_ENTRY)}))
            for variable, function in module.functions.items()
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            contents = pool.map(lambda pair: _object_file(pair[1], target), modules)
            yield from zip((name for name, _ in modules), contents, strict=True)
    except Exception as error:  # TVM raises errors of many kinds
        raise CompileError(f"TVM: {reason(error)}", where=machine.triple) from error


def _object_file(module: Any, target: Any) -> bytes:
    """Returns the object file of one kernel; calls run side by side, each thread with its own context of TVM's."""
    with (
        tempfile.TemporaryDirectory(prefix="edgeopt-") as folder,
        tvm.transform.PassContext(opt_level=3, config=_CONFIG),
    ):
        path = Path(folder) / "kernel.o"
        _llvm(module, target).write_to_file(str(path), "o")
        return path.read_bytes()


def plain_functions(
    functions: Mapping[str, Any], machine: Machine
) -> dict[str, Callable[..., Any]]:
    """Returns kernels that nothing was scheduled of, to call here: a second opinion on the others.

    Only what code generation needs is done to them, by other passes than those of `object_files`.

    Args:
        functions: Name to PrimFunc, as fusion leaves it.
        machine: This machine.

    Raises:
        CompileError: TVM failed.
    """
    target = machine.tvm_target(optimization=_PLAIN_LEVEL)
    try:
        with tvm.transform.PassContext(opt_level=3, config=_CONFIG):
            module = tvm.transform.Sequential(_plain_passes())(_bound(functions, target))
            code = _llvm(module, target)
        return {name: code[name] for name in functions}
    except Exception as error:  # TVM raises errors of many kinds
        raise CompileError(f"TVM: {reason(error)}", where=machine.triple) from error


def _bound(functions: Mapping[str, Any], target: Any) -> Any:
    named = {name: f.with_attr("global_symbol", name) for name, f in functions.items()}
    return tirx.transform.BindTarget(target.with_host(target))(tvm.IRModule(named))


def _llvm(module: Any, target: Any) -> Any:
    return tvm.get_global_func("target.build.llvm")(tirx.transform.SkipAssert()(module), target)


def _plain_passes() -> list[Any]:
    return [
        s_tir.transform.LowerInitBlock(),
        s_tir.transform.PlanAndUpdateBufferAllocationLocation(),
        s_tir.transform.ConvertBlocksToOpaque(),
        s_tir.transform.LowerMatchBuffer(),
        s_tir.transform.LowerOpaqueBlock(),
        tirx.transform.FlattenBuffer(),
        tirx.transform.BF16ComputeLegalize(),
        tirx.transform.NarrowDataType(32),
        tirx.transform.VectorizeLoop(),
        tirx.transform.UnrollLoop(),
        s_tir.transform.RewriteUnsafeSelect(),
        tirx.transform.SplitHostDevice(),
        tirx.transform.MakePackedAPI(),
        tirx.transform.BF16StorageLegalize(),
        tirx.transform.LowerTVMBuiltin(),
        tirx.transform.LowerIntrin(),
    ]
