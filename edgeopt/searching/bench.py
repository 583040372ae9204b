"""Tries one configuration: prune, quantize, compile, check, measure on the device."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.boundary import convert
from edgeopt.data.batches import rereadable
from edgeopt.deployment import steps
from edgeopt.deployment.candidate import Source
from edgeopt.deployment.deploy import deploy_job
from edgeopt.deployment.plan import quantization_settings
from edgeopt.deployment.shape_family import shape_relatives
from edgeopt.errors import InputError
from edgeopt.gate.sensitivity import Sensitivity
from edgeopt.progress import progress_to
from edgeopt.searching.trials import Measured

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.contracts import Target
    from edgeopt.deployment.baseline import Baseline
    from edgeopt.deployment.request import Request
    from edgeopt.deployment.result import Deployment
    from edgeopt.ir import Program
    from edgeopt.searching.configuration import Configuration
    from edgeopt.searching.study import Study

__all__ = ["Bench"]


@dataclass
class Bench:
    """What trials are made on.

    Attributes:
        baseline: The float model as it came, with its samples: every trial is compared with it.
        target: The device's descriptor.
        request: What trials are deployed with; ``device`` is None where nothing is timed.
        fixed_settings: Fields of the quantization that the user chose.
        prune: Returns the pruned and fine-tuned model for a share; None where none is pruned.
        study: Remembers what all workers must agree on.
        device: Where deployments of the result are verified and measured.
    """

    baseline: Baseline
    target: Target
    request: Request
    fixed_settings: dict[str, Any]
    prune: Callable[[float], Any] | None
    study: Study
    device: Any = None
    _programs: dict[float, Program] = field(default_factory=dict)
    _sensitivities: dict[float, tuple[Sensitivity, ...]] = field(default_factory=dict)

    def sensitivities(self, pruned: float = 0.0) -> tuple[Sensitivity, ...]:
        """Returns the values whose rounding to int8 does harm, the worst first.

        The study remembers them, so that all its workers mean the same by "the worst six".
        """
        if pruned not in self._sensitivities:
            value = self.study.remember(f"sensitivity {pruned:g}", lambda: self._found(pruned))
            self._sensitivities[pruned] = convert(
                value, tuple[Sensitivity, ...], where="the study's sensitivities"
            )
        return self._sensitivities[pruned]

    def measure(
        self, one: Configuration, known: Callable[[str], tuple[int, Measured] | None]
    ) -> Measured:
        """Returns what was measured of ``one``.

        Args:
            one: What to try.
            known: Returns the trial that measured a program before, by its digest and backend.

        Raises:
            EdgeoptError: It cannot be had; says why.
        """
        began = time.monotonic()
        job, source = self._prepared(one)
        digest = f"{one.backend}/{steps.quantize(job, source).program.digest}"
        before = known(digest)
        if before is not None:
            number, measured = before
            seconds = time.monotonic() - began
            return msgspec.structs.replace(measured, same_as=number, seconds=seconds)
        deployment = deploy_job(job, source, self.baseline)
        return _measured(deployment, digest, time.monotonic() - began)

    def deploy(self, one: Configuration, request: Request) -> Deployment:
        """Returns the deployment of ``one``, through the whole gate, as ``request`` asks."""
        job, source = self._prepared(one)
        own = job.request
        data = request.calibration_data
        final_request = request.replace(
            precision=own.precision,
            backend=own.backend,
            quantization=own.quantization,
            calibration_data=own.calibration_data
            if data is None
            else rereadable(data, "calibration_data"),
            evaluate=own.evaluate,
            example_inputs=own.example_inputs,
        )
        final_request.check()
        job = steps.Job.of(final_request, self.target, source.program)
        with progress_to(request.progress):
            needs_module = bool(one.pruned) and request.shapes.are_any
            module = self.prune(one.pruned) if needs_module and self.prune is not None else None
            relatives = shape_relatives(job, self.baseline, module)
            source = replace(source, others=relatives.calibration)
            return deploy_job(job, source, self.baseline, relatives)

    def _prepared(self, one: Configuration) -> tuple[steps.Job, Source]:
        sensitivities = self.sensitivities(one.pruned) if one.floats else ()
        request = self.request.replace(
            precision=one.precision,
            backend=one.backend,
            quantization=one.settings(sensitivities, self.fixed_settings),
        )
        source = self._source(one.pruned)
        return steps.Job.of(request, self.target, source.program), source

    def _source(self, pruned: float) -> Source:
        """Returns what candidates are made of: the model pruned by so much."""
        if pruned not in self._programs:
            program = self.baseline.program
            if pruned:
                if self.prune is None:
                    raise InputError("nothing is pruned here", where="pruning")
                program = steps.as_program(self.prune(pruned), self.request.example_inputs)
            self._programs[pruned] = program
        return Source(self._programs[pruned], self.baseline.samples.calibration)

    def _found(self, pruned: float) -> Any:
        source = self._source(pruned)
        settings = quantization_settings("int8", self.fixed_settings, self.target)
        candidate = source.candidate("int8", settings)
        return msgspec.to_builtins(source.sensitivities(candidate))


def _measured(made: Deployment, digest: str, seconds: float) -> Measured:
    accuracy = made.accuracy
    if accuracy is None or accuracy.value is None:
        raise InputError("there is no score", where="evaluate", hint="pass evaluate=")
    latency = None if made.profile is None else made.profile.latency
    use = None if made.memory is None else made.memory.use
    return Measured(
        score=accuracy.value,
        size_bytes=made.size_bytes,
        latency_ms=None if latency is None else latency.median_ms,
        low_ms=None if latency is None else latency.low_ms,
        high_ms=None if latency is None else latency.high_ms,
        program=digest,
        seconds=seconds,
        flash_bytes=None if use is None else use.flash_bytes,
        ram_bytes=None if use is None else use.ram_bytes,
    )
