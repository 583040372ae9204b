"""From a fused Relax module to a list of kernel calls on buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tvm
from tvm import relax

from edgeopt.errors import CompileError
from edgeopt_tvm.executable import Buffer, Executable, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

__all__ = ["Identity", "bindings", "flattened", "identity", "is_call", "is_view"]

Identity = tuple[int, ...]
"""A variable; one that is a tuple has its parts' numbers behind."""


def flattened(
    module: Any,
    inputs: Sequence[str],
    outputs: Sequence[str],
    origins: Sequence[tuple[str, ...]] = (),
) -> Executable:
    """Returns the executable of a module whose main calls kernels, one after the other.

    Args:
        module: As fusion leaves it.
        inputs: Names of the inputs.
        outputs: Names of the outputs.
        origins: For each kernel call of main, in order, the program's nodes that it computes.

    Raises:
        CompileError: Something is left that is not a kernel.
    """
    flat = _Flat()
    main = module["main"]
    for parameter, name in zip(main.params, inputs, strict=True):
        buffer = Buffer(name, _shape(parameter), _dtype(parameter), "input")
        flat.add(identity(parameter), buffer)
    flat.outputs(_returned(main), outputs)
    number = 0
    for binding in bindings(main):
        if is_call(binding.value):
            flat.call(binding, origins[number] if number < len(origins) else ())
            number += 1
        else:
            flat.bind(binding)
    kernels = {step.kernel for step in flat.steps}
    functions = {g.name_hint: f for g, f in module.functions.items() if g.name_hint in kernels}
    return Executable(
        tvm.IRModule(functions), tuple(flat.buffers), tuple(flat.steps), flat.constants
    )


class _Flat:
    """The executable as far as it is known."""

    def __init__(self) -> None:
        self.buffers: list[Buffer] = []
        self.steps: list[Step] = []
        self.constants: dict[int, np.ndarray] = {}
        self._index: dict[Identity, int] = {}
        self._tuples: dict[Identity, list[int]] = {}
        self._goals: dict[Identity, int] = {}

    def add(self, variable: Identity, buffer: Buffer) -> int:
        """Returns the index of a new buffer, which ``variable`` is."""
        self.buffers.append(buffer)
        self._index[variable] = len(self.buffers) - 1
        return self._index[variable]

    def outputs(self, returned: list[tuple[list[Identity], Any]], names: Sequence[str]) -> None:
        """Adds the outputs; each is the memory of the variable that it is a view of, too."""
        for (same, variable), name in zip(returned, names, strict=True):
            buffer = Buffer(name, _shape(variable), _dtype(variable), "output")
            index = self.add(identity(variable), buffer)
            self._goals.update(dict.fromkeys(same, index))

    def call(self, binding: Any, origins: tuple[str, ...]) -> None:
        """Adds a step."""
        call = binding.value
        if call.op != tvm.ir.Op.get("relax.call_tir"):
            name = getattr(call.op, "name", type(call.op).__name__)
            raise CompileError(
                f"TVM left {name} in the program",
                hint="this is a defect of the TVM backend, not of your model; please report it",
            )
        kernel, operands = call.args[0].name_hint, call.args[1]
        read = [
            self._read(a)
            for a in (operands.fields if isinstance(operands, relax.Tuple) else [operands])
        ]
        kinds = call.ty_args[0]
        own = identity(binding.var)
        if isinstance(kinds, relax.TupleType):
            written = [self._made((*own, i), kind) for i, kind in enumerate(kinds.fields)]
            self._tuples[own] = written
        else:
            written = [self._made(own, kinds)]
        self.steps.append(Step(kernel, (*read, *written), len(written), origins))

    def _made(self, variable: Identity, kind: Any) -> int:
        """Returns the buffer that a kernel writes."""
        shape, dtype = tuple(int(d) for d in kind.shape), str(kind.dtype)
        goal = self._goals.get(variable, -1)
        if goal >= 0 and self.buffers[goal].shape == shape:
            self._index[variable] = goal
            return goal
        name = f"value_{len(self.buffers)}"
        return self.add(variable, Buffer(name, shape, dtype, "temporary", goal))

    def bind(self, binding: Any) -> None:
        """Takes note of a variable that is another's memory."""
        own, value = identity(binding.var), binding.value
        if own in self._index:  # an output, known already
            return
        if isinstance(value, relax.Var):
            self._index[own] = self._index[identity(value)]
        elif isinstance(value, relax.TupleGetItem):
            self._index[own] = self._tuples[identity(value.tuple_value)][value.index]
        elif isinstance(value, relax.Constant):
            self._index[own] = self._constant(value)
        elif isinstance(value, relax.Call) and is_view(value):
            self._view(own, value)
        elif isinstance(value, relax.Tuple):
            if not any(isinstance(field, relax.Tuple) for field in value.fields):
                self._tuples[own] = [self._read(field) for field in value.fields]
        else:
            raise CompileError(f"TVM left {type(value).__name__} in the program")

    def _view(self, own: Identity, call: Any) -> None:
        source = self._read(call.args[0])
        buffer = self.buffers[source]
        root = source if buffer.alias < 0 else buffer.alias
        shape = tuple(int(d) for d in call.ty.shape)
        self.add(own, Buffer(f"view_{len(self.buffers)}", shape, buffer.dtype, "temporary", root))

    def _read(self, value: Any) -> int:
        if isinstance(value, relax.Constant):
            return self._constant(value)
        return self._index[identity(value)]

    def _constant(self, value: Any) -> int:
        array = value.data.numpy()
        index = len(self.buffers)
        self.buffers.append(Buffer(f"constant_{index}", array.shape, str(array.dtype), "constant"))
        self.constants[index] = array
        return index


def identity(variable: Any) -> Identity:
    """Returns what tells a variable from others, whose names may be the same."""
    return (hash(variable),)


def bindings(function: Any) -> list[Any]:
    """Returns what a Relax function binds, in order."""
    return [b for block in function.body.blocks for b in block.bindings]


def is_view(call: Any) -> bool:
    """Returns whether a call is another's memory in another shape."""
    return bool(call.op == tvm.ir.Op.get("relax.reshape"))


def is_call(value: Any) -> bool:
    """Returns whether a value is what a kernel makes."""
    return isinstance(value, relax.Call) and not is_view(value)


def _shape(variable: Any) -> tuple[int, ...]:
    return tuple(int(d) for d in variable.ty.shape)


def _dtype(variable: Any) -> str:
    return str(variable.ty.dtype)


def _returned(main: Any) -> list[tuple[list[Identity], Any]]:
    """Returns each output's variable, and all variables that are its memory."""
    values = {identity(b.var): b.value for b in bindings(main)}
    body = main.body.body
    if isinstance(body, relax.Var) and isinstance(values.get(identity(body)), relax.Tuple):
        body = values[identity(body)]
    fields = list(body.fields) if isinstance(body, relax.Tuple) else [body]
    return [(_chain(field, values), field) for field in fields]


def _chain(variable: Any, known: dict[Identity, Any]) -> list[Identity]:
    same = [identity(variable)]
    while True:
        value = known.get(same[-1])
        if isinstance(value, relax.Var):
            same.append(identity(value))
        elif isinstance(value, relax.Call) and is_view(value):
            same.append(identity(value.args[0]))
        elif isinstance(value, relax.TupleGetItem):
            whole = known.get(identity(value.tuple_value))
            if not isinstance(whole, relax.Tuple):
                return [*same, (*identity(value.tuple_value), value.index)]
            same.append(identity(whole.fields[value.index]))
        else:
            return same
