"""Puts one build through the gate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.contracts.storage import Precision
from edgeopt.errors import EdgeoptError
from edgeopt.gate.accuracy import Accuracy, check_accuracy, check_agreement
from edgeopt.gate.calling import as_model
from edgeopt.gate.diagnose import slow_reasons
from edgeopt.gate.float_program import float_program
from edgeopt.gate.parity import (
    DeclaredChange,
    Parity,
    check_parity,
    compare_outputs,
    has_last_bits,
    run_all,
    with_operators,
)
from edgeopt.gate.scores import Scores, reads_scores, score_errors
from edgeopt.gate.speed import Speed, check_speed
from edgeopt.gate.turns import Comparisons, compares, turns
from edgeopt.gate.value_statistics import RoundedValues, ValueStatistics, value_statistics
from edgeopt.gate.values import value_outputs
from edgeopt.ir import ReferenceRunner
from edgeopt.progress import report_progress
from edgeopt.registry import detect_host

if TYPE_CHECKING:
    import numpy as np
    import torch

    from edgeopt.contracts import Backend, Target
    from edgeopt.deployment.baseline import Baseline
    from edgeopt.deployment.build import Build
    from edgeopt.deployment.request import Request
    from edgeopt.deployment.samples import Samples
    from edgeopt.gate.metrics import Arrays
    from edgeopt.ir.reference import Watch

__all__ = ["GateResult", "check_build", "measure_speed"]


@dataclass(frozen=True)
class GateResult:
    """What the gate says of one build.

    Attributes:
        parity: Against the reference; None where there were no inputs or it does not run here.
        accuracy: Against float, likewise.
        reference: The reference's outputs for the samples.
        values: The outputs that are judged as values, not as one score a class.
        statistics: Where each value of the program lies, and what rounding takes of it.
    """

    parity: Parity | None
    accuracy: Accuracy | None
    reference: list[Arrays]
    values: frozenset[str] = frozenset()
    statistics: tuple[ValueStatistics, ...] = ()

    @property
    def accurate(self) -> bool:
        """Whether the drop is within what was asked."""
        return self.accuracy is None or self.accuracy.ok

    @property
    def faithful(self) -> bool:
        """Whether the artefact computes what the program does, as far as that can be seen here."""
        return self.parity is None or self.parity.ok

    @property
    def accepted(self) -> bool:
        """Whether it falls short of nothing."""
        return self.faithful and self.accurate


def check_build(
    build: Build, baseline: Baseline, request: Request, backend: Backend, target: Target
) -> GateResult:
    """Returns parity and accuracy of ``build``.

    Args:
        build: What is checked.
        baseline: What its accuracy is compared with.
        request: How near it must be.
        backend: What made it.
        target: What it was made for.

    Raises:
        CalibrationError: The float model makes NaN of a sample.
    """
    samples = baseline.samples
    # First: what is no number compares with nothing.
    expected = baseline.outputs if samples.checks else []
    values = value_outputs(baseline.program, request.checks.values, request.bundle, expected)
    exact = Scores()
    unrounded = _unrounded(build, samples, exact)
    rounded, turned = Scores(exact), Comparisons()
    seen = RoundedValues(baseline.values)
    simulation = ReferenceRunner(
        build.specified, watch=_both(rounded.watch, turned.watch), observe=seen.observe
    )
    reference = run_all(simulation, samples.checks, stage="reference")
    runner = build.runner or simulation
    parity = None
    outputs = reference
    if build.runner is not None and samples.checks:
        parity = check_parity(
            _Recorded(runner, outputs := []),
            build.specified,
            samples.checks,
            reference,
            inputs=samples.kind,
            where=f"{backend.name} on this machine",
            limits=request.checks.parity,
            unrounded=unrounded,
            values=values,
        )
        parity = msgspec.structs.replace(parity, declared=_declared(build, samples, reference))
        parity = with_operators(parity, build.specified, backend, target, samples.checks)
    accuracy = _accuracy(build, baseline, request, runner, (expected, outputs), values)
    if accuracy is not None:
        accuracy = msgspec.structs.replace(
            accuracy,
            scores=score_errors(exact, rounded),
            turns=turns(_comparisons(build, baseline), turned),
        )
    statistics = value_statistics(baseline.values, seen, build.specified)
    return GateResult(parity, accuracy, reference, values, statistics)


def _both(one: Watch, other: Watch) -> Watch:
    def watch(node: torch.fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        one(node, args, kwargs)
        other(node, args, kwargs)

    return watch


def _comparisons(build: Build, baseline: Baseline) -> Comparisons:
    """Returns what the float program compares; nothing where no number is rounded."""
    comparisons = Comparisons()
    program = baseline.program
    if build.specified.precision != Precision.FLOAT32 and any(map(compares, program.graph.nodes)):
        run_all(ReferenceRunner(program, watch=comparisons.watch), baseline.samples.checks)
    return comparisons


def _unrounded(build: Build, samples: Samples, scores: Scores) -> list[Arrays] | None:
    """Returns what the same program makes without any rounding, and keeps its scores; None where nobody asks."""
    program = build.specified
    if program.precision == Precision.FLOAT32:
        return None
    for_parity = build.runner is not None and has_last_bits(program)
    if not for_parity and not any(map(reads_scores, program.graph.nodes)):
        return None
    return run_all(ReferenceRunner(float_program(program), watch=scores.watch), samples.checks)


def _declared(build: Build, samples: Samples, reference: list[Arrays]) -> DeclaredChange | None:
    """Returns what target passes change on purpose, beside what they declare."""
    if build.specified is build.program:
        return None
    before = run_all(ReferenceRunner(build.program), samples.checks)
    comparisons = compare_outputs(build.program.signature, before, reference)
    noise = sum(10 ** (-change.min_snr_db / 10) for change in build.changes.values())
    return DeclaredChange(
        passes=tuple(build.changes),
        what="; ".join(change.what for change in build.changes.values()),
        snr_db=min(one.snr_db for one in comparisons),
        min_snr_db=-10 * math.log10(noise),
    )


class _Recorded:
    """A runner that keeps its outputs, so that no sample runs twice."""

    def __init__(self, runner: Any, kept: list[Arrays]) -> None:
        self._runner = runner
        self._kept = kept

    def __call__(self, *inputs: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
        result = self._runner(*inputs)
        self._kept.append(result if isinstance(result, tuple) else (result,))
        return result  # type: ignore[no-any-return]

    def facts(self) -> dict[str, Any]:
        return self._runner.facts()  # type: ignore[no-any-return]

    def close(self) -> None:
        """Leaves the runner open: it belongs to the build."""


def _accuracy(
    build: Build,
    baseline: Baseline,
    request: Request,
    runner: Any,
    compared: tuple[list[Arrays], list[Arrays]],
    values: frozenset[str],
) -> Accuracy | None:
    samples = baseline.samples
    agreement = None
    if samples.checks:
        agreement = check_agreement(
            baseline.program.signature,
            *compared,
            max_drop=request.max_drop if request.evaluate is None else None,
            inputs=samples.kind,
            limits=request.checks.fidelity,
            values=values,
        )
    if request.evaluate is None:
        return agreement
    function = as_model(runner, build.program, baseline.module)
    float_value = baseline.score
    report_progress("evaluate", 0, 1)
    accuracy = check_accuracy(
        request.evaluate,
        function,
        float_value=float_value,
        max_drop=request.max_drop,
        agreement=agreement,
    )
    report_progress("evaluate", 1, 1)
    return accuracy


def measure_speed(
    build: Build, baseline: Baseline, request: Request, backend: Backend, target: Target
) -> tuple[Speed | None, str]:
    """Returns the speed beside float, or None and why it could not be measured."""
    from edgeopt.deployment.build import build as build_float  # noqa: PLC0415 (imports this module)

    samples = baseline.samples
    if getattr(backend, "simulates", False):
        return None, ""  # it has no speed of its own
    why_not = _not_measurable(build, baseline, backend, target)
    if build.runner is None or why_not:
        return None, why_not
    try:
        other = build_float(baseline.program, target, backend, options=request.compiling)
    except EdgeoptError as error:
        return None, f"the float32 artefact could not be made: {error.what}"
    if other.runner is None:
        return None, other.not_here
    host = detect_host()
    try:
        speed = check_speed(
            build.runner,
            other.runner,
            samples.checks[0],
            precision=build.artifact.precision,
            threads=request.bundle.threads,
            machine=host.cpu.model,
            on_target=target.name == host.name,
        )
    finally:
        other.close()
    sizes = {"size_bytes": _size_bytes(build), "float_size_bytes": _size_bytes(other)}
    speed = msgspec.structs.replace(speed, **sizes)
    if request.tuning.active:
        unequal = "kernels were tuned for this precision, not for float32"
        speed = msgspec.structs.replace(speed, unequal=unequal)
    if speed.ok:
        return speed, ""
    median_ms = speed.float_latency.median_ms
    reasons = slow_reasons(host, build.support, build.artifact.operators, median_ms)
    return msgspec.structs.replace(speed, reasons=reasons), ""


def _size_bytes(build: Build) -> int:
    """Returns what it takes of the device: flash of a microcontroller, whose artefact is source text."""
    return build.artifact.size_bytes if build.memory is None else build.memory.use.flash_bytes


def _not_measurable(build: Build, baseline: Baseline, backend: Backend, target: Target) -> str:
    if build.runner is None or not baseline.samples.checks:
        return build.not_here or "there is no input to run"
    if "float32" not in backend.precisions(target):
        return f"{backend.name} does not compile float32 for {target.name}"
    return ""
