"""All files of a model's C library, and what a runner must know of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from edgeopt.ir import orders
from edgeopt_micro.board import board_metadata, firmware_files
from edgeopt_micro.build import archive
from edgeopt_micro.footprint import linked_sections
from edgeopt_micro.packaging import package_files
from edgeopt_micro.selftest import selftest_files
from edgeopt_micro.source import model_source

if TYPE_CHECKING:
    from edgeopt.contracts import Target
    from edgeopt.ir import Program
    from edgeopt_micro.emitter import Emitter
    from edgeopt_micro.memory import MemoryPlan
    from edgeopt_micro.values import Value

__all__ = ["Library", "library_files"]

NAME = "model"
"""The C name of the model."""


class Library(NamedTuple):
    """A model as a C library.

    Attributes:
        entry: The file that runners open.
        files: All of them, name to content.
        metadata: What runners must know.
    """

    entry: str
    files: dict[str, bytes]
    metadata: dict[str, Any]


def library_files(program: Program, emitter: Emitter, target: Target) -> Library:
    """Returns the library of a program.

    Args:
        program: After the target passes.
        emitter: After its run on it.
        target: What it is for.

    Raises:
        PluginError: zig is not installed.
        CompileError: The source does not compile.
    """
    plan = emitter.plan
    source = model_source(NAME, emitter, program.digest)
    metadata: dict[str, Any] = {
        "model": NAME,
        "arena_bytes": max(1, plan.size_bytes),
        "inputs": _tensors(emitter.inputs, program.signature.inputs, plan),
        "outputs": _tensors(emitter.outputs, program.signature.outputs, plan),
    }
    files = {f"src/{name}": content for name, content in source.items()}
    if target.microcontroller is not None:
        checked = {**source, **selftest_files(NAME, emitter)}
        files |= {f"src/{name}": content for name, content in checked.items()}
        files["libmodel.a"] = archive(checked, emitter.core)
        files |= firmware_files()
        micro = target.microcontroller
        metadata |= board_metadata(target, micro, program.digest, metadata["arena_bytes"])
        sections = emitter.linked = linked_sections(source, NAME, emitter.core)
        metadata |= {"code_bytes": sections.code, "constant_bytes": sections.constants}
        files |= package_files({
            "name": NAME,
            "core": target.cpu.model,
            "precision": program.precision,
            "arena": str(plan.size_bytes),
        })  # fmt: skip
    return Library(f"src/{NAME}.c", files, metadata)


def _tensors(values: list[Value], specs: Any, plan: MemoryPlan) -> list[dict[str, Any]]:
    """Returns what a runner must know of inputs or outputs."""
    return [
        {**_tensor(value, spec.dtype), "offset": plan.offsets[value.buffer]}
        for value, spec in zip(values, specs, strict=True)
    ]


def _tensor(value: Value, dtype: str) -> dict[str, Any]:
    grid = value.grid
    return {
        "dtype": "uint8" if value.dtype == "bool" else value.dtype,
        "model_dtype": dtype,
        "stored_shape": list(orders.stored_shape(value.shape, value.order)),
        "order": list(value.order),
        "scale": grid.scale if grid else 0.0,
        "zero_point": grid.zero if grid else 0,
        "low": grid.low if grid else 0,
        "high": grid.high if grid else 0,
    }
