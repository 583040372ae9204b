"""Decides on backend and precision, and says why."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from edgeopt.contracts.storage import Precision
from edgeopt.errors import (
    EdgeoptError,
    InputError,
    PluginError,
    TargetError,
    UnsupportedError,
)
from edgeopt.ir import ops
from edgeopt.ir.operators import RECURRENT
from edgeopt.ir.recurrence import layer_of
from edgeopt.lowering import lower_once, require_supported
from edgeopt.passes import number_changes
from edgeopt.progress import progress_to, silent
from edgeopt.registry.plugins import backends, find_backend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.contracts import Backend, Target
    from edgeopt.ir import Program

__all__ = [
    "Choice",
    "ConsideredBackend",
    "choose_backend",
    "choose_precision",
    "considered_backends",
    "dynamic_after",
]

HALF = 0.5


class ConsideredBackend(msgspec.Struct, frozen=True):
    """A backend that was considered.

    Attributes:
        backend: Its name.
        chosen: Whether it was taken.
        reason: Why, or why not.
    """

    backend: str
    chosen: bool
    reason: str


@dataclass(frozen=True)
class Choice:
    """The backend taken, and all that were considered."""

    backend: Backend
    candidates: tuple[ConsideredBackend, ...]


def choose_backend(
    target: Target,
    *,
    backend: str = "auto",
    precision: str = "auto",
    program: Program | None = None,
) -> Choice:
    """Returns the first backend that can do it, in the order of `considered_backends`.

    Args:
        target: The device.
        backend: ``auto``, or the name of the only one to consider.
        precision: One that it must be able to compile, or ``auto``.
        program: What it must be able to compile; None where no model is known yet.

    Raises:
        PluginError: None is installed; each says what to type.
        InputError: The one asked for does not compile ``precision``.
        TargetError: The one asked for has no runtime for the device.
        UnsupportedError: The program has an operator that none of them runs; carries the report.
    """
    names = considered_backends(target) if backend == "auto" else (backend,)
    considered: list[ConsideredBackend] = []
    refusals: list[EdgeoptError] = []
    for place, name in enumerate(names):
        try:
            candidate = _usable(name, target, precision, program)
        except EdgeoptError as error:
            considered.append(ConsideredBackend(name, chosen=False, reason=_one_line(error)))
            refusals.append(error)
            continue
        why = "asked for" if backend != "auto" else _first(target, names, place)
        considered.append(ConsideredBackend(name, chosen=True, reason=why))
        rest = [
            ConsideredBackend(n, chosen=False, reason=f"{name} comes first")
            for n in names[place + 1 :]
        ]
        return Choice(candidate, (*considered, *rest))
    raise _none_left(target, backend, considered, refusals)


def considered_backends(target: Target) -> tuple[str, ...]:
    """Returns the backends that may be chosen for ``target``, the preferred first.

    Those that its descriptor names come first, in its order; every other one that is installed
    follows by name. One that only simulates (`simulates`) is taken where it is named, not else.
    """
    others = (name for name in backends() if name not in target.backends)
    return (*target.backends, *(name for name in others if not _simulates(name)))


def _simulates(name: str) -> bool:
    try:
        return bool(getattr(find_backend(name), "simulates", False))
    except PluginError:  # broken: the reasons say so, where no other can do it
        return False


def choose_precision(
    backend: Backend,
    target: Target,
    *,
    precision: str = "auto",
    calibrated: bool = False,
    program: Program | None = None,
) -> tuple[str, str]:
    """Returns a precision, and why.

    Args:
        backend: Must be able to compile it.
        target: The device.
        precision: What was asked for.
        calibrated: Whether there is calibration data.
        program: The program; None where no model is known yet. One that is quantized already keeps
            its precision.

    Raises:
        InputError: Another precision is asked for than the one it is quantized to.
    """
    if program is not None and program.precision != Precision.FLOAT32:
        if precision not in {"auto", program.precision}:
            what = f"the program is {program.precision} already, and not made {precision} again"
            raise InputError(what, where="precision", hint="pass the float model")
        return program.precision, "the program is quantized already, and goes as it is"
    if precision != "auto":
        return precision, "asked for"
    precisions = backend.precisions(target)
    if calibrated and Precision.INT8 in precisions:
        return "int8", "calibration data is given, and int8 is smallest and usually fastest"
    why = (
        "no calibration data, which int8 needs" if not calibrated else f"{backend.name} has no int8"
    )
    if (
        Precision.INT8_DYNAMIC in precisions
        and program is not None
        and linear_share(program) > HALF
    ):
        return (
            "int8-dynamic",
            f"{why}; most weights are of linear or recurrent layers, {_gain(backend, target)}",
        )
    if Precision.FLOAT16 in precisions:
        return "float16", f"{why}; half the size of float32 at the same speed or better"
    return "float32", f"{why}, and {backend.name} has no float16 for {target.name}"


def _gain(backend: Backend, target: Target) -> str:
    """Returns what weights of 8 bits beside float activations gain: time only where the runtime rounds these."""
    if number_changes(backend.passes(target)):
        return "which get smaller and faster without it"
    return f"which get smaller without it, not faster: {backend.name} computes them in float for {target.name}"


def dynamic_after(backend: Backend, target: Target, program: Program) -> int | None:
    """Returns after how many steps of values kept in float ``int8-dynamic`` is tried; None for never.

    Where most weights are of linear layers: after the first where the runtime rounds inputs, for that is faster than
    more values in float, and after all where it is smaller only.
    """
    if linear_share(program) <= HALF:
        return None
    return 1 if number_changes(backend.passes(target)) else sys.maxsize


def linear_share(program: Program) -> float:
    """Returns which share of the layers' weights belongs to linear and recurrent ones."""
    linear = total = 0
    for node in program.graph.nodes:
        if ops.is_weighted(node):
            weight = program.constants.get(ops.weighted_parts(node)[1].name)
            size = 0 if weight is None else weight.numel()
            total += size
            linear += size if node.target is ops.aten.linear.default else 0
        elif node.target in RECURRENT:
            size = sum(w.meta["val"].numel() for w in layer_of(node).weights)
            total, linear = total + size, linear + size
    return linear / total if total else 0.0


def _usable(name: str, target: Target, precision: str, program: Program | None) -> Backend:
    backend = find_backend(name)
    missing = backend.available()
    if missing is not None:
        raise PluginError(
            f"the toolchain of {name} is not installed", where="backend", hint=missing
        )
    precisions = backend.precisions(target)
    if precision != "auto" and precision not in precisions:
        raise InputError(
            f"{name} does not compile {precision} for {target.name}",
            where="precision",
            hint=f"it compiles {', '.join(precisions)}",
        )
    backend.device_runtime(target)
    if program is not None:
        with progress_to(silent):  # nothing is compiled yet, only looked at
            lowered = lower_once(backend, program, target)
        require_supported(lowered.support)
    return backend


def _first(target: Target, names: Sequence[str], place: int) -> str:
    if place == 0 and target.backends:
        return f"preferred for {target.name}"
    return f"the first of {', '.join(names)} that can do it"


def _one_line(error: EdgeoptError) -> str:
    return f"{error.what} ({error.hint})" if error.hint else error.what


def _none_left(
    target: Target, backend: str, considered: list[ConsideredBackend], refusals: list[EdgeoptError]
) -> EdgeoptError:
    if backend != "auto":
        return refusals[0]
    rows = "; ".join(f"{c.backend}: {c.reason}" for c in considered)
    where = f"backends for {target.name}"
    for error in refusals:
        if isinstance(error, UnsupportedError):
            return UnsupportedError(rows, where=where, hint=error.hint, report=error.report)
    if refusals and all(isinstance(e, InputError) for e in refusals):
        return InputError(rows, where=where, hint=refusals[0].hint)
    if refusals and all(isinstance(e, TargetError) for e in refusals):
        return TargetError(rows, where=where, hint=refusals[0].hint)
    return PluginError(
        f"none can be used: {rows}" if rows else "none is installed, and the target names none",
        where=where,
        hint=next((e.hint for e in refusals if e.hint), "choose one with backend="),
    )
