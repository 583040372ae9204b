"""The C header of a model: sizes, types, places and grids of its inputs and outputs as macros."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from edgeopt.ir import orders
from edgeopt_micro.memory import ALIGNMENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.contracts import TensorSpec
    from edgeopt_micro.emitter import Emitter
    from edgeopt_micro.memory import MemoryPlan
    from edgeopt_micro.values import Value

__all__ = ["model_header", "plain_text"]


def model_header(name: str, emitter: Emitter) -> str:
    """Returns what a program needs to call a model.

    Args:
        name: The model's C name.
        emitter: After its run.
    """
    big, plan, signature = name.upper(), emitter.plan, emitter.program.signature
    return "\n".join([
        f"/* {name}: written by edgeopt. Real value = (integer - zero point) * scale. */",
        f"#ifndef {big}_H",
        f"#define {big}_H",
        "",
        '#include "edgeopt_model.h"',
        "",
        f"#define {big}_ARENA_BYTES {max(1, plan.size_bytes)}",
        f"#define {big}_ARENA_ALIGN {ALIGNMENT}",
        *_tensors(f"{big}_INPUT", emitter.inputs, signature.inputs, plan),
        *_tensors(f"{big}_OUTPUT", emitter.outputs, signature.outputs, plan),
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        f"extern const edgeopt_model {name}_model;",
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "#endif",
        "",
    ])  # fmt: skip


def plain_text(name: str) -> str:
    """Returns a name as it may stand in a comment or between quotes: what is no plain letter is ``_``."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-. ") else "_" for c in name)


def _tensors(
    prefix: str, values: Sequence[Value], specs: Sequence[TensorSpec], plan: MemoryPlan
) -> list[str]:
    """Returns the macros of inputs or outputs, by number; then under their names, where C tells those apart."""
    identifiers = [_identifier(spec.name) for spec in specs]
    counts = Counter(identifiers)
    lines = []
    for k, (value, spec, identifier) in enumerate(zip(values, specs, identifiers, strict=True)):
        shape = orders.stored_shape(value.shape, value.order)
        macros = _macros(value, plan.offsets[value.buffer])
        sizes = " x ".join(str(n) for n in shape)
        lines += ["", f"/* {plain_text(spec.name)}: {value.dtype}[{sizes}] */"]
        lines += [f"#define {prefix}{k}_{name} {text}" for name, text in macros.items()]
        if counts[identifier] == 1 and identifier != f"OUTPUT_{k}":
            own = f"{prefix}_{identifier}"
            lines.append(f"#define {own}_INDEX {k}")
            lines += [f"#define {own}_{name} {prefix}{k}_{name}" for name in macros]
    return lines


def _macros(value: Value, offset: int) -> dict[str, str]:
    """Returns the ends of macros' names to what they stand for."""
    macros = {
        "COUNT": str(value.count),
        "BYTES": str(value.size_bytes),
        "TYPE": value.c_type,
        "IN(arena)": f"(({value.c_type} *)((uint8_t *)(arena) + {offset}))",
    }
    if value.grid:
        macros |= {"SCALE": f"{value.grid.scale!r}f", "ZERO_POINT": f"({value.grid.zero})"}
    return macros


def _identifier(name: str) -> str:
    """Returns a name as the middle of a C macro's."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name).upper()
