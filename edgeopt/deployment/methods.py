"""Models with several methods, and with state: an encoder and a decoder's step, a detector that listens on.

Each method is a program; what it keeps from call to call is an input and an output more, which the bundle's
runner connects. Data comes in sessions: calls one after the other, from the state that the model begins with.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeopt.data.batches import require_iterable
from edgeopt.data.binder import Binder
from edgeopt.data.calls import as_call
from edgeopt.data.dataset import as_arrays
from edgeopt.errors import CalibrationError, InputError
from edgeopt.ir import ReferenceRunner
from edgeopt.ir.stateful import with_buffers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import torch

    from edgeopt.contracts import Signature
    from edgeopt.gate.metrics import Arrays
    from edgeopt.ir import Program

__all__ = ["Call", "Method", "MethodProgram", "Sessions", "as_methods", "play", "read_sessions"]

Call = tuple[str, "Arrays"]
"""Name of a method, and the inputs that are no state."""


@dataclass(frozen=True, eq=False)
class Method:
    """One method of a model: what is called, with what, and what it keeps.

    Attributes:
        model: A module in eval mode.
        example_inputs: A tensor, a tuple, or a dict by argument name; the state's inputs among them, with
            the values that it begins with.
        reads: Input to the name of the state that it is taken from.
        writes: Output to the name of the state that it becomes: an output that a tuple returns is called
            ``output_0``, ``output_1`` …, one of a dict by its key.
        keeps: Buffers that the model writes to (``"cache"``, ``"layer.cache"``): each becomes a state of its
            name, or of the name that a dict gives it.
    """

    model: torch.nn.Module
    example_inputs: Any
    reads: Mapping[str, str] = field(default_factory=dict)
    writes: Mapping[str, str] = field(default_factory=dict)
    keeps: Mapping[str, str] | tuple[str, ...] | str = ()


@dataclass(frozen=True, eq=False)
class MethodProgram:
    """A method, captured.

    Attributes:
        name: Its name.
        program: In float, canonical.
        example: The inputs that it was captured with, in the signature's order.
        reads: Input to the state that it is taken from.
        writes: Output to the state that it becomes.
    """

    name: str
    program: Program
    example: Arrays
    reads: Mapping[str, str]
    writes: Mapping[str, str]

    @property
    def binder(self) -> Binder:
        """Binds what a call passes: the inputs that are no state."""
        signature = self.program.signature
        inputs = tuple(spec for spec in signature.inputs if spec.name not in self.reads)
        return Binder(type(signature)(inputs, ()))

    def full(self, inputs: Arrays, states: Mapping[str, np.ndarray]) -> Arrays:
        """Returns the program's inputs: those passed, and the state."""
        passed = iter(inputs)
        specs = self.program.signature.inputs
        return tuple(
            states[self.reads[spec.name]] if spec.name in self.reads else next(passed)
            for spec in specs
        )


def as_methods(
    model: Any, capture: Callable[[torch.nn.Module, Any], Program]
) -> list[MethodProgram]:
    """Returns the methods of what `edgeopt.deploy` was given: a `Method`, or a dict of them by name.

    Args:
        model: The method or the methods.
        capture: From a module and example inputs to a canonical program.

    Raises:
        InputError: A name is none, or a state is not an input or output.
        CaptureError: A method cannot be captured.
    """
    methods = model if isinstance(model, Mapping) else {"forward": model}
    for name, method in methods.items():
        if not isinstance(method, Method):
            what = f"expected an edgeopt.Method, got a {type(method).__name__}"
            raise InputError(what, where=f"method {name}")
        if not str(name).isidentifier():
            raise InputError(
                f"a method is called {name!r}", where="model", hint="use a Python name"
            )
    if not methods:
        raise InputError("there is no method in it", where="model")
    _refuse_shared_names(methods)
    return [_captured(name, method, capture) for name, method in methods.items()]


def _buffers(method: Method) -> dict[str, str]:
    """Returns each buffer that is kept, to the name of its state."""
    if isinstance(method.keeps, Mapping):
        return dict(method.keeps)
    names = (method.keeps,) if isinstance(method.keeps, str) else method.keeps
    return {name: name for name in names}


def _refuse_shared_names(methods: Mapping[str, Method]) -> None:
    """Refuses two buffers of different modules that would become one state."""
    owners: dict[str, tuple[int, str]] = {}
    for name, method in methods.items():
        modules = dict(method.model.named_buffers())
        for buffer, state in _buffers(method).items():
            owner = (id(modules.get(buffer)), name)
            if owners.setdefault(state, owner)[0] != owner[0]:
                raise InputError(
                    f"{owners[state][1]} and {name} each keep a buffer of their own as the state {state}",
                    where="keeps",
                    hint=f'give one of them another name: keeps={{"{buffer}": "{name}_{buffer}"}}',
                )


def _captured(
    name: str, method: Method, capture: Callable[[torch.nn.Module, Any], Program]
) -> MethodProgram:
    model, example = method.model, method.example_inputs
    reads, writes = dict(method.reads), dict(method.writes)
    if method.keeps:
        names = _buffers(method)
        model, example, buffers = with_buffers(model, example, names)
        links = {argument: names[buffer] for argument, buffer in buffers.items()}
        reads |= links
        writes |= links
    states: list[Any] = [*reads.values(), *writes.values()]
    for state in states:
        if not isinstance(state, str) or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.]*", state):
            what = f"a state is called {state!r}"
            raise InputError(what, where=f"method {name}", hint="use letters, digits, dots and _")
    program = capture(model, example)
    _check_links(name, reads, program.signature, "inputs")
    _check_links(name, writes, program.signature, "outputs")
    tensors = Binder.of_program(program, model).bind(_plain(example))
    return MethodProgram(name, program, as_arrays(tensors), reads, writes)


def _plain(example: Any) -> Any:
    args, kwargs = as_call(example)
    return kwargs if kwargs and not args else args


def _check_links(name: str, links: Mapping[str, str], signature: Signature, side: str) -> None:
    names = [spec.name for spec in getattr(signature, side)]
    unknown = [one for one in links if one not in names]
    if unknown:
        raise InputError(
            f"{name} has no {side.removesuffix('s')} {unknown[0]}",
            where="reads" if side == "inputs" else "writes",
            hint=f"its {side} are: {', '.join(names)}",
        )


@dataclass(frozen=True, eq=False)
class Sessions:
    """Calls, one after the other, in float.

    Attributes:
        sessions: Each a list of calls; it begins with the state that the model begins with.
        states: State to that value.
        samples: Method to the inputs of its programs in all calls, the state filled in.
    """

    sessions: Sequence[Sequence[Call]]
    states: Mapping[str, np.ndarray]
    samples: Mapping[str, Sequence[Arrays]]


def read_sessions(
    methods: Sequence[MethodProgram], data: Iterable[Any] | None, most: int
) -> Sessions:
    """Returns the sessions of ``data``, played in float.

    Args:
        methods: The methods.
        data: Sessions: each an iterable of inputs, or of (method, inputs) where there are several methods.
            None for a session that calls each method once, with its example.
        most: At most so many calls.

    Raises:
        CalibrationError: A call names no method, or its inputs do not fit.
    """
    states = initial_states(methods)
    by_name = {method.name: method for method in methods}
    if data is None:
        sessions = [[(m.name, _passed(m)) for m in methods]]
    else:
        calls = itertools.islice(_calls(by_name, data), most)
        sessions = [
            [c for _, c in group] for _, group in itertools.groupby(calls, lambda pair: pair[0])
        ]
    if not sessions:
        raise CalibrationError("no session in it", where="calibration_data")
    runners = {m.name: ReferenceRunner(m.program) for m in methods}
    samples: dict[str, list[Arrays]] = {m.name: [] for m in methods}
    for session in sessions:
        for (name, _), (inputs, _) in zip(
            session, play(session, by_name, runners, states), strict=True
        ):
            samples[name].append(inputs)
    return Sessions(sessions, states, samples)


def initial_states(methods: Sequence[MethodProgram]) -> dict[str, np.ndarray]:
    """Returns state to the value that it begins with: that of the example of the first method that reads it.

    Raises:
        InputError: A method reads or writes it in another shape or dtype; or none reads it.
    """
    states: dict[str, np.ndarray] = {}
    for method in methods:
        for spec, value in zip(method.program.signature.inputs, method.example, strict=True):
            if spec.name in method.reads:
                state = method.reads[spec.name]
                if state in states and not _is_same(states[state], value):
                    raise InputError(
                        f"the state {state} begins with another value than in a method before",
                        where=f"{method.name}, {spec.name}",
                        hint="pass the same value in each example, or name the states apart",
                    )
                states.setdefault(state, np.array(value))
    for method in methods:
        signature = method.program.signature
        links = [(signature.inputs, method.reads), (signature.outputs, method.writes)]
        for specs, names in links:
            for spec in specs:
                if spec.name in names:
                    _check_state(method.name, spec, names[spec.name], states)
    return states


def _is_same(one: np.ndarray, other: np.ndarray) -> bool:
    """Returns whether two values are the same, as far as they can be compared."""
    alike = one.shape == other.shape and one.dtype == other.dtype
    return not alike or np.array_equal(one, other)


def _check_state(method: str, spec: Any, state: str, states: Mapping[str, np.ndarray]) -> None:
    value = states.get(state)
    if value is None:
        raise InputError(f"no method reads the state {state}", where=f"{method}, {spec.name}")
    if (tuple(spec.shape), spec.dtype) != (value.shape, str(value.dtype)):
        raise InputError(
            f"it is {spec.dtype}{list(spec.shape)}, and the state {state} {value.dtype}{list(value.shape)}",
            where=f"{method}, {spec.name}",
            hint="a state keeps its shape and dtype from call to call",
        )


def _passed(method: MethodProgram) -> Arrays:
    pairs = zip(method.program.signature.inputs, method.example, strict=True)
    return tuple(value for spec, value in pairs if spec.name not in method.reads)


def _calls(methods: Mapping[str, MethodProgram], data: Iterable[Any]) -> Iterator[tuple[int, Call]]:
    """Yields the number of the session and the call."""
    only = next(iter(methods)) if len(methods) == 1 else None
    require_iterable(data, "calibration_data", CalibrationError)
    for number, session in enumerate(data):
        if not hasattr(session, "__iter__"):
            what = f"expected a session, an iterable of calls, got a {type(session).__name__}"
            raise CalibrationError(what, where=f"calibration_data, session {number}")
        for step, item in enumerate(session):
            where = f"calibration_data, session {number}, call {step}"
            name, inputs = (only, item) if only is not None else _named(item, where)
            if name not in methods:
                hint = f"the methods are: {', '.join(methods)}"
                raise CalibrationError(f"there is no method {name!r}", where=where, hint=hint)
            try:
                bound = methods[name].binder.bind(inputs)
            except InputError as error:
                raise CalibrationError(error.what, where=where, hint=error.hint) from error
            specs = methods[name].binder.signature.inputs
            if any(tuple(t.shape) != s.shape for t, s in zip(bound, specs, strict=True)):
                shapes = ", ".join(str(list(t.shape)) for t in bound)
                hint = f"{name} takes {', '.join(str(list(s.shape)) for s in specs)}"
                raise CalibrationError(f"inputs of shape {shapes}", where=where, hint=hint)
            yield number, (name, as_arrays(bound))


def _named(item: Any, where: str) -> tuple[str, Any]:
    if isinstance(item, (tuple, list)) and len(item) == 2 and isinstance(item[0], str):  # noqa: PLR2004
        return item[0], item[1]
    hint = "of a model with several methods each call is (method, inputs)"
    raise CalibrationError(f"expected a call, got a {type(item).__name__}", where=where, hint=hint)


def play(
    session: Sequence[Call],
    methods: Mapping[str, MethodProgram],
    runners: Mapping[str, Callable[..., Any]],
    states: Mapping[str, np.ndarray],
) -> Iterator[tuple[Arrays, Arrays]]:
    """Yields the program's inputs and outputs of each call of a session, the state carried along.

    Args:
        session: The calls.
        methods: Method name to the method.
        runners: Method name to what runs its program.
        states: What each state begins with.
    """
    current = dict(states)
    for name, passed in session:
        method = methods[name]
        inputs = method.full(passed, current)
        result = runners[name](*inputs)
        outputs = tuple(result) if isinstance(result, (tuple, list)) else (result,)
        for spec, output in zip(method.program.signature.outputs, outputs, strict=True):
            if spec.name in method.writes:
                current[method.writes[spec.name]] = np.array(output)
        yield inputs, outputs
