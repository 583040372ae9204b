"""What every candidate is compared with: the float model, its samples, its outputs and its score."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgeopt.errors import CalibrationError, InputError
from edgeopt.gate.accuracy import score
from edgeopt.gate.calling import as_model, float_model
from edgeopt.gate.parity import run_all
from edgeopt.gate.value_statistics import FloatValues
from edgeopt.ir import ReferenceRunner
from edgeopt.progress import report_progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.deployment.samples import Samples
    from edgeopt.gate.metrics import Arrays
    from edgeopt.ir import Program

__all__ = ["Baseline"]

QUICK_S = 3.0
"""How long ``evaluate`` may take of the float model to be asked once more: a long one is never run for a doubt."""


class _Zeros:
    """A runner that answers zeros: what knows nothing."""

    def __init__(self, program: Program) -> None:
        self._specs = program.signature.outputs

    def __call__(self, *_inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(np.zeros(spec.shape, spec.dtype) for spec in self._specs)

    def facts(self) -> dict[str, Any]:
        """Returns nothing."""
        return {}

    def close(self) -> None:
        """Has nothing to release."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """The float model, asked once however many candidates are compared with it.

    Attributes:
        model: What the user passed: a module, an ExportedProgram, or a Program.
        program: The float program; of a quantized one its own weights, without any rounding.
        samples: The inputs to calibrate and to compare on.
        evaluate: The user's function from a model to a score; None where outputs are compared.
        values: What is kept of the float program's values, once its outputs were computed.
    """

    model: Any
    program: Program
    samples: Samples
    evaluate: Callable[[Callable[..., Any]], float] | None = None
    values: FloatValues = field(default_factory=FloatValues)

    @cached_property
    def outputs(self) -> list[Arrays]:
        """The float program's outputs for the samples that are checked on.

        Raises:
            CalibrationError: One of them is no number: nobody can say what is near it.
        """
        runner = ReferenceRunner(self.program, observe=self.values.observe)
        outputs = run_all(runner, self.samples.checks, stage="float")
        for place, spec in enumerate(self.program.signature.outputs):
            odd = [at for at, one in enumerate(outputs) if np.isnan(one[place]).any()]
            if odd and spec.dtype.startswith("float"):
                raise CalibrationError(
                    f"the float model makes NaN of {len(odd)} of {len(outputs)} {self.samples.kind}",
                    where=f"output {spec.name}",
                    hint="look at what makes it (0 / 0, a softmax of a row that is all -inf), "
                    "or leave such samples out",
                )
        return outputs

    @cached_property
    def score(self) -> float:
        """The score of the float model itself, by the user's ``evaluate``.

        Raises:
            InputError: There is no ``evaluate``, or it gives no number.
        """
        return self._timed_score[0]

    @cached_property
    def _timed_score(self) -> tuple[float, float]:
        """The score of the float model, and how many seconds it took."""
        if self.evaluate is None:
            raise InputError("there is no score", where="evaluate", hint="pass evaluate=")
        if self.module is not None:
            function = float_model(self.module)
        else:
            function = as_model(ReferenceRunner(self.program), self.program)
        report_progress("evaluate float", 0, 1)
        started = time.monotonic()
        value = score(self.evaluate, function)
        report_progress("evaluate float", 1, 1)
        return value, time.monotonic() - started

    @cached_property
    def doubt(self) -> str:
        """That the score seems to be a loss: answers that are all zero score higher; empty where it does not.

        Nobody looks where ``evaluate`` is slow (`QUICK_S`).
        """
        if self.evaluate is None or self._timed_score[1] > QUICK_S:
            return ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a division by their length, say
                of_zeros = score(
                    self.evaluate, as_model(_Zeros(self.program), self.program, self.module)
                )
        except Exception:  # noqa: BLE001 (a score may be none for such answers)
            return ""
        if of_zeros <= self.score:
            return ""
        return (
            f"answers that are all zero score {of_zeros:.4g}, the model {self.score:.4g}, and higher is better: "
            "if evaluate returns a loss, return -loss"
        )

    @property
    def module(self) -> torch.nn.Module | None:
        """The float module; None where a program was passed."""
        return self.model if isinstance(self.model, torch.nn.Module) else None
