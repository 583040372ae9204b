"""What is settled before the first trial: the device to time on, the engines, the space, the study's identity."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgeopt.contracts.storage import INT16, Precision
from edgeopt.deployment.choose import choose_backend, considered_backends
from edgeopt.deployment.memory import require_known_memory
from edgeopt.errors import EdgeoptError, InputError
from edgeopt.gate.metrics import class_axis
from edgeopt.gate.values import check_values
from edgeopt.quantization.channels import channel_spaces
from edgeopt.registry import detect_host, find_backend
from edgeopt.searching.configuration import SWITCHES
from edgeopt.searching.identity import function_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.contracts import Device, Target
    from edgeopt.ir import Program
    from edgeopt.options import SearchOptions

__all__ = ["check_model", "engines_of", "parts_of", "switches_of", "timed_device"]

PRECISIONS = tuple(
    one.value for one in Precision if one.activation_type != INT16 and not one.weight_type.is_packed
)
"""What is tried unless others are named: 16 bits are for those who ask, since no runtime is faster by them than in float."""
"""What is tried where the user names none, the first first."""


@contextmanager
def timed_device(
    target: Target, options: SearchOptions
) -> Iterator[tuple[Device | None, tuple[str, ...]]]:
    """Yields the device to measure on, None where times would say nothing, and what to warn of.

    Raises:
        InputError: A latency was asked for, and there is none to be had.
        DeviceError: The device cannot be reached.
    """
    from edgeopt.deployment.on_device import opened  # noqa: PLC0415 (only with a device)

    choice = options.device
    if choice is None and target.name == detect_host().name:
        choice = "local"
    why = f"{target.name} is not this machine, and no device was given"
    if choice is not None:
        with opened(choice, target) as device:
            if not getattr(device, "emulated", False):
                yield device, ()
                return
        why = f"{device.name} is emulated: its times say nothing of {target.name}"
    if options.max_latency_ms is not None or options.prefer == "latency":
        where = "max_latency_ms" if options.max_latency_ms is not None else "prefer"
        hint = "pass device=, for example ssh://user@host"
        raise InputError(f"no latency can be measured: {why}", where=where, hint=hint)
    yield None, (f"latency is no objective: {why}",)


def check_model(program: Program, options: SearchOptions) -> None:
    """Checks that the model is in float, and that something gives it a score.

    Raises:
        InputError: It is not, or nothing does.
    """
    if program.precision != Precision.FLOAT32:
        what = f"the program is {program.precision} already"
        raise InputError(what, where="model", hint="pass the float model")
    check_values([program], options.checks.values)
    outputs = program.signature.outputs
    if options.evaluate is None and all(class_axis(s.shape, s.dtype) is None for s in outputs):
        raise InputError(
            "the outputs are not one score a class, so agreement cannot stand for a score",
            where="evaluate",
            hint="pass a function that takes the model and returns a score",
        )


def engines_of(
    program: Program, target: Target, options: SearchOptions
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Returns backend and precision of all that can be compiled, int8 in front, and what to warn of.

    Raises:
        InputError: No backend compiles a precision that was asked for, or int8 has no data.
        EdgeoptError: No backend can be used, or one that was named cannot.
    """
    backends, refused = _backends(program, target, options)
    notes = [f"without {name}: {error.what}" for name, error in refused.items()]
    calibrated = options.calibration_data is not None
    asked = options.precisions or PRECISIONS
    blind = [] if calibrated else [p for p in asked if Precision(p).needs_calibration]
    if blind and options.precisions:
        hint = "pass about 100 real inputs"
        raise InputError(
            f"{blind[0]} needs to see real inputs", where="calibration_data", hint=hint
        )
    notes += [f"without {precision}: it needs calibration_data" for precision in blind]
    precisions = [p for p in asked if p not in blind]
    engines = tuple((name, p) for p in precisions for name, can in backends.items() if p in can)
    if not engines:
        says = "; ".join(f"{name} compiles {', '.join(can)}" for name, can in backends.items())
        raise InputError("no backend compiles any of them", where="precisions", hint=says)
    return engines, tuple(notes)


def _backends(
    program: Program, target: Target, options: SearchOptions
) -> tuple[dict[str, tuple[str, ...]], dict[str, EdgeoptError]]:
    """Returns backend to what it compiles, and those of the target that cannot be used."""
    backends: dict[str, tuple[str, ...]] = {}
    refused: dict[str, EdgeoptError] = {}
    for name in dict.fromkeys(options.backends or considered_backends(target)):
        try:
            choice = choose_backend(target, backend=name, program=program)
            require_known_memory(choice.backend, options)
        except EdgeoptError as error:
            if options.backends is not None:
                raise
            refused[name] = error
        else:
            backends[name] = tuple(choice.backend.precisions(target))
    if not backends:
        choose_backend(target, program=program)  # says of each why it cannot be used
        raise next(iter(refused.values()))  # or why its memory is not known
    return backends, refused


def switches_of(program: Program, options: SearchOptions) -> dict[str, tuple[str, ...]]:
    """Returns what the switches of the quantization may be for this model."""
    spaces = channel_spaces(program)
    choices: dict[str, tuple[str, ...]] = {
        "ranges": ("auto", "minmax", "percentile", "mse"),
        "equalization": ("auto", *["off" for one in spaces if not one.smoothing][:1]),
        "smoothing": ("auto", *["off" for one in spaces if one.smoothing][:1]),
        "rounding": ("auto", "nearest"),
    }
    fixed = options.fixed()
    return {name: (fixed[name],) if name in fixed else choices[name] for name in SWITCHES}


def parts_of(
    options: SearchOptions, device: Device | None, shape: dict[str, Any], pruning: dict[str, Any]
) -> dict[str, Any]:
    """Returns what a study is of, beside model, target and data.

    Args:
        options: What was asked for.
        device: Where latency is measured.
        shape: The space, but for how many values are kept in float.
        pruning: Options of `edgeopt.prune`.
    """
    names = dict.fromkeys(name for name, _ in shape["engines"])
    return {
        "evaluate": function_name(options.evaluate),
        "finetune": function_name(options.finetune),
        "device": "" if device is None else device.name,
        "tools": {name: find_backend(name).versions() for name in names},
        "options": {
            **shape,
            "quantization": options.fixed(),
            "pruning": repr(sorted(pruning.items())),
            "threads": options.threads,
        },
    }
