"""Tuning on the way to a bundle."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from edgeopt.contracts import TunesKernels
from edgeopt.errors import EdgeoptError, InputError, PluginError
from edgeopt.installation import install_command
from edgeopt.registry import backends, find_backend

if TYPE_CHECKING:
    from edgeopt.contracts import Backend, Target, TuningReport
    from edgeopt.deployment.request import Request
    from edgeopt.ir import Program

__all__ = ["run_tuning", "tuned", "with_tuning_backend"]


def with_tuning_backend(request: Request, target: Target) -> Request:
    """Returns ``request`` for a backend that tunes, where tuning is asked for.

    Raises:
        InputError: The one asked for does not tune.
        PluginError: None is installed that does.
        TargetError: Kernels for ``target`` cannot be measured.
    """
    if not request.tuning.active:
        return request
    name = request.backend if request.backend != "auto" else _first_that_tunes(target)
    backend = find_backend(name)
    if not isinstance(backend, TunesKernels):
        can = ", ".join(_that_tune()) or "none that is installed"
        raise InputError(f"{name} does not tune", where="tuning", hint=f"backends that do: {can}")
    if backend.available() is None:  # else the plan says what is missing
        backend.check_tuning(target, request.device)
    return request.replace(backend=name)


def tuned(lowered: Program, target: Target, backend: Backend, request: Request) -> TuningReport:
    """Returns what came of tuning ``lowered`` as ``request`` asks.

    Raises:
        KeyboardInterrupt: The user stopped it; trials made so far are kept.
        EdgeoptError: What the backend raises.
    """
    if not isinstance(backend, TunesKernels):
        raise InputError(f"{backend.name} does not tune", where="tuning")
    report = run_tuning(backend, lowered, target, request)
    if report.stopped == "interrupted":
        raise KeyboardInterrupt
    return report


def run_tuning(
    backend: TunesKernels, lowered: Program, target: Target, request: Request
) -> TuningReport:
    """Returns what came of it, on the device that is asked for, or here."""
    from edgeopt.deployment.on_device import opened  # noqa: PLC0415 (only with a device)

    with ExitStack() as stack:
        device = None
        if request.device is not None:
            device = stack.enter_context(opened(request.device, target))
        return backend.tune(
            lowered,
            target,
            request.tuning,
            device=device,
            watch=request.watch,
        )


def _first_that_tunes(target: Target) -> str:
    able = _that_tune()
    for name in (*target.backends, *able):
        if name in able:
            return name
    raise PluginError("no installed backend tunes", where="tuning", hint=install_command("tvm"))


def _that_tune() -> list[str]:
    names = []
    for name in backends():
        try:
            if isinstance(find_backend(name), TunesKernels):
                names.append(name)
        except EdgeoptError:  # broken; `edgeopt doctor` says so
            continue
    return names
