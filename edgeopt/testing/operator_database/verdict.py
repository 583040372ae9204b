"""What a program's results are beside torch's: right, refused by the gate, or wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgeopt.contracts.storage import Precision
from edgeopt.gate.fidelity import output_fidelity
from edgeopt.gate.metrics import snr_db
from edgeopt.gate.parity import check_parity, compare_outputs, run_all
from edgeopt.ir import ReferenceRunner

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from edgeopt.gate.metrics import Arrays
    from edgeopt.ir import Program
    from edgeopt.testing.operator_database.results import Outcome
    from edgeopt.testing.operator_database.samples import Case

__all__ = ["arrays", "verdict"]

FLOAT_ERROR = 1e-4
"""Largest error of a float result, as a share of the largest of the results: what an approximation
of exp or erf and another order of summation may cost."""
TINY = 1e-6
LEAST_DB = 10.0
"""Where quantization left less than this of an output of real numbers, the gate must say so; it counts
the others, and says so below 99 % (docs/gate.md)."""


def verdict(
    case: Case, program: Program, specified: Program, results: Sequence[Arrays]
) -> tuple[Outcome, str]:
    """Returns the outcome, and what was wrong.

    Args:
        case: What torch makes of each input.
        program: The case's, in the precision that was compiled.
        specified: The program after the target passes that change numbers: what the artefact has to compute.
        results: What the artefact made of each input.
    """
    samples = [arrays(tensors) for tensors in case.inputs]
    expected = [arrays(tensors) for tensors in case.expected]
    if program.precision == Precision.FLOAT32:
        far = _far(expected, results)
        return ("wrong", far) if far else ("right", "")
    unlike = _unlike(expected[0], results[0])
    if unlike:
        return "wrong", unlike
    reference = run_all(ReferenceRunner(specified), samples)
    parity = check_parity(_Replay(results), specified, samples, reference)
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
        """Says nothing of itself."""
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
        if not spec.dtype.startswith("float"):
            continue
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


def arrays(tensors: tuple[torch.Tensor, ...]) -> Arrays:
    """Returns tensors as arrays."""
    return tuple(t.numpy() for t in tensors)
