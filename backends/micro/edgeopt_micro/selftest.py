"""A test that a firmware can run on its own: the outputs of one made-up input, as the reference has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgeopt.contracts.storage import INT8
from edgeopt.ir import ReferenceRunner, orders
from edgeopt.ir.kernel_kind import kernel_kinds
from edgeopt_micro.scalars import literal

if TYPE_CHECKING:
    from edgeopt_micro.emitter import Emitter
    from edgeopt_micro.values import Value

__all__ = ["selftest_files"]

_SEED = 20260701
_MOST = 1024
"""How many numbers of an output are compared."""


def selftest_files(name: str, emitter: Emitter) -> dict[str, bytes]:
    """Returns header and source of ``int name_selftest(void *arena)``.

    It returns 0 where all compared numbers are the reference's, else how many are not, or an error of
    the model's, which is negative. Values that are computed in float may be one step, or a
    thousandth, away.

    Args:
        name: The model's C name.
        emitter: After its run.
    """
    chance = _Chance(_SEED)
    inputs = [_real(chance.numbers(value), value) for value in emitter.inputs]
    outputs = ReferenceRunner(emitter.program)(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    exact = all(kind.kind != "float" for kind in kernel_kinds(emitter.program).values())
    big = name.upper()
    lines = [
        f'#include "{name}_selftest.h"',
        "",
        f'#include "{name}.h"',
        "",
        "/* xorshift32: the same numbers on each machine. */",
        "static uint32_t next(uint32_t *state) {",
        "  *state ^= *state << 13, *state ^= *state >> 17, *state ^= *state << 5;",
        "  return *state;",
        "}",
        "",
        "static inline int32_t clipped(int32_t x, int32_t low, int32_t high) {",
        "  return x < low ? low : x > high ? high : x;",
        "}",
        "",
    ]
    for k, (value, output) in enumerate(zip(emitter.outputs, outputs, strict=True)):
        golden = _stored(output, value).reshape(-1)[:_MOST]
        numbers = ",".join(_literal(x) for x in golden.tolist())
        lines.append(f"static const {value.c_type} wanted{k}[] = {{{numbers}}};")
    lines += ["", f"int {name}_selftest(void *arena) {{", f"  uint32_t state = {_SEED}u;"]
    lines += [line for k, value in enumerate(emitter.inputs) for line in _fill(k, value, big)]
    lines += [
        f"  int status = edgeopt_invoke(&{name}_model, arena, 0, 0);",
        "  if (status != EDGEOPT_OK) return status;",
        "  int wrong = 0;",
    ]
    for k, value in enumerate(emitter.outputs):
        count = min(_MOST, value.count)
        lines += [
            f"  const {value.c_type} *y{k} = {big}_OUTPUT{k}_IN(arena);",
            f"  for (int i = 0; i < {count}; i++) {{ {_difference(value, k)} wrong += {_limit(value, k, exact=exact)}; }}",
        ]
    lines += ["  return wrong;", "}", ""]
    header = f"#ifndef {big}_SELFTEST_H\n#define {big}_SELFTEST_H\nint {name}_selftest(void *arena);\n#endif\n"
    return {
        f"{name}_selftest.h": header.encode(),
        f"{name}_selftest.c": "\n".join(lines).encode(),
    }


class _Chance:
    """xorshift32 (Marsaglia, "Xorshift RNGs", 2003), as the C source has it."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def numbers(self, value: Value) -> np.ndarray:
        """Returns the stored numbers of an input, of the shape of its memory."""
        stored = [self._next() for _ in range(value.count)]
        array = np.array(stored, np.uint32)
        shape = orders.stored_shape(value.shape, value.order)
        return _number(array, value).reshape(shape)

    def _next(self) -> int:
        state = self._state
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        self._state = state
        return state


def _number(bits: np.ndarray, value: Value) -> np.ndarray:
    """Returns an input's numbers of random bits: int8 its lowest byte, float from -1 to 1, else 0 or 1."""
    if value.grid is not None:
        whole = (bits & INT8.steps).astype(np.int64) + INT8.lowest
        return np.clip(whole, value.grid.low, value.grid.high).astype(np.int8)
    if value.dtype == "float32":
        return ((bits >> 8).astype(np.float32) / np.float32(2**23) - 1).astype(np.float32)
    return (bits & 1).astype(value.dtype)


def _fill(k: int, value: Value, big: str) -> list[str]:
    if value.grid is not None:
        number = f"clipped((int32_t)(next(&state) & {INT8.steps}u) - {-INT8.lowest}, {value.grid.low}, {value.grid.high})"
    elif value.dtype == "float32":
        number = "(float)(next(&state) >> 8) / 8388608.0f - 1.0f"
    else:
        number = "next(&state) & 1u"
    return [
        f"  {value.c_type} *x{k} = {big}_INPUT{k}_IN(arena);",
        f"  for (int i = 0; i < {value.count}; i++) x{k}[i] = ({value.c_type})({number});",
    ]


def _real(stored: np.ndarray, value: Value) -> np.ndarray:
    """Returns an input as the program takes it."""
    moved = stored.transpose(np.argsort(value.order))
    if value.grid is None:
        return np.ascontiguousarray(moved)
    whole = moved.astype(np.float32) - np.float32(value.grid.zero)
    return np.ascontiguousarray(whole * np.float32(value.grid.scale))


def _stored(output: np.ndarray, value: Value) -> np.ndarray:
    """Returns an output as the model stores it."""
    moved = np.ascontiguousarray(output.transpose(value.order))
    if value.grid is None:
        return moved.astype(value.dtype)
    steps = np.rint(moved / np.float32(value.grid.scale)) + value.grid.zero
    return steps.astype(np.int8)


def _difference(value: Value, k: int) -> str:
    kind = "float" if value.dtype == "float32" else "int32_t"
    return f"{kind} d = ({kind})y{k}[i] - ({kind})wanted{k}[i], w = ({kind})wanted{k}[i]; (void)w;"


def _limit(value: Value, k: int, *, exact: bool) -> str:
    if value.grid is None and value.dtype == "float32":
        return f"y{k}[i] != wanted{k}[i] && (y{k}[i] == y{k}[i] || w == w) && !((d < 0 ? -d : d) <= 1e-3f * (w < 0 ? -w : w) + 1e-4f)"
    return "d != 0" if exact or value.grid is None else "d > 1 || d < -1"


def _literal(number: Any) -> str:
    return literal(number) if isinstance(number, float) else str(int(number))
