"""`edgeopt.search`."""

from __future__ import annotations

import tempfile
import time
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.contracts.storage import Precision
from edgeopt.data.batches import rereadable
from edgeopt.deployment.baseline import Baseline
from edgeopt.deployment.fallbacks import keep_counts
from edgeopt.deployment.memory import limits_of
from edgeopt.deployment.request import Request
from edgeopt.deployment.samples import collect_samples
from edgeopt.deployment.steps import as_program
from edgeopt.errors import DeviceError, EdgeoptError, InputError
from edgeopt.files import cache_folder
from edgeopt.options import BundleOptions, Checks, QuantizationConfig
from edgeopt.progress import progress_to, report_progress, silent
from edgeopt.registry import find_target
from edgeopt.searching.bench import Bench
from edgeopt.searching.budget import LIMITS, Budget, best_of
from edgeopt.searching.identity import identity_of
from edgeopt.searching.opening import open_study
from edgeopt.searching.pruning import Pruner, read_pruning
from edgeopt.searching.result import SearchResult
from edgeopt.searching.setup import (
    check_model,
    engines_of,
    parts_of,
    switches_of,
    timed_device,
)
from edgeopt.searching.space import Space
from edgeopt.searching.trials import Measured, SearchEvent
from edgeopt.searching.unmet import unmet

if TYPE_CHECKING:
    from edgeopt.contracts import Device, Target
    from edgeopt.deployment.samples import Samples
    from edgeopt.ir import Program
    from edgeopt.options import SearchOptions
    from edgeopt.searching.study import Claim, Study

__all__ = ["run_search"]

DEVICE_FAULTS = 3
"""So many trials in a row that the device does not survive end the search."""

_SAME_SCORE = 1e-3


def run_search(
    model: Any,
    target: str | Path | Target,
    options: SearchOptions,
    bundle: BundleOptions | None = None,
) -> SearchResult:
    """Returns what came of a search; `edgeopt.search` documents the arguments.

    Args:
        model: What is searched for.
        target: The device.
        options: What was asked for.
        bundle: What is known of inputs and outputs, of a model by name.
    """
    bundle = bundle or BundleOptions()
    options.check()
    descriptor = find_target(target)
    limits_of(descriptor, options)
    # Read by the calibration and by each pruning.
    data = rereadable(options.calibration_data, "calibration_data")
    options = options.replace(calibration_data=data)
    with progress_to(options.progress), timed_device(descriptor, options) as (device, notes):
        return _Search(model, descriptor, options, device, notes, bundle).run()


@dataclass
class _Search:
    """One run of a search."""

    model: Any
    target: Target
    options: SearchOptions
    device: Device | None
    notes: tuple[str, ...]
    bundle: BundleOptions
    faults: int = field(default=0, init=False)

    def run(self) -> SearchResult:
        options = self.options
        ratios, pruning = read_pruning(options.pruning, finetune=options.finetune)
        program = as_program(self.model, options.example_inputs)
        check_model(program, options)
        samples = self._samples(program)
        engines, notes = engines_of(program, self.target, options)
        self.notes = (*self.notes, *notes)
        request = self._request()
        baseline = Baseline(self.model, program, samples, options.evaluate)
        shape = {"engines": engines, "pruned": (0.0, *ratios), **switches_of(program, options)}
        parts = parts_of(options, self.device, shape, pruning)
        identity = identity_of(program, self.target, samples, parts)
        with open_study(options.study, identity, timed=self.device is not None) as study:
            float_score = self._float_score(baseline, study)
            bench = Bench(baseline, self.target, request, options.fixed(), None, study)
            if ratios:
                bench.prune = self._pruner(study, pruning)
            floats = self._floats(bench, engines)
            space = Space(**{**shape, "floats": floats})  # type: ignore[arg-type]
            budget = self._budget(float_score)
            study.propose_from(space, options.seed, budget)
            stopped = self._try_all(bench, study, space, budget)
            return self._result(bench, study, budget, stopped)

    def _samples(self, program: Program) -> Samples:
        options = self.options
        return collect_samples(
            program,
            options.calibration_data,
            options.example_inputs,
            calibrate=QuantizationConfig.from_dict(options.fixed()).max_samples,
            check=options.checks.samples,
            model=self.model,
        )

    def _request(self) -> Request:
        options = self.options
        request = Request(
            example_inputs=options.example_inputs,
            calibration_data=options.calibration_data,
            evaluate=options.evaluate,
            device=self.device,
            bundle=self.bundle.replace(threads=options.threads),
            checks=Checks(**options.checks.to_fields(), speed=False),
        )
        request.check()
        return request

    def _float_score(self, baseline: Baseline, study: Study) -> float:
        """Returns the float model's score; refuses a study that remembers another."""
        score = 1.0 if self.options.evaluate is None else baseline.score
        stored_score = float(study.remember("float score", lambda: score))
        if abs(stored_score - score) > _SAME_SCORE * max(1.0, abs(stored_score)):
            raise InputError(
                f"the float model scored {stored_score:g} there, and scores {score:g} now",
                where=f"study {study.url}",
                hint="evaluate must give one model one score; for other data name another study",
            )
        return stored_score

    def _pruner(self, study: Study, pruning: dict[str, Any]) -> Pruner:

        options = self.options
        if not isinstance(self.model, torch.nn.Module):
            what = f"only an nn.Module can be pruned, got a {type(self.model).__name__}"
            raise InputError(what, where="pruning")
        if options.example_inputs is None:
            raise InputError("pruning needs example_inputs", where="example_inputs")
        token = str(study.remember("token", lambda: uuid.uuid4().hex))
        folder = cache_folder() / "searches" / token
        if study.url == "none":
            folder = Path(tempfile.mkdtemp(prefix="edgeopt-"))
        return Pruner(
            self.model,
            options.example_inputs,
            options.calibration_data,
            self.target,
            options.finetune,
            pruning,
            folder,
        )

    def _floats(self, bench: Bench, engines: tuple[tuple[str, str], ...]) -> tuple[int, ...]:
        if all(not Precision(precision).is_integer for _, precision in engines):
            return (0,)
        return (0, *keep_counts(len(bench.sensitivities())))

    def _budget(self, float_score: float) -> Budget:
        options = self.options
        timed = self.device is not None
        prefer = options.preference
        return Budget(
            float_score,
            options.max_drop,
            options.max_latency_ms,
            options.max_size_mb,
            options.max_flash_kb,
            options.max_ram_kb,
            prefer="size" if prefer == "latency" and not timed else prefer,
            timed=timed,
        )

    def _try_all(self, bench: Bench, study: Study, space: Space, budget: Budget) -> str:
        """Returns why it ended."""
        options, began = self.options, time.monotonic()
        size = len({one.digest for one in space.all()})
        while True:
            study.give_up_the_dead()
            done, busy = len(study.trials()), study.running()
            report_progress("search", min(done, options.trials or size), options.trials or size)
            if options.trials and done + busy >= options.trials:
                return "trials"
            if options.minutes and time.monotonic() - began >= 60 * options.minutes:
                return "minutes"
            if len(study.taken()) >= size and not study.is_waiting():
                return "exhausted"
            claim = study.claim()
            if claim is None:
                continue
            try:
                self._try(claim, bench, study)
            except KeyboardInterrupt:
                study.lost(claim, "interrupted")
                return "interrupted"
            except BaseException as error:
                study.lost(claim, f"{type(error).__name__}: {error}")
                raise
            self._tell(study, claim, budget, began)

    def _try(self, claim: Claim, bench: Bench, study: Study) -> None:
        def known(program: str) -> tuple[int, Measured] | None:
            for trial in study.trials():
                result = trial.measured
                if result is not None and result.same_as is None and result.program == program:
                    return trial.number, result
            return None

        try:
            with study.beating(claim), progress_to(silent):
                measured = bench.measure(claim.configuration, known)
        except DeviceError as error:
            self.faults += 1
            if self.faults >= DEVICE_FAULTS:
                raise
            study.lost(claim, error.what)
        except EdgeoptError as error:
            if isinstance(error, InputError) and error.where == "evaluate":
                raise
            study.failed(claim, error.what)
        else:
            self.faults = 0
            study.done(claim, measured)

    def _tell(self, study: Study, claim: Claim, budget: Budget, began: float) -> None:
        options, trials = self.options, study.trials()
        last = next((t for t in trials if t.number == claim.number), None)
        if options.watch is None or last is None:
            return
        spent = time.monotonic() - began
        count = max(1, sum(t.new for t in trials))
        estimates = [spent / count * max(0, options.trials - len(trials))] if options.trials else []
        estimates += [max(0.0, 60 * options.minutes - spent)] if options.minutes else []
        failed = sum(t.state == "failed" for t in trials)
        best = best_of(trials, budget)
        options.watch(SearchEvent(len(trials), options.trials, last, best, min(estimates), failed))

    def _result(self, bench: Bench, study: Study, budget: Budget, stopped: str) -> SearchResult:
        trials = study.trials()
        integer = any(t.configuration.precision.is_integer for t in trials)
        result = SearchResult(
            target=self.target.name,
            budget=budget,
            trials=trials,
            best=best_of(trials, budget),
            sensitivity=bench.sensitivities() if integer else (),
            study=study.url,
            stopped=stopped,
            device="" if self.device is None else self.device.name,
            warnings=(*self.notes, *_warnings(budget)),
            _bench=replace(bench, device=self.options.device or ("local" if self.device else None)),
        )
        if result.best is None and stopped != "interrupted":
            raise unmet(result)
        return result


def _warnings(budget: Budget) -> list[str]:
    if all(getattr(budget, name) is None for name in LIMITS):
        return ["no limit was given, so the best score wins, whatever it costs"]
    return []
