"""The model as C source: an aligned constant array, and the registration of its operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt_tflite.micro.operators import registrations

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["c_files"]

_PER_LINE = 16

_DATA_H = """\
// Written by edgeopt. The model, for TFLite for Micro's tflite::GetModel(model_data).
#ifndef EDGEOPT_MODEL_DATA_H_
#define EDGEOPT_MODEL_DATA_H_

// What tflite::MicroInterpreter needs for tensors and bookkeeping, in bytes, aligned to 16. Measured with TFLM's
// reference kernels on a 64-bit machine: pointers of 32 bits take less, kernels of CMSIS-NN scratch buffers beside.
#define MODEL_ARENA_BYTES {arena}

#define MODEL_DATA_BYTES {size}
extern const unsigned char model_data[MODEL_DATA_BYTES];

#endif  // EDGEOPT_MODEL_DATA_H_
"""

_DATA_CC = """\
// Written by edgeopt. Constant: it stays in flash.
#include "model_data.h"

alignas(16) const unsigned char model_data[MODEL_DATA_BYTES] = {{
{rows}
}};
"""

_OPERATORS_H = """\
// Written by edgeopt. Registers the operators of model_data, and no others: what is not registered is not linked.
//
//   static MODEL_OP_RESOLVER resolver;
//   if (register_model_operators(resolver) != kTfLiteOk) {{ ... }}
#ifndef EDGEOPT_MODEL_OPERATORS_H_
#define EDGEOPT_MODEL_OPERATORS_H_

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

#define MODEL_OPERATORS {count}
#define MODEL_OP_RESOLVER tflite::MicroMutableOpResolver<MODEL_OPERATORS>

template <unsigned int kCount>
TfLiteStatus register_model_operators(tflite::MicroMutableOpResolver<kCount>& resolver) {{
  static_assert(kCount >= MODEL_OPERATORS, "the resolver has room for too few operators");
{calls}
  return kTfLiteOk;
}}

#endif  // EDGEOPT_MODEL_OPERATORS_H_
"""


def c_files(content: bytes, operators: Iterable[str], arena_bytes: int) -> dict[str, bytes]:
    """Returns the C++ files of a model, by name.

    Args:
        content: The ``.tflite`` file.
        operators: Its builtin operators, such as ``CONV_2D``.
        arena_bytes: What its interpreter needs, in bytes.
    """
    methods = registrations(operators)
    calls = "\n".join(
        f"  if (resolver.{method}() != kTfLiteOk) return kTfLiteError;" for method in methods
    )
    texts = {
        "model_data.h": _DATA_H.format(arena=arena_bytes, size=len(content)),
        "model_data.cc": _DATA_CC.format(rows=_rows(content)),
        "model_operators.h": _OPERATORS_H.format(count=len(methods), calls=calls),
    }
    return {name: text.encode() for name, text in texts.items()}


def _rows(content: bytes) -> str:
    rows = (content[start : start + _PER_LINE] for start in range(0, len(content), _PER_LINE))
    return "\n".join("    " + ", ".join(f"0x{byte:02x}" for byte in row) + "," for row in rows)
