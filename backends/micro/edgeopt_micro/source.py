"""The C source of a model: its constants, its functions, and the calls in their order."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeopt.ir import orders
from edgeopt_micro.header import model_header, plain_text
from edgeopt_micro.memory import ALIGNMENT
from edgeopt_micro.packing import packing_of
from edgeopt_micro.scalars import literal
from edgeopt_micro.values import C_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.contracts import TensorSpec
    from edgeopt_micro.calls import KernelCall
    from edgeopt_micro.emitter import Emitter, Step
    from edgeopt_micro.memory import MemoryPlan
    from edgeopt_micro.values import Buffer, Value

__all__ = ["model_source", "native_file"]

_COLUMNS = 100
_LAYER = "edgeopt_layer"
_DTYPES = {
    "int8": "EDGEOPT_INT8",
    "uint8": "EDGEOPT_UINT8",
    "int16": "EDGEOPT_INT16",
    "int32": "EDGEOPT_INT32",
    "int64": "EDGEOPT_INT64",
    "float32": "EDGEOPT_FLOAT32",
    "bool": "EDGEOPT_BOOL",
}


def native_file(name: str) -> bytes:
    """Returns the content of a file of ``native/``."""
    return (resources.files("edgeopt_micro") / "native" / name).read_bytes()


def model_source(name: str, emitter: Emitter, digest: str) -> dict[str, bytes]:
    """Returns the files of a model, by name: its source, and the kernels that it calls.

    Args:
        name: A C identifier.
        emitter: After its run.
        digest: Of the program.
    """
    needed = {source for step in emitter.steps for source in step.call.sources}
    files = {one: native_file(one) for one in sorted(needed | {"edgeopt_model.h"})}
    writer = _Writer(name, emitter, emitter.plan, digest)
    files[f"{name}.c"] = writer.source().encode()
    files[f"{name}.h"] = model_header(name, emitter).encode()
    return files


@dataclass
class _Writer:
    """The text of one model.

    Attributes:
        constants: Dtype and content of each array to its name; equal arrays are one.
        functions: C text of each function to its name; likewise.
        structs: Type and fields of each struct to its name; likewise.
    """

    name: str
    emitter: Emitter
    plan: MemoryPlan
    digest: str
    constants: dict[tuple[str, bytes], str] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    structs: dict[tuple[str, str], str] = field(default_factory=dict)

    # -- model.c --------------------------------------------------------------------------------

    def source(self) -> str:
        """Returns ``model.c``."""
        signature = self.emitter.program.signature
        headers = {
            header
            for step in self.emitter.steps
            for header in ([f"{step.call.struct}.h"] if step.call.struct else step.call.sources)
        }
        calls = [self._call(number, step) for number, step in enumerate(self.emitter.steps)]
        cases = "\n".join(f"    case {k}: {call} break;" for k, call in enumerate(calls))
        names = ", ".join(f'"{step.name}"' for step in self.emitter.steps)
        includes = "\n".join(f'#include "{one}"' for one in (f"{self.name}.h", *sorted(headers)))
        arrays = "\n".join(self._array(*key, name) for key, name in self.constants.items())
        functions = "\n\n".join(
            f"static void {name}{text}" for text, name in self.functions.items()
        )
        return "\n".join([
            f"/* {self.name}: written by edgeopt; the digest of its program is {self.digest}. */",
            f"#define EDGEOPT_PACKING {packing_of(self.emitter.core)}",
            includes,
            "",
            arrays,
            *(
                f"static const {t} {n}{'[]' if t == _LAYER else ''} = {{{f}}};"
                for (t, f), n in self.structs.items()
            ),
            "",
            functions,
            "",
            _RUN.format(pointers=self._pointers(), cases=cases),
            self._tensors("inputs", self.emitter.inputs, signature.inputs),
            self._tensors("outputs", self.emitter.outputs, signature.outputs),
            f"static const char *const step_names[] = {{{names or '0'}}};",
            "",
            self._model(),
            "",
        ])  # fmt: skip

    def _pointers(self) -> str:
        lines = []
        for kind, values in (("inputs", self.emitter.inputs), ("outputs", self.emitter.outputs)):
            for k, value in enumerate(values):
                own = f"{kind[:-1]}{k}"
                const = "const " if kind == "inputs" else ""
                place = f"arena + {self.plan.offsets[value.buffer]}"
                lines.append(
                    f"  {const}{value.c_type} *{own} = {kind} && {kind}[{k}] ? "
                    f"({const}{value.c_type} *){kind}[{k}] : ({const}{value.c_type} *)({place});"
                )
                lines.append(f"  (void){own};")
        return "\n".join(lines)

    def _call(self, number: int, step: Step) -> str:
        call = step.call
        arguments = [self._pointer(value) for value in step.inputs]
        arguments.append(self._pointer(step.output))
        if call.text:
            function = self._function(call)
            arguments += [self._number(value) for value in call.fields.values()]
            return f"{function}({', '.join(arguments)});"
        scratch = f"arena + {self.plan.scratch[number]}" if call.scratch_bytes else "0"
        return f"{call.function}(&{self._struct(call)}, {', '.join(arguments)}, {scratch});"

    def _function(self, call: KernelCall) -> str:
        if call.text not in self.functions:
            self.functions[call.text] = f"{call.function}_{len(self.functions)}"
        return self.functions[call.text]

    def _struct(self, call: KernelCall) -> str:
        fields = f".layers = {self._layers(call)}, " if call.layers else ""
        fields += ", ".join(f".{key} = {self._number(value)}" for key, value in call.fields.items())
        return self.structs.setdefault((call.struct, fields), f"p{len(self.structs)}")

    def _layers(self, call: KernelCall) -> str:
        rows = (f"{{{one.function}, &{self._struct(one)}, {at}}}" for one, at in call.layers)
        return self.structs.setdefault((_LAYER, ", ".join(rows)), f"p{len(self.structs)}")

    def _number(self, value: float | np.ndarray) -> str:
        if isinstance(value, np.ndarray):
            return self._constant(value)
        return repr(value) if isinstance(value, int) else literal(value)

    def _constant(self, array: np.ndarray) -> str:
        key = (str(array.dtype), np.ascontiguousarray(array).tobytes())
        return self.constants.setdefault(key, f"c{len(self.constants)}")

    def _pointer(self, value: Value) -> str:
        buffer: Buffer = value.buffer
        if buffer.array is not None:
            return self._constant(buffer.array)
        if buffer.kind in ("input", "output"):
            return f"{buffer.kind}{buffer.number}"
        return f"({value.c_type} *)(arena + {self.plan.offsets[buffer]})"

    def _array(self, dtype: str, content: bytes, name: str) -> str:
        array = np.frombuffer(content, dtype)
        numbers = [_literal(x) for x in array.tolist()]
        lines, line = [], ""
        for number in numbers:
            if len(line) + len(number) > _COLUMNS:
                lines.append(line)
                line = ""
            line += f"{number},"
        body = "\n".join([*lines, line])
        return (
            f"static const {C_TYPES[dtype]} {name}[{max(1, array.size)}] "
            f"__attribute__((aligned(4))) = {{\n{body}\n}};"
        )

    def _tensors(self, kind: str, values: Sequence[Value], specs: Sequence[TensorSpec]) -> str:
        shapes, rows = [], []
        for k, (value, spec) in enumerate(zip(values, specs, strict=True)):
            shape = orders.stored_shape(value.shape, value.order)
            sizes = ", ".join(str(n) for n in shape) or "1"
            shapes.append(f"static const uint32_t {kind}_shape{k}[] = {{{sizes}}};")
            scale = f"{value.grid.scale!r}f" if value.grid else "0.0f"
            zero = value.grid.zero if value.grid else 0
            rows.append(
                f'    {{"{plain_text(spec.name)}", {_DTYPES[value.dtype]}, {len(shape)}, {kind}_shape{k}, '
                f"{value.size_bytes}, {scale}, {zero}, {self.plan.offsets[value.buffer]}}},"
            )
        return "\n".join([*shapes, f"static const edgeopt_tensor {kind}[] = {{", *rows, "};", ""])

    def _model(self) -> str:
        counts = (
            f"{len(self.emitter.inputs)}, {len(self.emitter.outputs)}, {len(self.emitter.steps)}"
        )
        return (
            f"const edgeopt_model {self.name}_model = {{\n"
            f'    "{self.name}", "{self.digest}", {max(1, self.plan.size_bytes)}, {ALIGNMENT}, {counts},\n'
            f"    inputs, outputs, step_names, run_steps,\n}};"
        )


def _literal(number: Any) -> str:
    if isinstance(number, bool):
        return str(int(number))
    if isinstance(number, int):
        return str(number) if abs(number) < 2**31 else f"{number}LL"
    return literal(number)


_RUN = """\
static int run_steps(void *memory, const void *const *inputs, void *const *outputs, uint16_t first, uint16_t last) {{
  uint8_t *const arena = (uint8_t *)memory;
  if (!arena || ((uintptr_t)arena & 15u)) return EDGEOPT_BAD_ARENA;
{pointers}
  for (; first < last; first++) {{
    switch (first) {{
{cases}
    default: break;
    }}
  }}
  return EDGEOPT_OK;
}}
"""
