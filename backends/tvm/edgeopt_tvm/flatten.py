"""From a fused Relax module to a list of kernel calls on buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tvm
from tvm import relax

from edgeopt.errors import CompileError
from edgeopt_tvm.executable import Buffer, Executable, Step

if TYPE_CHECKING:
    import numpy as np

    from edgeopt.ir import Program

__all__ = ["bindings", "flattened", "is_call", "is_view"]


def flattened(module: Any, program: Program, origins: list[tuple[str, ...]]) -> Executable:
    """Returns the executable of a module whose main calls kernels, one after the other.

    Args:
        module: As fusion leaves it.
        program: Whose inputs and outputs it has.
        origins: For each kernel call of main, in order, the program's nodes that it computes.

    Raises:
        CompileError: Something is left that is not a kernel.
    """
    flat = _Flat(program)
    main = module["main"]
    for parameter, name in zip(main.params, program.input_names, strict=True):
        flat.add(parameter.name, Buffer(name, _shape(parameter), _dtype(parameter), "input"))
    flat.outputs(_returned(main))
    number = 0
    for binding in bindings(main):
        if is_call(binding.value):
            flat.call(binding, origins[number] if number < len(origins) else ())
            number += 1
        else:
            flat.bind(binding)
    kernels = {step.kernel for step in flat.steps}
    functions = {g: f for g, f in module.functions.items() if g.name_hint in kernels}
    return Executable(
        tvm.IRModule({g.name_hint: f for g, f in functions.items()}),
        tuple(flat.buffers),
        tuple(flat.steps),
        flat.constants,
    )


class _Flat:
    """The executable as far as it is known."""

    def __init__(self, program: Program) -> None:
        self.buffers: list[Buffer] = []
        self.steps: list[Step] = []
        self.constants: dict[int, np.ndarray] = {}
        self._program = program
        self._index: dict[str, int] = {}
        self._tuples: dict[str, list[int]] = {}
        self._goals: dict[str, int] = {}

    def add(self, name: str, buffer: Buffer) -> int:
        """Returns the index of a new buffer, which the variable ``name`` is."""
        self.buffers.append(buffer)
        self._index[name] = len(self.buffers) - 1
        return self._index[name]

    def outputs(self, returned: list[tuple[list[str], Any]]) -> None:
        """Adds the outputs; each is the memory of the variable that it is a view of, too."""
        for (names, variable), spec in zip(returned, self._program.signature.outputs, strict=True):
            index = self.add(
                variable.name, Buffer(spec.name, _shape(variable), _dtype(variable), "output")
            )
            for name in names:
                self._goals[name] = index

    def call(self, binding: Any, origins: tuple[str, ...]) -> None:
        """Adds a step."""
        call = binding.value
        if call.op != tvm.ir.Op.get("relax.call_tir"):
            raise CompileError(
                f"TVM left {call.op} in the program", hint="this is a defect; please report it"
            )
        kernel, given = call.args[0].name_hint, call.args[1]
        read = [
            self._read(a) for a in (given.fields if isinstance(given, relax.Tuple) else [given])
        ]
        kinds = call.ty_args[0]
        made = list(kinds.fields) if isinstance(kinds, relax.TupleType) else [kinds]
        names = [binding.var.name] if len(made) == 1 else [
            f"{binding.var.name}.{i}" for i in range(len(made))
        ]  # fmt: skip
        written = [self._made(n, k) for n, k in zip(names, made, strict=True)]
        if len(made) > 1:
            self._tuples[binding.var.name] = written
        self.steps.append(Step(kernel, (*read, *written), len(written), origins))

    def _made(self, name: str, kind: Any) -> int:
        """Returns the buffer that a kernel writes."""
        shape, dtype = tuple(int(d) for d in kind.shape), str(kind.dtype)
        goal = self._goals.get(name)
        if goal is not None:
            if self.buffers[goal].shape == shape:
                self._index[name] = goal
                return goal
            return self.add(name, Buffer(name, shape, dtype, "temporary", goal))
        return self.add(name, Buffer(name, shape, dtype, "temporary"))

    def bind(self, binding: Any) -> None:
        """Takes note of a variable that is another's memory."""
        name, value = binding.var.name, binding.value
        if name in self._index:  # an output, known already
            return
        if isinstance(value, relax.Var):
            self._index[name] = self._index[value.name]
        elif isinstance(value, relax.TupleGetItem):
            self._index[name] = self._tuples[value.tuple_value.name][value.index]
        elif isinstance(value, relax.Constant):
            self._index[name] = self._constant(value)
        elif isinstance(value, relax.Call) and is_view(value):
            self._view(name, value)
        elif not isinstance(value, relax.Tuple):
            raise CompileError(f"TVM left {type(value).__name__} in the program")

    def _view(self, name: str, call: Any) -> None:
        source = self._read(call.args[0])
        held = self.buffers[source]
        root = source if held.alias < 0 else held.alias
        shape = tuple(int(d) for d in call.ty.shape)
        self.add(name, Buffer(name, shape, held.dtype, "temporary", root))

    def _read(self, value: Any) -> int:
        return (
            self._constant(value) if isinstance(value, relax.Constant) else self._index[value.name]
        )

    def _constant(self, value: Any) -> int:
        array = value.data.numpy()
        index = len(self.buffers)
        self.buffers.append(Buffer(f"constant_{index}", array.shape, str(array.dtype), "constant"))
        self.constants[index] = array
        return index


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


def _returned(main: Any) -> list[tuple[list[str], Any]]:
    """Returns each output's variable, and the names of all variables that are its memory."""
    known = {b.var.name: b.value for b in bindings(main)}
    body = main.body.body
    if isinstance(body, relax.Var) and isinstance(known.get(body.name), relax.Tuple):
        body = known[body.name]
    fields = list(body.fields) if isinstance(body, relax.Tuple) else [body]
    return [(_chain(field, known), field) for field in fields]


def _chain(variable: Any, known: dict[str, Any]) -> list[str]:
    names = [variable.name]
    while True:
        value = known.get(names[-1])
        if isinstance(value, relax.Var):
            names.append(value.name)
        elif isinstance(value, relax.Call) and is_view(value):
            names.append(value.args[0].name)
        elif isinstance(value, relax.TupleGetItem):
            return [*names, f"{value.tuple_value.name}.{value.index}"]
        else:
            return names
