"""What comes of a network in one precision on one backend, and whether anybody was told."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import torch

from edgeopt.contracts.storage import Precision
from edgeopt.deployment import steps
from edgeopt.deployment.request import Request
from edgeopt.errors import CaptureError, EdgeoptError, UnsupportedError
from edgeopt.gate.accuracy import check_agreement
from edgeopt.gate.parity import run_all
from edgeopt.ir import ReferenceRunner
from edgeopt.options import Checks, FidelityLimits
from edgeopt.registry import find_backend, find_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgeopt.gate.metrics import Arrays
    from edgeopt.testing.networks.network import Network

__all__ = ["FAULTS", "Bench", "Outcome"]

Kind = Literal[
    "right",
    "warned",
    "refused",
    "not the same",
    "wrong",
    "not finite",
    "raw error",
    "crash",
    "hang",
]

FAULTS: tuple[Kind, ...] = ("wrong", "not finite", "raw error", "crash", "hang")
"""What must never be: nobody was told, or not in our words."""

CALIBRATION, CHECKS, FRESH = 20, 6, 8
CAPTURED = 60.0
"""dB that capture and core passes must keep."""

FLOORS = {Precision.FLOAT32: 45.0, Precision.FLOAT16: 9.0}
FLOOR = 8.0
"""dB: the gate's floor, and 2 dB for what other samples may say."""

EVIDENT = ("little is left of", "name another class")


class Outcome(msgspec.Struct, frozen=True):
    """What came of one network.

    Attributes:
        kind: ``right``; ``warned`` or ``refused``, with a reason; ``not the same``: the gate found
            that the artefact does not compute its program, or a toolchain failed, which no user
            can help; or one of `FAULTS`.
        backend: Where; ``capture`` before any.
        precision: In which precision.
        what: In a few words.
        seconds: How long it took.
    """

    kind: Kind
    backend: str
    precision: str
    what: str = ""
    seconds: float = 0.0

    @property
    def is_fault(self) -> bool:
        """Whether nobody was told, or not in our words."""
        return self.kind in FAULTS


class Bench:
    """Deploys networks to this machine, by the steps of `edgeopt.deploy`, up to the bundle.

    Args:
        backends: Names of backends.
        precisions: Precisions; those that a backend does not have are left out.
    """

    def __init__(self, backends: Iterable[str], precisions: Iterable[str]) -> None:
        self.backends, self.precisions = tuple(backends), tuple(precisions)
        self._jobs: dict[tuple[str, str], steps.Job] = {}
        self._target = find_target("host")
        self._offered = {b: find_backend(b).precisions(self._target) for b in self.backends}

    def examine(self, network: Network, seed: int = 0) -> Iterator[Outcome]:
        """Yields what comes of ``network``, each backend and precision in turn."""
        samples = network.samples(CALIBRATION + CHECKS + FRESH, seed)
        try:
            case = _Case(network.module(), samples)
            lost = case.lost(run_all(ReferenceRunner(case.program), case.fresh), CAPTURED)
        except EdgeoptError as error:
            yield Outcome("refused", "capture", "", str(error))
            return
        except Exception as error:  # noqa: BLE001 (whatever it is, it is a fault)
            yield Outcome("raw error", "capture", "", _said(error))
            return
        if lost:
            yield Outcome("wrong", "capture", "", lost)
        for precision in self.precisions:
            for backend in self.backends:
                if precision in self._offered[backend]:
                    start = time.monotonic()
                    kind, what = self._tried(case, backend, precision)
                    seconds = round(time.monotonic() - start, 2)
                    yield Outcome(kind, backend, precision, what, seconds)

    def _tried(self, case: _Case, backend: str, precision: str) -> tuple[Kind, str]:
        try:
            return case.outcome(self._job(case, backend, precision))
        except (UnsupportedError, CaptureError) as error:
            return "refused", str(error)
        except EdgeoptError as error:
            return "not the same", f"{type(error).__name__} {error}"
        except Exception as error:  # noqa: BLE001 (whatever it is, it is a fault)
            return "raw error", _said(error)

    def _job(self, case: _Case, backend: str, precision: str) -> steps.Job:
        """The job of a network; planned once, for plans of networks differ in their reasons only."""
        request = Request(
            backend=backend,
            precision=precision,  # type: ignore[arg-type]  # one of them: it checks itself
            calibration_data=case.data,
            checks=Checks(speed=False, samples=CHECKS),
        )
        key = (backend, precision)
        if key not in self._jobs:
            self._jobs[key] = steps.plan(case.program, self._target, request)
        return replace(self._jobs[key], request=request, program=case.program)


class _Case:
    """One network: what torch says, and what is shared by all that is made of it."""

    def __init__(self, module: torch.nn.Module, samples: list[tuple[torch.Tensor, ...]]) -> None:
        fit = CALIBRATION + CHECKS
        with torch.no_grad():
            self.wanted = [_arrays(module(*one)) for one in samples[fit:]]
        self.program = steps.as_program(module, samples[0])
        self.data = samples[:fit]
        self.fresh = [tuple(t.numpy() for t in one) for one in samples[fit:]]
        self._shared: tuple[steps.Baseline, steps.Source] | None = None

    def outcome(self, job: steps.Job) -> tuple[Kind, str]:
        """Returns what comes of ``job``, and in a few words why."""
        if self._shared is None:
            baseline = steps.baseline(self.program, job)
            self._shared = baseline, steps.source(job, baseline)
        baseline, source = self._shared
        candidate = steps.quantize(job, source)
        checked = steps.check(job, candidate, steps.compile(job, candidate), baseline)
        try:
            deployment = steps.report(job, checked, baseline)
            msgspec.json.encode(deployment.report())
            parity, accuracy, runner = deployment.parity, deployment.accuracy, checked.build.runner
            if parity is not None and not parity.ok:
                return "not the same", "; ".join(parity.reasons)
            if accuracy is not None and not accuracy.ok:
                return "refused", accuracy.failure
            if runner is None:
                return "not the same", checked.build.not_here
            outputs = run_all(runner, self.fresh)
        finally:
            checked.build.close()
        lost = self.lost(outputs, FLOORS.get(Precision(job.plan.precision), FLOOR))
        told = [w for w in deployment.warnings if w.startswith(EVIDENT)]
        if lost and told and "not finite" not in lost:
            return "warned", told[0]
        return ("not finite" if "not finite" in lost else "wrong" if lost else "right"), lost

    def lost(self, got: list[Arrays], floor: float) -> str:
        """Returns what falls short of ``floor`` (dB), beside torch; empty where nothing does."""
        for want, have in zip(self.wanted, got, strict=True):
            for w, h in zip(want, have, strict=True):
                if w.shape != h.shape or w.dtype != h.dtype:
                    return f"{w.dtype} {w.shape} became {h.dtype} {h.shape}"
                if (np.isfinite(_real(w)) & ~np.isfinite(_real(h))).any():
                    return "not finite"
        limits = FidelityLimits(min_snr_db=floor, warn_snr_db=floor)
        compared = check_agreement(
            self.program.signature,
            self.wanted,
            got,
            max_drop=None,
            inputs="fresh samples",
            limits=limits,
        )
        every = [s for one in compared.fidelity for s in one.shortfalls]
        return "; ".join(s.what for s in every if s.grave)


def _real(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float64)


def _arrays(outputs: torch.Tensor | tuple[torch.Tensor, ...]) -> Arrays:
    every = outputs if isinstance(outputs, tuple) else (outputs,)
    return tuple(one.numpy() for one in every)


def _said(error: Exception) -> str:
    text = re.sub(r"\s+", " ", str(error))[:300]
    return f"{type(error).__name__}: {text}"
