"""`edgeopt.search`."""

from __future__ import annotations

import itertools
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.deployment.build import make_config
from edgeopt.deployment.choose import choose_backend
from edgeopt.deployment.deploy import as_program
from edgeopt.deployment.gates import FloatSide
from edgeopt.deployment.request import Request, silent
from edgeopt.deployment.samples import collect_samples
from edgeopt.errors import BudgetError, DeviceError, EdgeoptError, InputError
from edgeopt.registry import detect_host, find_backend, find_target
from edgeopt.searching.bench import Bench
from edgeopt.searching.budget import Budget, best_of
from edgeopt.searching.identity import function_name, identity_of
from edgeopt.searching.options import KNOWN
from edgeopt.searching.pruning import Pruner, read_pruning
from edgeopt.searching.result import SearchResult
from edgeopt.searching.space import Space
from edgeopt.searching.study import open_study
from edgeopt.searching.trials import Measured, SearchEvent

if TYPE_CHECKING:
    from edgeopt.contracts import Device, Target
    from edgeopt.deployment.samples import Samples
    from edgeopt.ir import Program
    from edgeopt.searching.options import SearchOptions
    from edgeopt.searching.study import Claim, Study

__all__ = ["run_search"]

DEVICE_FAULTS = 3
"""So many trials in a row that the device does not survive end the search."""

_SAME_SCORE = 1e-3
_MOST_ITEMS = 4096


def run_search(model: Any, target: str | Path | Target, options: SearchOptions) -> SearchResult:
    """Returns what came of a search; `edgeopt.search` documents the arguments."""
    options.check()
    Budget(0.0, options.max_drop, options.max_latency_ms, options.max_size_mb).check()
    make_config(options.given())
    found = find_target(target)
    with _timed_device(found, options) as (device, notes):
        return _Search(model, found, _held(options), device, notes).run()


def _held(options: SearchOptions) -> SearchOptions:
    """Returns ``options`` with data that can be read more than once."""
    data = options.calibration_data
    if isinstance(data, Iterator):
        data = list(itertools.islice(data, _MOST_ITEMS))
    return replace(options, calibration_data=data)


@contextmanager
def _timed_device(
    target: Target, options: SearchOptions
) -> Iterator[tuple[Device | None, tuple[str, ...]]]:
    """Yields the device to measure on, None where times would say nothing, and what to warn of."""
    from edgeopt.deployment.on_device import opened  # noqa: PLC0415 (only with a device)

    wanted = options.device
    if wanted is None and target.name == detect_host().name:
        wanted = "local"
    why = f"{target.name} is not this machine, and no device was given"
    if wanted is not None:
        with opened(wanted, target) as device:
            if not getattr(device, "emulated", False):
                yield device, ()
                return
        why = f"{device.name} is emulated: its times say nothing of {target.name}"
    if options.max_latency_ms is not None or options.prefer == "latency":
        where = "max_latency_ms" if options.max_latency_ms is not None else "prefer"
        hint = "pass device=, for example ssh://user@host"
        raise InputError(f"no latency can be measured: {why}", where=where, hint=hint)
    yield None, (f"latency is no objective: {why}",)


@dataclass
class _Search:
    """One run of a search."""

    model: Any
    target: Target
    options: SearchOptions
    device: Device | None
    notes: tuple[str, ...]
    faults: int = field(default=0, init=False)

    def run(self) -> SearchResult:
        options = self.options
        ratios, pruning = read_pruning(options.pruning, finetune=options.finetune)
        program = as_program(self.model, options.example_inputs)
        self._check_score(program)
        samples = self._samples(program)
        engines = self._engines(program)
        request = self._request()
        side = FloatSide(self.model, program, replace(request, device=None), samples)
        shape = {"engines": engines, "pruned": (0.0, *ratios), **_switches(program, options)}
        identity = identity_of(program, self.target, samples, self._parts(shape, pruning))
        with open_study(options.study, identity, timed=self.device is not None) as study:
            float_score = self._float_score(side, study)
            bench = Bench(side, self.target, request, options.given(), None, study)
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
            program.signature,
            options.calibration_data,
            options.example_inputs,
            calibrate=int(make_config(options.given()).max_samples),
            check=options.check_samples,
            model=self.model,
        )

    def _request(self) -> Request:
        options = self.options
        request = Request(
            example_inputs=options.example_inputs,
            calibration_data=options.calibration_data,
            evaluate=options.evaluate,
            device=self.device,
            threads=options.threads,
            check_speed=False,
            check_samples=options.check_samples,
        )
        request.check()
        return request

    def _check_score(self, program: Program) -> None:
        from edgeopt.gate.metrics import class_axis  # noqa: PLC0415 (numpy)

        outputs = program.signature.outputs
        if self.options.evaluate is None and all(
            class_axis(s.shape, s.dtype) is None for s in outputs
        ):
            raise InputError(
                "the outputs are not one score a class, so agreement cannot stand for a score",
                where="evaluate",
                hint="pass a function that takes the model and returns a score",
            )

    def _engines(self, program: Program) -> tuple[tuple[str, str], ...]:
        """Returns backend and precision of all that can be compiled, int8 in front."""
        options, known, refusals = self.options, {}, []
        for name in options.backends or self.target.backends:
            try:
                choice = choose_backend(self.target, backend=name, program=program)
            except EdgeoptError as error:
                if options.backends is not None:
                    raise
                refusals.append(error)
                self.notes = (*self.notes, f"without {name}: {error.what}")
                continue
            known[name] = choice.backend.precisions(self.target)
        if not known:
            raise refusals[0]
        calibrated = options.calibration_data is not None
        wanted = [
            p
            for p in options.precisions or KNOWN
            if p != "int8" or calibrated or options.precisions
        ]
        if "int8" in wanted and not calibrated:
            hint = "pass about 100 real inputs"
            raise InputError("int8 needs to see real inputs", where="calibration_data", hint=hint)
        if not calibrated:
            self.notes = (*self.notes, "without int8: it needs calibration_data")
        found = tuple((name, p) for p in wanted for name, can in known.items() if p in can)
        if not found:
            says = "; ".join(f"{name} compiles {', '.join(can)}" for name, can in known.items())
            raise InputError("no backend compiles any of them", where="precisions", hint=says)
        return found

    def _parts(self, shape: dict[str, Any], pruning: dict[str, Any]) -> dict[str, Any]:
        options = self.options
        names = dict.fromkeys(name for name, _ in shape["engines"])
        tools = {name: find_backend(name).versions() for name in names}
        return {
            "evaluate": function_name(options.evaluate),
            "finetune": function_name(options.finetune),
            "device": "" if self.device is None else self.device.name,
            "tools": tools,
            "options": {
                **shape,
                "quantization": options.given(),
                "pruning": repr(sorted(pruning.items())),
                "threads": options.threads,
            },
        }

    def _float_score(self, side: FloatSide, study: Study) -> float:
        """Returns the float model's score; refuses a study that remembers another."""
        score = 1.0 if self.options.evaluate is None else side.score()
        known = float(study.remember("float score", lambda: score))
        if abs(known - score) > _SAME_SCORE * max(1.0, abs(known)):
            raise InputError(
                f"the float model scored {known:g} there, and scores {score:g} now",
                where=f"study {study.url}",
                hint="evaluate must give one model one score; for other data name another study",
            )
        return known

    def _pruner(self, study: Study, pruning: dict[str, Any]) -> Pruner:
        from edgeopt.devices.cache import cache_folder  # noqa: PLC0415 (only here)

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
        from edgeopt.deployment.attempts import keep_counts  # noqa: PLC0415 (only here)

        if all(precision != "int8" for _, precision in engines):
            return (0,)
        return (0, *keep_counts(len(bench.harms())))

    def _budget(self, float_score: float) -> Budget:
        options = self.options
        timed = self.device is not None
        prefer = options.preference
        return Budget(
            float_score,
            options.max_drop,
            options.max_latency_ms,
            options.max_size_mb,
            prefer="size" if prefer == "latency" and not timed else prefer,
            timed=timed,
        )

    def _try_all(self, bench: Bench, study: Study, space: Space, budget: Budget) -> str:
        """Returns why it ended."""
        options, began = self.options, time.monotonic()
        progress = options.progress or silent
        size = len({one.digest for one in space.all()})
        while True:
            study.give_up_the_dead()
            done, busy = len(study.trials()), study.running()
            progress("search", min(done, options.trials or size), options.trials or size)
            if options.trials and done + busy >= options.trials:
                return "trials"
            if options.minutes and time.monotonic() - began >= 60 * options.minutes:
                return "minutes"
            if len(study.taken()) >= size:
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
                held = trial.measured
                if held is not None and held.same_as is None and held.program == program:
                    return trial.number, held
            return None

        try:
            with study.beating(claim):
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
        made = max(1, sum(t.new for t in trials))
        left = [spent / made * max(0, options.trials - len(trials))] if options.trials else []
        left += [max(0.0, 60 * options.minutes - spent)] if options.minutes else []
        failed = sum(t.state == "failed" for t in trials)
        best = best_of(trials, budget)
        options.watch(SearchEvent(len(trials), options.trials, last, best, min(left), failed))

    def _result(self, bench: Bench, study: Study, budget: Budget, stopped: str) -> SearchResult:
        trials = study.trials()
        integer = any(t.configuration.precision == "int8" for t in trials)
        result = SearchResult(
            target=self.target.name,
            budget=budget,
            trials=trials,
            best=best_of(trials, budget),
            sensitivity=bench.harms() if integer else (),
            study=study.url,
            stopped=stopped,
            device="" if self.device is None else self.device.name,
            warnings=(*self.notes, *_warnings(budget)),
            _bench=replace(bench, device=self.options.device or ("local" if self.device else None)),
        )
        if result.best is None and stopped != "interrupted":
            raise _unmet(result)
        return result


def _switches(program: Program, options: SearchOptions) -> dict[str, tuple[str, ...]]:
    from edgeopt.quantization.channels import channel_spaces  # noqa: PLC0415 (torch)

    spaces = channel_spaces(program)
    return options.switches(
        smoothing=any(one.smoothing for one in spaces),
        equalization=any(not one.smoothing for one in spaces),
    )


def _warnings(budget: Budget) -> list[str]:
    if budget.max_drop is None and budget.max_latency_ms is None and budget.max_size_mb is None:
        return ["no limit was given, so the best score wins, whatever it costs"]
    return []


def _unmet(result: SearchResult) -> BudgetError:
    """Returns the error that says what comes nearest."""
    near, budget = result.nearest, result.budget
    if near is None or near.measured is None:
        why = result.failed[0].reason if result.failed else "there was no time for any"
        return BudgetError(
            f"no trial of {len(result.trials)} could be measured: {why}",
            where="search",
            result=result,
        )
    held = near.measured
    reached = {
        "max_drop": max(0.0, budget.float_score - held.score),
        "max_latency_ms": held.latency_ms or 0.0,
        "max_size_mb": held.size_bytes / 1e6,
    }
    beyond = [name for name, value in budget.excess(held).items() if value]
    asked = ", ".join(f"{name} {getattr(budget, name):g}" for name in beyond)
    needs = ", ".join(f"{name}={reached[name]:.4g}" for name in beyond)
    return BudgetError(
        f"none of {len(result.trials)} trials keeps to the budget; the nearest is {result.told(near)}, "
        f"beyond {asked}",
        where="budget",
        hint=f"it would do with {needs}; or try more trials, pruning=, or a finetune step",
        result=result,
    )
