"""What a user asks for, checked before anything is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.contracts import CompileOptions, TuneOptions
from edgeopt.contracts.storage import Precision
from edgeopt.errors import InputError
from edgeopt.registry.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from edgeopt.bundles import Preprocess
    from edgeopt.contracts import Device, Progress, Watch
    from edgeopt.gate.parity import ParityLimits
    from edgeopt.ir import Program
    from edgeopt.quantization import QuantizationConfig

__all__ = ["PRECISIONS", "Request", "silent"]

PRECISIONS = ("auto", *(one.value for one in Precision))
"""The precisions a user may ask for."""


USUAL_TRIALS = 256
"""Trials of ``tune=True``."""


def silent(stage: str, done: float, total: float) -> None:
    """Does nothing: the progress of those who do not ask for any."""


@dataclass(frozen=True)
class Request:
    """What `edgeopt.deploy` was asked for, beside the model and the target.

    Attributes:
        example_inputs: One call's inputs; None where the model names its own.
        calibration_data: Real inputs; None where there are none.
        evaluate: Takes a function that is called as the model is; returns a score, higher better.
        max_drop: How far the score may fall below float's; without ``evaluate``, how large a share
            of the samples may name another class than float does.
        precision: One of `PRECISIONS`.
        backend: Name of a backend, or ``auto``.
        device: Where to verify and measure: ``local``, ``emulated``, a `Device`, or None.
        output: Folder or .zip of the bundle; None for a temporary one.
        quantization: How to quantize: a config, or its fields; None leaves it to edgeopt.
        threads: Threads of the runtime; 0 leaves it to the runtime.
        strict: Whether a warning fails the deployment.
        check_speed: Whether to measure int8 beside float on this machine.
        check_samples: How many inputs parity and agreement are checked on.
        parity: What parity asks for.
        name: How a person calls the bundle.
        preprocess: How a picture becomes an input.
        labels: The classes' names.
        overwrite: Whether a bundle at ``output`` may be replaced.
        with_runtime: Whether the bundle holds the wheels that the device needs.
        tune: How long to tune kernels before compiling: a number of trials, True for a usual one,
            `TuneOptions`, or None for not at all.
        tuning_database: Path of the tuning database that kernels are taken from; empty for the one
            in the user's cache folder, ``none`` for none.
        progress: Told how far the work is.
        watch: Told of each trial of the tuning.
        original: The model as it was before a recipe, and its float program: what is deployed is
            compared with it. None where there was no recipe.
    """

    example_inputs: Any = None
    calibration_data: Iterable[Any] | None = None
    evaluate: Callable[[Callable[..., Any]], float] | None = None
    max_drop: float | None = None
    precision: str = "auto"
    backend: str = "auto"
    device: str | Device | None = None
    output: Path | str | None = None
    quantization: QuantizationConfig | Mapping[str, Any] | None = None
    threads: int = 0
    strict: bool = False
    check_speed: bool = True
    check_samples: int = 16
    parity: ParityLimits | None = None
    name: str | None = None
    preprocess: Preprocess | None = None
    labels: Sequence[str] | None = None
    overwrite: bool = False
    with_runtime: bool = False
    tune: TuneOptions | int | None = None
    tuning_database: str = ""
    progress: Progress = silent
    watch: Watch | None = None
    original: tuple[Any, Program] | None = None

    @property
    def compile_options(self) -> CompileOptions:
        """What a backend is told when it compiles."""
        database = self.tuning_database
        if self.tuning is not None and database and not Path(database).exists():
            database = "none"  # the tuning will make it
        return CompileOptions(self.threads, database)

    @property
    def tuning(self) -> TuneOptions | None:
        """What is to be tuned, None where nothing is."""
        if self.tune is None or self.tune is False:
            return None
        if isinstance(self.tune, TuneOptions):
            database = self.tune.database or self.tuning_database
            return msgspec.structs.replace(self.tune, database=database)
        trials = USUAL_TRIALS if self.tune is True else self.tune
        return TuneOptions(trials=trials, database=self.tuning_database)

    def check(self) -> None:
        """Checks everything that can be known before the model is touched.

        Raises:
            InputError: An option is wrong; it is named.
        """
        _check_precision(self.precision)
        if self.precision == Precision.INT8 and self.calibration_data is None:
            raise InputError(
                "int8 needs to see real inputs",
                where="calibration_data",
                hint="pass about 100 inputs from your data; without any, precision='int8-dynamic' "
                "quantizes the weights alone",
            )
        if self.max_drop is not None and not 0.0 <= self.max_drop < float("inf"):
            raise InputError(f"{self.max_drop}: expected 0 or more", where="max_drop")
        for name, least in (("threads", 0), ("check_samples", 1)):
            if getattr(self, name) < least:
                what = f"{getattr(self, name)}: expected {least} or more"
                raise InputError(what, where=name)
        _check_callable(self.evaluate)
        _check_tuning(self.tuning)
        self._check_output()

    def _check_output(self) -> None:
        if self.output is not None and Path(self.output).exists() and not self.overwrite:
            raise InputError(
                "something lies there already",
                where=f"output {self.output}",
                hint="choose another name, remove it, or pass overwrite=True to replace a bundle",
            )


def _check_tuning(tuning: TuneOptions | None) -> None:
    if tuning is None:
        return
    if min(tuning.trials, tuning.minutes) < 0 or not (tuning.trials or tuning.minutes):
        hint = "pass a number of trials, or TuneOptions(minutes=10)"
        raise InputError("expected trials or minutes above 0", where="tune", hint=hint)
    if tuning.database == "none":
        hint = "name a file, or leave it out"
        raise InputError("tuning needs a database", where="tuning_database", hint=hint)


def _check_callable(evaluate: object) -> None:
    if evaluate is not None and not callable(evaluate):
        what = f"expected a function, got a {type(evaluate).__name__}"
        raise InputError(what, where="evaluate")


def _check_precision(precision: str) -> None:
    if precision not in PRECISIONS:
        near = did_you_mean(str(precision), PRECISIONS)
        every = f"precisions: {', '.join(PRECISIONS)}"
        raise InputError(
            f'there is no precision "{precision}"',
            where="precision",
            hint=f"{near} {every}" if near else every,
        )
