"""What `edgeopt.deploy` and `edgeopt.search` are asked for, beside the model and the target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from edgeopt.errors import InputError
from edgeopt.options.base import Options
from edgeopt.options.bundle import BundleOptions
from edgeopt.options.checks import Checks, ParityChecks
from edgeopt.options.kinds import (
    Callback,
    Data,
    Drop,
    Evaluate,
    FlashLimit,
    Folder,
    Function,
    NonNegative,
    Positive,
    Precision,
    PrecisionChoice,
    RamLimit,
    Threads,
    Where,
    Whole,
)
from edgeopt.options.pruning import Pruning
from edgeopt.options.quantization import Calibration, Quantization, chosen
from edgeopt.options.shapes import Shapes
from edgeopt.options.tuning import CompileOptions, TuneOptions
from edgeopt.registry.schema import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CommonOptions", "DeployOptions", "SearchOptions"]


_SOME = Meta(min_length=1, extra={"single": True})
"""Of a list that is not empty; one name may stand for it."""


class CommonOptions(Options, frozen=True):
    """What a deployment and a search have in common.

    Attributes:
        example_inputs: A tensor, a tuple, or a dict by argument name. May be left out where the
            model names its own inputs.
        calibration_data: Real inputs; about 100 are enough. An iterable of a tensor, a tuple, a dict
            or ``(inputs, label)``, for example a DataLoader. None is ever made up; without any there
            is no int8.
        evaluate: What scores a model, higher is better. ``evaluate(fn) -> float``, where ``fn`` is
            called as the model is.
        max_drop: How far the score may fall below the float model's. Without ``evaluate``: how large
            a share of the samples may name another class than float does; of outputs that are not
            class scores, the energy of the error over that of the signal (0.01: 20 dB). ``"1%"`` is
            0.01.
        device: Where to verify and measure: ``local``, ``emulated``, ``ssh://pi@host`` or a name from
            `edgeopt devices`. In Python also a `Device`; None for nowhere.
        quantization: How to quantize. None leaves it to edgeopt.
        progress: Called with (stage, done, total).
        watch: Called with an event after each trial.
    """

    example_inputs: Any = None
    calibration_data: Data | None = None
    evaluate: Evaluate | None = None
    max_drop: Drop | None = None
    max_flash_kb: FlashLimit = None
    max_ram_kb: RamLimit = None
    device: Where = None
    quantization: Quantization | None = None
    progress: Callback | None = None
    watch: Callback | None = None

    def conflicts(self) -> Iterable[Problem]:
        """Returns that the drop is no share, where it must be one."""
        if self.evaluate is None and self.max_drop is not None and self.max_drop > 1:
            what = (
                f"without evaluate it is a share of the samples, from 0 to 1, got {self.max_drop:g}"
            )
            yield Problem("max_drop", what, f"{self.max_drop / 100:g} for {self.max_drop:g} %")


class DeployOptions(CommonOptions, frozen=True):
    """What `edgeopt.deploy` is asked for.

    Attributes:
        precision: ``auto``, ``int8``, ``int16x8``, ``int8-dynamic``, ``int4-dynamic``, ``float16`` or
            ``float32``.
        backend: ``auto`` (the target's first that can do it), or the name of a backend.
        output: Folder or ``.zip`` to write; None for a temporary folder that lives as long as the
            bundle object does.
        calibration: What is seen of the calibration data.
        checks: What the deployment must pass.
        bundle: What the bundle holds beside the model.
        tuning: How long to look for faster kernels before compiling, with a backend that does.
        shapes: Further shapes that the bundle serves.
    """

    precision: PrecisionChoice = "auto"
    backend: str = "auto"
    output: Folder | None = None
    calibration: Calibration = Calibration()
    checks: Checks = Checks()
    bundle: BundleOptions = BundleOptions()
    tuning: TuneOptions = TuneOptions()
    shapes: Shapes = Shapes()

    def conflicts(self) -> Iterable[Problem]:
        """Returns what is chosen twice, in two ways."""
        yield from super().conflicts()
        fixed = chosen(self.quantization)
        if fixed.get("precision", self.precision) != self.precision:
            what = f'precision is "{self.precision}"'
            hint = f'pass precision="{fixed["precision"]}"'
            yield Problem("quantization.precision", what, hint)
        for name in sorted(set(fixed) & set(self.calibration.changes())):
            yield Problem(f"quantization.{name}", f"calibration.{name} is given too", "pass one")

    def settings(self) -> dict[str, Any]:
        """Returns the fields of a `QuantizationConfig` that were chosen."""
        return {**self.calibration.changes(), **chosen(self.quantization)}

    @property
    def compiling(self) -> CompileOptions:
        """What a backend is told when it compiles."""
        database = self.tuning.database
        if self.tuning.active and database and not Path(database).exists():
            database = "none"  # the tuning will make it
        return CompileOptions(threads=self.bundle.threads, tuning_database=database)


class SearchOptions(CommonOptions, frozen=True):
    """What `edgeopt.search` is asked for.

    Attributes:
        max_latency_ms: How long the median of a call may take on the device.
        max_size_mb: How large the compiled model may be, in millions of bytes.
        prefer: What decides within the budget: ``score``, ``latency`` or ``size``. Where left out
            latency with a ``max_drop`` (size where none can be measured), else the score.
        backends: Names of backends to try; those that the target prefers where left out.
        precisions: Those to try; ``int8``, ``int8-dynamic``, ``float16`` and ``float32`` where left out.
        quantization: Settings that are not to be searched.
        pruning: Shares of the units to try pruning, True for usual ones, or options of
            `edgeopt.prune` with ``ratios`` among them. Usual ones where only ``finetune`` is given,
            else none.
        finetune: Called with the pruned module and the step, to train it.
        trials: How many configurations the study shall hold, those of earlier runs and of other
            workers included; 0: no limit of that kind.
        minutes: How long this run may start new trials; 0: no limit of that kind.
        study: A path (SQLite) or a URL of SQLAlchemy, for many workers on one study; ``none`` to
            keep nothing. In the user's cache folder, one for each search, where left out.
        seed: Where the search starts.
        checks: How many inputs parity and agreement are checked on, and how near they must be.
    """

    max_latency_ms: Positive | None = None
    max_size_mb: Positive | None = None
    prefer: Literal["score", "latency", "size"] | None = None
    backends: Annotated[tuple[str, ...], _SOME] | None = None
    precisions: Annotated[tuple[Precision, ...], _SOME] | None = None
    pruning: Pruning = None
    finetune: Function | None = None
    trials: Whole = 40
    minutes: NonNegative = 0.0
    study: Folder | None = None
    seed: Whole = 0
    threads: Threads = 0
    checks: ParityChecks = ParityChecks(samples=64)

    def conflicts(self) -> Iterable[Problem]:
        """Returns that the search would not begin, or what it decides by itself."""
        yield from super().conflicts()
        if not self.trials and not self.minutes:
            yield Problem("trials", "expected trials or minutes above 0")
        if "precision" in chosen(self.quantization):
            yield Problem("quantization", "it is part of the search", 'pass precisions=["int8"]')

    def check(self) -> None:
        """Checks that something can give a score.

        Raises:
            InputError: There is neither a score nor an input to compare on.
        """
        if self.evaluate is None and self.calibration_data is None:
            hint = "pass evaluate=, or real inputs as calibration_data= to compare with float on"
            raise InputError("there is nothing to tell good from bad by", where="search", hint=hint)

    @property
    def preference(self) -> str:
        """What decides within the budget."""
        if self.prefer is not None:
            return self.prefer
        return "score" if self.max_drop is None else "latency"

    def fixed(self) -> dict[str, Any]:
        """Returns the fields of the quantization that the user chose; they are not searched."""
        return chosen(self.quantization)
