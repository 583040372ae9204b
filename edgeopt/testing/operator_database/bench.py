"""Puts cases through capture, quantization and the backends."""

from __future__ import annotations

import contextlib
import importlib
import time
import traceback
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import torch

from edgeopt.api import capture, quantize
from edgeopt.contracts.storage import Precision
from edgeopt.deployment.build import build, specified_program
from edgeopt.errors import CompileError, EdgeoptError, ProgramError
from edgeopt.gate.parity import run_all
from edgeopt.lowering import require_supported
from edgeopt.options import CompileOptions
from edgeopt.registry import find_backend, find_target
from edgeopt.testing.operator_database.results import CAPTURE, Attempt, Place, Plan, Result
from edgeopt.testing.operator_database.samples import side_by_side
from edgeopt.testing.operator_database.verdict import arrays, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence

    from edgeopt.gate.metrics import Arrays
    from edgeopt.ir import Program
    from edgeopt.testing.operator_database.results import Outcome
    from edgeopt.testing.operator_database.samples import Case

    Told = tuple[Outcome, str]
    Steps = Generator[Attempt | Result, None, Any]

__all__ = ["BACKENDS", "PRECISIONS", "Bench"]

BACKENDS = ("reference", "tflite", "openvino", "tvm")
PRECISIONS = ("float32", "int8", "float16")
SHARED = ("tvm",)
"""Backends whose builds take seconds, whatever the size."""
AT_ONCE = 24
"""Cases in one build."""


@dataclass(frozen=True)
class Specimen:
    """A case, captured and quantized, for one backend."""

    place: Place
    case: Case
    program: Program


class Bench:
    """Puts cases through backends.

    Args:
        backends: Names.
        precisions: Names.
        target: What artefacts are made for; they run on this machine.
        shared: Backends that build many cases as one model, side by side; what is not right there
            is built alone.
    """

    def __init__(
        self,
        backends: Iterable[str] = BACKENDS,
        precisions: Iterable[str] = PRECISIONS,
        target: str = "host",
        shared: Collection[str] = SHARED,
    ) -> None:
        self._backends = {name: find_backend(name) for name in backends}
        self._precisions = tuple(precisions)
        self._target = find_target(target)
        self._shared = frozenset(shared)

    def plan(self, samples: int) -> Plan:
        """Returns what it examines of an operator, with so many samples of each dtype."""
        return Plan(tuple(self._backends), self._precisions, samples)

    def warm_up(self) -> None:
        """Imports what the backends and torch.export import when they are used first.

        It starts no threads, so that this process can still be forked.
        """
        for backend in self._backends.values():
            package = type(backend).__module__.partition(".")[0]
            for name in ("emitter", "compiler", "frontend", "device.runtime"):
                with contextlib.suppress(ImportError):
                    importlib.import_module(f"{package}.{name}")
        capture(torch.nn.ReLU().eval(), torch.ones(1, 2))

    def examine(
        self,
        cases: Iterable[Case],
        settled: Mapping[Place, Outcome] | None = None,
        alone: Collection[Place] = (),
    ) -> Steps:
        """Yields what is tried next, and what became of ``cases``: a result for each precision and backend.

        A precision in which nothing of a program is stored differently from float32 is left out.

        Args:
            cases: The cases.
            settled: Where results are known: they are not tried again.
            alone: What does not share a build.
        """
        settled = settled or {}
        waiting: dict[tuple[str, str, int], list[Specimen]] = defaultdict(list)
        for case in cases:
            for program in (yield from self._programs(case, settled)):
                for backend in self._backends:
                    place = Place(case.operator, case.sample, backend, program.precision)
                    if place in settled:
                        continue
                    one = Specimen(place, case, program)
                    if backend not in self._shared or place in alone:
                        yield from _told(place, partial(self._alone, one))
                    elif (yield from _told(place, partial(self._supported, one), quiet=True)):
                        waiting[backend, program.precision, len(case.inputs)].append(one)
        for group in waiting.values():
            for first in range(0, len(group), AT_ONCE):
                yield from self._sharing(group[first : first + AT_ONCE])

    def _programs(self, case: Case, settled: Mapping[Place, Outcome]) -> Steps:
        """Yields what becomes of capture and quantization; returns the programs."""
        programs: list[Program] = []

        def made(precision: str) -> Told:
            if precision == Precision.FLOAT32:
                programs.append(capture(case.model, case.inputs[0]))
                return "right", ""
            one = self._quantized(programs[0], case, precision)
            programs.extend([one] if one.quant else [])
            return "right", ""

        others = tuple(p for p in self._precisions if p != Precision.FLOAT32)
        if case.between:
            others = tuple(p for p in others if p == Precision.INT8)
        for precision in (Precision.FLOAT32.value, *others):
            place = Place(case.operator, case.sample, CAPTURE, precision)
            if settled.get(place, "right") == "right":
                known = place in settled
                yield from _told(place, partial(made, precision), known=known)
            if not programs:
                return []
        unwanted = case.between or Precision.FLOAT32 not in self._precisions
        return programs[1:] if unwanted else programs

    def _quantized(self, program: Program, case: Case, precision: str) -> Program:
        data = list(case.inputs) if precision == Precision.INT8 else None
        bits = self._target.quantization.weight_bits
        return quantize(program, data, precision=precision, weight_bits=bits)

    def _supported(self, one: Specimen) -> Told:
        """Refuses what the backend cannot run."""
        lowered = self._backends[one.place.backend].lower(one.program, self._target)
        require_supported(lowered.support)
        return "right", ""

    def _alone(self, one: Specimen) -> Told:
        results = self._results(one.program, one.case, one.place.backend)
        return self._verdict(one, results)

    def _sharing(self, group: Sequence[Specimen]) -> Steps:
        """Yields the results of ``group`` from one build; what is not right there is tried alone."""
        if len(group) == 1:
            yield from _told(group[0].place, partial(self._alone, group[0]))
            return
        yield Attempt(tuple(one.place for one in group))
        start = time.perf_counter()
        try:
            shared = self._together(group)
        except Exception:  # noqa: BLE001 (its halves say whose it is)
            for half in (group[: len(group) // 2], group[len(group) // 2 :]):
                yield from self._sharing(half)
            return
        share = (time.perf_counter() - start) / len(group)
        for one, results in zip(group, shared, strict=True):
            told = _result(one.place, partial(self._verdict, one, results))
            if told.outcome == "right":
                yield msgspec.structs.replace(told, seconds=round(told.seconds + share, 3))
            else:
                yield from self._sharing([one])

    def _together(self, group: Sequence[Specimen]) -> list[list[Arrays]]:
        """Returns the results of each specimen, from one model that holds all of them."""
        case = side_by_side([one.case for one in group])
        place = group[0].place
        program = capture(case.model, case.inputs[0])
        if place.precision != Precision.FLOAT32:
            program = self._quantized(program, case, place.precision)
        results = self._results(program, case, place.backend)
        shares, first = [], 0
        for one in group:
            last = first + len(one.case.expected[0])
            shares.append([row[first:last] for row in results])
            first = last
        return shares

    def _results(self, program: Program, case: Case, backend: str) -> list[Arrays]:
        """Returns what the artefact makes of each input."""
        one = build(
            program,
            self._target,
            self._backends[backend],
            options=CompileOptions(threads=1),
        )
        try:
            if one.runner is None:
                raise CompileError(f"it does not load: {one.not_here}")
            return run_all(one.runner, [arrays(tensors) for tensors in case.inputs])
        finally:
            one.close()

    def _verdict(self, one: Specimen, results: Sequence[Arrays]) -> Told:
        backend = self._backends[one.place.backend]
        specified = specified_program(one.program, self._target, backend)
        return verdict(one.case, one.program, specified, results)


def _told(
    place: Place, act: Callable[[], Told], *, known: bool = False, quiet: bool = False
) -> Steps:
    """Yields the attempt, and the result of ``act``, whatever it raises; returns whether it was right.

    Args:
        place: Where it is.
        act: What is tried.
        known: Whether the result has been told before.
        quiet: Whether to tell of it only where it is not right.
    """
    yield Attempt((place,))
    result = _result(place, act)
    if not known and not (quiet and result.outcome == "right"):
        yield result
    return result.outcome == "right"


def _result(place: Place, act: Callable[[], Told]) -> Result:
    start = time.perf_counter()
    try:
        outcome, detail = act()
    except (CompileError, ProgramError) as error:
        # A toolchain failed on what its backend said it supports, or a step broke a rule of ours.
        outcome, detail = "error", f"{type(error).__name__}: {error}"
    except EdgeoptError as error:
        outcome, detail = "refused", f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 (what is looked for)
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{at.filename.rpartition('/')[2]}:{at.lineno}"
        outcome, detail = "error", f"{type(error).__name__}: {error} ({where})"
    seconds = round(time.perf_counter() - start, 3)
    return place.result(outcome, " ".join(detail.split())[:600], seconds)
