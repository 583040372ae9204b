"""C source that calls kernels on given inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt_micro.calls import KernelCall
    from edgeopt_micro.testing.cases import Case

__all__ = ["comparison", "constant", "parameters"]

_C_TYPES = {
    np.dtype(np.int8): "int8_t",
    np.dtype(np.int32): "int32_t",
    np.dtype(np.float32): "float",
}


def constant(name: str, values: np.ndarray) -> str:
    """Returns the definition of a constant array."""
    words = ",".join(
        float(v).hex() + "f" if values.dtype.kind == "f" else str(v) for v in values.reshape(-1)
    ).replace("-2147483648", "INT32_MIN")
    kind = _C_TYPES[values.dtype]
    return f"static const {kind} {name}[] __attribute__((aligned(16))) = {{{words}}};\n"


def parameters(name: str, call: KernelCall) -> str:
    """Returns the definitions of a call's struct and of its arrays."""
    arrays = {k: v for k, v in call.fields.items() if isinstance(v, np.ndarray)}
    text = "".join(constant(f"{name}_{k}", v) for k, v in arrays.items())
    members = (f".{k} = {f'{name}_{k}' if k in arrays else v}" for k, v in call.fields.items())
    return f"{text}static const {call.struct} {name} = {{{', '.join(members)}}};\n"


def comparison(calls: Sequence[KernelCall], cases: Sequence[Case]) -> str:
    """Returns a program that prints ``wrong N`` for each case whose output is not what it must be.

    Each runs twice: apart, with bytes behind the output that must stay as they are; and with the output
    as far over the input as the call allows.
    """
    scratch = max(call.scratch_bytes for call in calls) + 16
    room = max(case.expected.size + case.input.size for case in cases) + 32
    text = [
        '#include "bare.h"\n#include "edgeopt_weighted.h"\n',
        f"static int8_t scratch[{scratch}] __attribute__((aligned(16)));\n",
        f"static int8_t memory[{room}] __attribute__((aligned(16)));\n",
        _CHECK,
    ]
    body = []
    for index, (call, case) in enumerate(zip(calls, cases, strict=True)):
        name = f"case{index}"
        text += [parameters(name, call), constant(f"{name}_in", case.input.reshape(-1))]
        text.append(constant(f"{name}_out", case.expected.reshape(-1)))
        for margin in (16, 0):
            lapped = max(call.overlaps[0], -case.input.size)
            distance = case.expected.size + margin if margin else lapped
            start, goal = max(distance, 0), max(-distance, 0)
            body.append(
                f"  prepare({call.scratch_bytes}, {name}_in, {case.input.size}, memory + {start});\n"
                f"  {call.function}(&{name}, memory + {start}, memory + {goal}, scratch);\n"
                f"  check({index}, {name}_out, {case.expected.size}, memory + {goal}, {margin}, {call.scratch_bytes});\n"
            )
    return "".join([*text, "void bare_main(void) {\n", *body, '  bare_print("end\\n");\n}\n'])


_CHECK = """
static void prepare(int used, const int8_t *input, int count, int8_t *to) {
  for (int i = 0; i < (int)sizeof memory; ++i) memory[i] = 85;
  for (int i = 0; i < used + 16; ++i) scratch[i] = 85;
  for (int i = 0; i < count; ++i) to[i] = input[i];
}
static void check(uint32_t number, const int8_t *expected, int count, const int8_t *output, int margin,
                  int used) {
  int good = 1;
  for (int i = 0; i < count + margin; ++i) good &= output[i] == (i < count ? expected[i] : 85);
  for (int i = used; i < used + 16; ++i) good &= scratch[i] == 85;
  if (good) return;
  bare_print("wrong ");
  bare_print_number(number);
  bare_print("\\n");
}
"""
