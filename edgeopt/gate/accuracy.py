"""Accuracy against the float model, or where nobody can tell accuracy: agreement with it."""

from __future__ import annotations

import math
import traceback
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from edgeopt.errors import EdgeoptError, InputError
from edgeopt.gate.fidelity import Fidelity, output_fidelity
from edgeopt.gate.metrics import Likeness
from edgeopt.gate.parity import compare_outputs
from edgeopt.gate.scores import ScoreError
from edgeopt.gate.turns import Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from edgeopt.contracts import Signature
    from edgeopt.gate.metrics import Arrays
    from edgeopt.options import FidelityLimits

__all__ = ["RAISED", "Accuracy", "check_accuracy", "check_agreement", "score"]


RAISED = "evaluate raised this"
"""Begins the note on an exception of a user's ``evaluate``."""


LEAST_SHARE = 1e-3
"""A drop of a smaller share of a score that counts to 100 is hardly what was meant."""


class Accuracy(msgspec.Struct, frozen=True):
    """How the artefact compares with the float model.

    Attributes:
        kind: ``accuracy`` where the user's ``evaluate`` gave both scores; ``agreement`` where the
            outputs were compared on samples, which says nothing about which of the two is right.
        value: The artefact's score; for agreement 1 less the largest loss of an output (see
            `edgeopt.gate.fidelity.Fidelity`): of class scores the share of rows that name another
            class, else the energy of the error over that of the signal. None where nothing was
            compared.
        float_value: The float model's score; for agreement 1.
        max_drop: How far ``value`` may lie below ``float_value``; None where nothing was asked.
        outputs: Likeness of each output on the samples, where there were any.
        samples: Number of samples compared for ``outputs``.
        inputs: What the samples were.
        fidelity: How much is left of each output.
        scores: Softmaxes whose scores rounding moves by as much as they tell apart: their outputs
            may be right on all samples and another on the next.
        turns: Comparisons that may turn on the next sample.
    """

    kind: Literal["accuracy", "agreement"]
    value: float | None
    float_value: float | None
    max_drop: float | None = None
    outputs: tuple[Likeness, ...] = ()
    samples: int = 0
    inputs: str = ""
    fidelity: tuple[Fidelity, ...] = ()
    scores: tuple[ScoreError, ...] = ()
    turns: tuple[Turn, ...] = ()

    @property
    def drop(self) -> float | None:
        """How far the artefact lies below the float model; negative where it is better.

        For agreement: the largest loss of an output. Where that is the share of samples that name
        another class, accuracy cannot have dropped by more on the same samples.
        """
        if self.value is None or self.float_value is None:
            return None
        return self.float_value - self.value

    @property
    def ok(self) -> bool:
        """Whether the drop is within ``max_drop`` and nothing falls short of the least fidelity."""
        return self.within and not self.faults

    @property
    def within(self) -> bool:
        """Whether the drop is within ``max_drop``; True where nothing was asked."""
        if self.max_drop is None:
            return True
        return self.drop is not None and self.drop <= self.max_drop + 1e-12

    @property
    def unit_doubt(self) -> str:
        """Why ``max_drop`` may be meant in another unit than the score's, where that is in percent; empty where not."""
        score, limit = self.float_value, self.max_drop
        if self.kind != "accuracy" or not score or not limit or not 1 < score <= 100:  # noqa: PLR2004
            return ""
        if limit >= LEAST_SHARE * score:
            return ""
        asked = f"max_drop {limit:g} is in the unit of the score, which is {score:.4g}"
        return f"{asked}; where that counts to 100, one point is max_drop=1"

    @property
    def faults(self) -> tuple[str, ...]:
        """What fails for too little of it being left; nothing where ``evaluate`` judges."""
        if self.kind == "accuracy":
            return ()
        return tuple(s.what for f in self.fidelity for s in f.shortfalls if s.grave)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is warned of for little of it being left."""
        every = [s for f in self.fidelity for s in f.shortfalls]
        return tuple(s.what for s in every if self.kind == "accuracy" or not s.grave)

    @property
    def failure(self) -> str:
        """Why it is not ok; empty where it is."""
        unit = f" ({self.unit_doubt})" if self.unit_doubt else ""
        drop = [] if self.within else [f"outside max_drop {self.max_drop:g}{unit}"]
        lost = [f"too little is left of {'; '.join(self.faults)}"] if self.faults else []
        return " and ".join([*drop, *lost])

    @property
    def snr_db(self) -> float | None:
        """Least signal-to-noise ratio of an output against float, in dB."""
        return min((o.snr_db for o in self.outputs), default=None)

    @property
    def cosine(self) -> float | None:
        """Least mean cosine of an output against float."""
        return min((o.cosine_mean for o in self.outputs), default=None)

    def __str__(self) -> str:
        parts = []
        if self.kind == "accuracy":
            parts.append(f"{self.value:.4f}, float {self.float_value:.4f}, drop {self.drop:+.4f}")
        else:
            parts += [_agreement(one) for one in self.fidelity]
        if self.outputs:
            parts.append(f"SNR {self.snr_db:.1f} dB, cosine {self.cosine:.5f}")
            parts.append(f"on {self.samples} {self.inputs}")
        return ", ".join(parts)


def check_accuracy(
    evaluate: Callable[[Callable[..., Any]], float],
    function: Callable[..., Any],
    *,
    float_value: float,
    max_drop: float | None = None,
    agreement: Accuracy | None = None,
) -> Accuracy:
    """Returns the accuracy of ``function`` as the user's ``evaluate`` measures it.

    Args:
        evaluate: Takes a function that is called as the model is; returns a score, higher better.
        function: The artefact (`edgeopt.gate.calling.as_model`).
        float_value: The float model's score, by the same ``evaluate``.
        max_drop: How far the score may lie below it.
        agreement: Likeness of the outputs, to report beside the scores.

    Raises:
        InputError: ``evaluate`` did not return a finite number.
    """
    beside = agreement or Accuracy("agreement", None, None)
    if max_drop is not None and max_drop > 1 >= float_value > 0:
        what = f"{max_drop:g} is more than the float model's score, {float_value:.4g}: nothing could fail"
        hint = f"it is in the unit of the score: {max_drop / 100:g} for {max_drop:g} points of 100"
        raise InputError(what, where="max_drop", hint=hint)
    return Accuracy(
        kind="accuracy",
        value=score(evaluate, function),
        float_value=float_value,
        max_drop=max_drop,
        outputs=beside.outputs,
        samples=beside.samples,
        inputs=beside.inputs,
        fidelity=beside.fidelity,
    )


def check_agreement(  # noqa: PLR0913 (what is compared, and what is known of it)
    signature: Signature,
    reference: Sequence[Arrays],
    got: Sequence[Arrays],
    *,
    max_drop: float | None = None,
    inputs: str = "samples",
    limits: FidelityLimits | None = None,
    values: Collection[str] = (),
) -> Accuracy:
    """Returns how far the artefact's outputs agree with the float model's.

    Args:
        signature: Names the outputs.
        reference: The float model's outputs, one tuple a sample.
        got: The artefact's.
        max_drop: Greatest loss of an output: of class scores the share of samples that may name
            another class, of other values the energy of the error over that of the signal.
        inputs: What the samples are, for the report.
        limits: How much of each output must be left.
        values: Outputs that are no scores of classes (`edgeopt.gate.values`).
    """
    outputs = compare_outputs(signature, reference, got, values=values)
    fidelity = output_fidelity(signature, reference, got, [o.argmax for o in outputs], limits)
    value = 1.0 - max((one.loss for one in fidelity), default=0.0) if reference else None
    return Accuracy(
        kind="agreement",
        value=value,
        float_value=None if value is None else 1.0,
        max_drop=max_drop,
        outputs=outputs,
        samples=len(reference),
        inputs=inputs,
        fidelity=fidelity,
    )


def _number(result: Any) -> float:
    """Returns the score; a tensor or an array of one element is one.

    Raises:
        InputError: It is no number.
    """
    try:
        if isinstance(result, (bool, str, bytes)):
            raise TypeError
        return float(result)
    except (TypeError, ValueError, RuntimeError) as error:
        shape = f" of shape {tuple(result.shape)}" if hasattr(result, "shape") else ""
        raise InputError(
            f"it returned a {type(result).__name__}{shape}, not a number",
            where="evaluate",
            hint="return one float, higher is better, for example the share of right answers",
        ) from error


def _place(error: Exception) -> str:
    """Returns where a user's function raised."""
    rows = traceback.extract_tb(error.__traceback__)
    return f", {rows[-1].filename}:{rows[-1].lineno}" if rows else ""


def _agreement(one: Fidelity) -> str:
    if one.measure == "class":
        return f"same class as float in {100 * (1 - one.loss):.1f} %"
    return str(one)


def score(evaluate: Callable[[Callable[..., Any]], float], function: Callable[..., Any]) -> float:
    """Returns what ``evaluate`` says of ``function``.

    Raises:
        InputError: It never called the function, or returned no finite number.
    """
    before = getattr(function, "calls", None)
    try:
        result = evaluate(function)
    except EdgeoptError:
        raise
    except Exception as error:
        error.add_note(f"{RAISED}{_place(error)}")  # it stays what the user's function raised
        raise
    if before is not None and function.calls == before:  # type: ignore[attr-defined]
        raise InputError(
            "it never called what it was given: it says the same of every model",
            where="evaluate",
            hint="call its argument as the model is called, and score what comes back: "
            "evaluate(fn) is not given the model",
        )
    value = _number(result)
    if not math.isfinite(value):
        raise InputError(f"it returned {value}", where="evaluate", hint="return a finite number")
    return value
