"""What is deployed: a program in one precision, made of one source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgeopt.contracts.storage import Precision
from edgeopt.deployment.build import quantized
from edgeopt.deployment.fallbacks import SENSITIVITY_SAMPLES, SENSITIVITY_TRIES
from edgeopt.gate.sensitivity import sensitive_values
from edgeopt.gate.weight_sensitivity import sensitive_weights
from edgeopt.progress import progress_to, report_progress, silent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeopt.data.dataset import Dataset
    from edgeopt.gate.sensitivity import Sensitivity
    from edgeopt.ir import Program

__all__ = ["Candidate", "Source"]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A program that may be deployed: it is compiled, checked, and taken or not.

    Attributes:
        program: The compressed program, the same for every target.
        precision: Its precision.
        settings: With which it was quantized; empty where it was not.
    """

    program: Program
    precision: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Source:
    """What candidates are made of: the model's program, or what a recipe or pruning made of it.

    Attributes:
        program: In canonical form; where it is quantized already, it is the only candidate.
        calibration: Samples to calibrate with.
        others: The program at other shapes, with samples that its ranges must hold for too.
    """

    program: Program
    calibration: Dataset
    others: Sequence[tuple[Program, Dataset]] = ()
    _programs: dict[str, Program] = field(default_factory=dict, repr=False)

    @property
    def is_quantized(self) -> bool:
        """Whether the program is deployed as it is."""
        return self.program.precision != Precision.FLOAT32

    def candidate(self, precision: str, settings: Mapping[str, Any]) -> Candidate:
        """Returns the source in ``precision``: quantized once, however many backends compile it.

        Args:
            precision: The precision.
            settings: Fields of a `QuantizationConfig`.

        Raises:
            EdgeoptError: As `edgeopt.quantization.quantize_program`.
        """
        if self.is_quantized:
            return Candidate(self.program, self.program.precision, {})
        key = repr(sorted(settings.items()))
        if key not in self._programs:
            self._programs[key] = self._quantized(settings)
        return Candidate(self._programs[key], precision, settings)

    def _quantized(self, settings: Mapping[str, Any]) -> Program:
        return quantized(self.program, self.calibration, settings, self.others)

    def sensitivities(self, candidate: Candidate) -> tuple[Sensitivity, ...]:
        """Returns the values whose rounding harms ``candidate`` most, the worst first.

        None are known where the candidate is neither in int8 nor of few bits, or came as it is, or was not calibrated.
        """
        if Precision(candidate.precision).weight_type.is_packed and not self.is_quantized:
            samples = self.calibration[:SENSITIVITY_SAMPLES]
            return sensitive_weights(self.program, candidate.program, samples) if samples else ()
        if candidate.precision != Precision.INT8 or self.is_quantized or not len(self.calibration):
            return ()
        report_progress("find what does harm", 0, 1)
        rescale = {**candidate.settings, "keep_float": ["*"]}  # rescaled as it was, not rounded
        with progress_to(silent):
            rescaled = self._quantized(rescale)
        samples = self.calibration[:SENSITIVITY_SAMPLES]
        sensitivities = sensitive_values(
            rescaled, candidate.program, samples, limit=SENSITIVITY_TRIES, try_out=SENSITIVITY_TRIES
        )
        report_progress("find what does harm", 1, 1)
        return sensitivities
