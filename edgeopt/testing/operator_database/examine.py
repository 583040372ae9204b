"""What becomes of one model: right, refused in words, wrong, or an error that nobody wrote."""

from __future__ import annotations

import contextlib
import importlib
import time
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import torch

from edgeopt.api import capture, quantize
from edgeopt.contracts.storage import Precision
from edgeopt.deployment.build import build
from edgeopt.errors import CompileError, EdgeoptError
from edgeopt.gate.fidelity import output_fidelity
from edgeopt.gate.metrics import snr_db
from edgeopt.gate.parity import check_parity, compare_outputs, run_all
from edgeopt.ir import ReferenceRunner
from edgeopt.options import CompileOptions
from edgeopt.registry import find_backend, find_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from edgeopt.deployment.build import Build
    from edgeopt.gate.metrics import Arrays
    from edgeopt.ir import Program
    from edgeopt.testing.operator_database.samples import Case

__all__ = ["BACKENDS", "CAPTURE", "PRECISIONS", "Bench", "Outcome", "Result"]

Outcome = Literal["right", "refused", "wrong", "error"]

BACKENDS = ("reference", "tflite", "openvino", "tvm")
PRECISIONS = ("float32", "int8", "float16")
CAPTURE = "capture"
"""Stands where a backend's name does, for what befalls a model before a backend sees it."""

FLOAT_ERROR = 1e-4
"""Largest error of a float result, as a share of the largest of the results: what an approximation
of exp or erf and another order of summation may cost."""
TINY = 1e-6
LEAST_DB = 10.0
"""Where quantization left less than this of an output, the gate must say so (docs/gate.md)."""


class Result(msgspec.Struct, frozen=True, tag=True):
    """What became of a case.

    Attributes:
        operator: The operator's name.
        sample: Which sample.
        backend: A backend, or `CAPTURE`.
        precision: Which precision.
        outcome: ``right``; ``refused`` by an error of edgeopt's; ``wrong``; ``error``, raised by
            something else, or a crash.
        detail: What was said, or how wrong.
        seconds: What it took.
    """

    operator: str
    sample: str
    backend: str
    precision: str
    outcome: Outcome
    detail: str = ""
    seconds: float = 0.0


class Bench:
    """Puts cases through backends.

    Args:
        backends: Names.
        precisions: Names.
        target: What artefacts are made for; they run on this machine.
    """

    def __init__(
        self,
        backends: Iterable[str] = BACKENDS,
        precisions: Iterable[str] = PRECISIONS,
        target: str = "host",
    ) -> None:
        self._backends = {name: find_backend(name) for name in backends}
        self._precisions = tuple(precisions)
        self._target = find_target(target)

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

    def examine(self, case: Case) -> Iterator[Result]:
        """Yields what becomes of ``case``: one result for each precision and backend.

        A precision in which nothing of the program is stored differently from float32 is left out.
        """
        programs: dict[str, Program] = {}

        def captured() -> tuple[Outcome, str]:
            programs[Precision.FLOAT32.value] = capture(case.model, case.inputs[0])
            return "right", ""

        result = _told(case, CAPTURE, Precision.FLOAT32.value, captured)
        yield result
        if result.outcome != "right":
            return
        for precision in self._precisions:
            if case.between and precision != Precision.INT8:
                continue
            yield from self._in_precision(case, programs[Precision.FLOAT32.value], precision)

    def _in_precision(self, case: Case, source: Program, precision: str) -> Iterator[Result]:
        program = source

        def quantized() -> tuple[Outcome, str]:
            nonlocal program
            data = list(case.inputs) if precision == Precision.INT8 else None
            bits = self._target.quantization.weight_bits
            program = quantize(source, data, precision=precision, weight_bits=bits)
            return "right", ""

        if precision != Precision.FLOAT32:
            result = _told(case, CAPTURE, precision, quantized)
            yield result
            if result.outcome != "right" or not program.quant:
                return
        for backend in self._backends:
            yield _told(case, backend, precision, partial(self._judged, case, program, backend))

    def _judged(self, case: Case, program: Program, backend: str) -> tuple[Outcome, str]:
        options = CompileOptions()
        one = build(program, self._target, self._backends[backend], options=options)
        try:
            if one.runner is None:
                return "error", f"does not load: {one.not_here}"
            return _verdict(case, program, one)
        finally:
            one.close()


def _told(
    case: Case, backend: str, precision: str, act: Callable[[], tuple[Outcome, str]]
) -> Result:
    """Returns the result of ``act``, whatever it raises."""
    start = time.perf_counter()
    try:
        outcome, detail = act()
    except CompileError as error:  # a toolchain failed on what its backend said it supports
        outcome, detail = "error", f"CompileError: {error}"
    except EdgeoptError as error:
        outcome, detail = "refused", f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 (what is looked for)
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename.rpartition('/')[2]}:{place.lineno}"
        outcome, detail = "error", f"{type(error).__name__}: {error} ({where})"
    seconds = round(time.perf_counter() - start, 3)
    return Result(
        case.operator,
        case.sample,
        backend,
        precision,
        outcome,
        " ".join(detail.split())[:400],
        seconds,
    )


def _verdict(case: Case, program: Program, one: Build) -> tuple[Outcome, str]:
    assert one.runner is not None  # noqa: S101 (for the type checker)
    samples = [_arrays(tensors) for tensors in case.inputs]
    expected = [_arrays(tensors) for tensors in case.expected]
    results = run_all(one.runner, samples)
    if program.precision == Precision.FLOAT32:
        far = _far(expected, results)
        return ("wrong", far) if far else ("right", "")
    unlike = _unlike(expected[0], results[0])
    if unlike:
        return "wrong", unlike
    reference = run_all(ReferenceRunner(one.specified), samples)
    parity = check_parity(_Replay(results), one.specified, samples, reference)
    if not parity.ok:
        return "wrong", f"not the reference: {'; '.join(parity.reasons)}"
    return _beside_float(program, expected, results)


class _Replay:
    """A runner that gives what another gave."""

    def __init__(self, results: Sequence[Arrays]) -> None:
        self._results = iter(results)

    def __call__(self, *_: np.ndarray) -> Arrays:
        return next(self._results)

    def facts(self) -> dict[str, Any]:
        """Returns nothing."""
        return {}

    def close(self) -> None:
        """Does nothing."""


def _beside_float(
    program: Program, expected: Sequence[Arrays], results: Sequence[Arrays]
) -> tuple[Outcome, str]:
    """Right where enough is left, ``refused`` where the gate says that it is not."""
    likenesses = compare_outputs(program.signature, expected, results)
    judgements = output_fidelity(
        program.signature, expected, results, [one.argmax for one in likenesses]
    )
    shortfalls = [s.what for one in judgements for s in one.shortfalls]
    if shortfalls:
        return "refused", f"the gate: {'; '.join(shortfalls)}"
    for at, spec in enumerate(program.signature.outputs):
        ratio = _ratio([e[at] for e in expected], [r[at] for r in results])
        if ratio < LEAST_DB:
            return "wrong", f"{spec.name}: {ratio:.1f} dB, and the gate is silent"
    return "right", ""


def _ratio(expected: Sequence[np.ndarray], results: Sequence[np.ndarray]) -> float:
    """Returns signal to noise in dB; where NaN or infinities are not the same ones, the least."""
    want = np.concatenate([e.ravel() for e in expected]).astype(np.float64)
    have = np.concatenate([r.ravel() for r in results]).astype(np.float64)
    finite = np.isfinite(want)
    if not np.array_equal(want[~finite], have[~finite], equal_nan=True):
        return -np.inf
    error = (want - have)[finite]
    if not np.isfinite(error).all():
        return -np.inf
    return snr_db(float(np.square(want[finite]).sum()), float(np.square(error).sum()))


def _far(expected: Sequence[Arrays], results: Sequence[Arrays]) -> str:
    """Returns how far results are from what was expected, nothing where they are near enough."""
    for want_all, have_all in zip(expected, results, strict=True):
        unlike = _unlike(want_all, have_all)
        if unlike:
            return unlike
        for at, (want, have) in enumerate(zip(want_all, have_all, strict=True)):
            far = _different(want, have)
            if far:
                return f"output {at}: {far}"
    return ""


def _unlike(want_all: Arrays, have_all: Arrays) -> str:
    """Returns what is another in number, type or shape."""
    if len(want_all) != len(have_all):
        return f"{len(have_all)} outputs, expected {len(want_all)}"
    for at, (want, have) in enumerate(zip(want_all, have_all, strict=True)):
        if (want.shape, want.dtype) != (have.shape, have.dtype):
            names = [f"{one.dtype}{list(one.shape)}" for one in (have, want)]
            return f"output {at}: {names[0]}, expected {names[1]}"
    return ""


def _different(want: np.ndarray, have: np.ndarray) -> str:
    if want.dtype.kind != "f":
        unequal = int((want != have).sum())
        return f"{unequal} of {want.size} values unequal" if unequal else ""
    finite = np.isfinite(want)
    if not np.array_equal(want[~finite], have[~finite], equal_nan=True):
        return "NaN or infinities are others"
    if not np.isfinite(have[finite]).all():
        return "NaN or infinities where torch has numbers"
    error = float(np.abs(want - have)[finite].max(initial=0.0))
    largest = float(np.abs(want[finite]).max(initial=0.0))
    return f"off by {error:.3g} of {largest:.3g}" if error > FLOAT_ERROR * largest + TINY else ""


def _arrays(tensors: tuple[torch.Tensor, ...]) -> Arrays:
    return tuple(t.numpy() for t in tensors)
