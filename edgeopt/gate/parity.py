"""Parity: does the artefact compute what the reference simulation of its program computes?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgeopt.gate.metrics import Likeness, LikenessMeter
from edgeopt.options import ParityLimits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.contracts import Progress, Runner, Signature
    from edgeopt.gate.metrics import Arrays
    from edgeopt.ir import Program

__all__ = [
    "DeclaredChange",
    "Parity",
    "check_parity",
    "compare_outputs",
    "output_steps",
    "run_all",
]

PERTURBATIONS = 32
"""How often the reference is run with other last bits on a doubtful sample. The sample is the worst
of a hundred or two, so what happened to the artefact there may be a rare event, and must be given
the chance to happen to the reference."""

FARTHER = 4.0
"""How many times as far from the reference as the farthest of `PERTURBATIONS` runs of itself, in terms of
1 - cosine, an undecided sample may be: twice in amplitude."""


class DeclaredChange(msgspec.Struct, frozen=True):
    """What target passes change on purpose.

    Attributes:
        passes: Their names.
        what: What they change, in their words.
        snr_db: Signal-to-noise ratio of the worst output with them beside without, in dB.
        min_snr_db: What they declare at least.
    """

    passes: tuple[str, ...]
    what: str
    snr_db: float
    min_snr_db: float


class Parity(msgspec.Struct, frozen=True):
    """How near an artefact is to the reference.

    Attributes:
        outputs: One entry for each output.
        samples: Number of inputs compared.
        inputs: What the inputs were, for example ``calibration samples``.
        limits: What was asked for.
        where: What ran the artefact, for example ``tflite on this machine``.
        inconclusive: Number of samples below ``min_cosine_sample`` that are not held against the
            artefact: the reference is as far from itself there when the last bits of its float
            operators change. They count in the mean all the same.
        declared: What target passes change on purpose; None where all keep the numbers. The
            reference is the program with these changes, and before all other target passes.
    """

    outputs: tuple[Likeness, ...]
    samples: int
    inputs: str
    limits: ParityLimits = ParityLimits()
    where: str = "this machine"
    inconclusive: int = 0
    declared: DeclaredChange | None = None

    @property
    def ok(self) -> bool:
        """Whether every output is near enough."""
        return not self.reasons

    @property
    def argmax(self) -> float | None:
        """Least share of rows that name the same class, over the outputs that name one."""
        shares = [o.argmax for o in self.outputs if o.argmax is not None]
        return min(shares, default=None)

    @property
    def cosine(self) -> float:
        """Least mean cosine over the outputs."""
        return min((o.cosine_mean for o in self.outputs), default=1.0)

    @property
    def max_error_steps(self) -> float | None:
        """Largest difference in steps of an output's grid; None where no output has one."""
        steps = [o.max_error_steps for o in self.outputs if o.max_error_steps is not None]
        return max(steps, default=None)

    @property
    def reasons(self) -> tuple[str, ...]:
        """What is not near enough; empty where all is well."""
        beyond = _beyond(self.declared)
        return (*beyond, *(r for o in self.outputs for r in _shortfalls(o, self.limits)))

    def __str__(self) -> str:
        parts = [f"cosine {self.cosine:.6f}"]
        if self.argmax is not None:
            parts.append(f"argmax equal {100 * self.argmax:.1f} %")
        if self.max_error_steps is not None:
            parts.append(f"at most {self.max_error_steps:.0f} steps off")
        if self.inconclusive:
            parts.append(f"{self.inconclusive} undecided")
        if self.declared is not None:
            parts.append(f"{self.declared.what}: {self.declared.snr_db:.1f} dB")
        return f"{', '.join(parts)} ({self.samples} {self.inputs}, {self.where})"


def _beyond(declared: DeclaredChange | None) -> list[str]:
    if declared is None or declared.snr_db >= declared.min_snr_db:
        return []
    names = ", ".join(declared.passes)
    return [f"{names}: {declared.snr_db:.1f} dB left, declared {declared.min_snr_db:.1f}"]


def _shortfalls(o: Likeness, limits: ParityLimits) -> list[str]:
    reasons = []
    if o.argmax is not None and o.argmax + o.near_ties < limits.min_argmax:
        share = f"{100 * o.argmax:.1f} %, asked {100 * limits.min_argmax:.1f} %"
        reasons.append(f"{o.output}: same class in {share}")
    if o.off_grid < 1.0 and o.cosine_mean < limits.min_cosine:
        reasons.append(f"{o.output}: mean cosine {o.cosine_mean:.6f}, asked {limits.min_cosine}")
    within = o.max_error_steps is not None and o.max_error_steps <= 1.001  # noqa: PLR2004
    if o.snr_db < limits.min_snr_db and not within:
        reasons.append(f"{o.output}: {o.snr_db:.1f} dB, asked {limits.min_snr_db:g} dB")
    if o.off_grid < limits.min_cosine_sample:
        limit = limits.min_cosine_sample
        reasons.append(f"{o.output}: a sample with cosine {o.off_grid:.6f}, asked {limit}")
    return reasons


def check_parity(  # noqa: PLR0913 (what is compared, and how it is called in reports)
    runner: Runner,
    program: Program,
    samples: Sequence[Arrays],
    reference: Sequence[Arrays],
    *,
    inputs: str = "samples",
    where: str = "this machine",
    limits: ParityLimits | None = None,
    progress: Progress | None = None,
) -> Parity:
    """Returns how near ``runner`` is to the reference's outputs.

    Args:
        runner: The artefact, loaded.
        program: The program it was made from; its output grids give the unit of differences.
        samples: Inputs, one tuple of arrays each.
        reference: The reference's outputs for them.
        inputs: What the samples are, for the report.
        where: What runs the artefact, for the report.
        limits: What is asked for.
        progress: Told how many samples are done.
    """
    actual = run_all(runner, samples, stage="parity", progress=progress)
    limits = limits or ParityLimits()
    outputs = compare_outputs(program.signature, reference, actual, output_steps(program))
    if all(o.off_grid >= limits.min_cosine_sample for o in outputs):
        return Parity(outputs, len(samples), inputs, limits, where)
    bench = _Bench(program, samples, reference, actual)
    inconclusive = bench.inconclusive(limits)
    cosines = [near for i, near in enumerate(bench.off_grid) if i not in inconclusive]
    outputs = tuple(
        msgspec.structs.replace(o, off_grid=min((near[at] for near in cosines), default=1.0))
        for at, o in enumerate(outputs)
    )
    return Parity(outputs, len(samples), inputs, limits, where, len(inconclusive))


class _Bench:
    """Looks at single samples of a comparison.

    Attributes:
        off_grid: For each sample the cosine of each output; 1 where it is within a step.
    """

    def __init__(
        self,
        program: Program,
        samples: Sequence[Arrays],
        reference: Sequence[Arrays],
        got: Sequence[Arrays],
    ) -> None:
        self._program = program
        self._samples = samples
        self._reference = reference
        self._steps = output_steps(program)
        self.off_grid = [self._compared(at, outputs) for at, outputs in enumerate(got)]

    def inconclusive(self, limits: ParityLimits) -> set[int]:
        """Returns the samples that fall short where the reference does beside itself, too.

        Empty where there are more than few: then the artefact is to blame, or the model is so
        ill-conditioned that nobody can tell.
        """
        low = [
            at
            for at, near in enumerate(self.off_grid)
            if min(near, default=1.0) < limits.min_cosine_sample
        ]
        if len(low) > max(1, limits.max_inconclusive * len(self._samples)):
            return set()
        return {at for at in low if self._is_inconclusive(at)}

    def _is_inconclusive(self, at: int) -> bool:
        from edgeopt.gate.perturbed_reference import perturbed_outputs  # noqa: PLC0415 (needs torch; rare)

        runs = perturbed_outputs(self._program, self._samples[at], PERTURBATIONS)
        spread = [self._compared(at, run) for run in runs]
        return all(
            1 - near <= FARTHER * (1 - min(row[place] for row in spread))
            for place, near in enumerate(self.off_grid[at])
        )

    def _compared(self, at: int, outputs: Arrays) -> list[float]:
        likenesses = compare_outputs(
            self._program.signature, [self._reference[at]], [outputs], self._steps
        )
        return [one.off_grid for one in likenesses]


def run_all(
    runner: Runner,
    samples: Sequence[Arrays],
    *,
    stage: str = "run",
    progress: Progress | None = None,
) -> list[Arrays]:
    """Returns the runner's outputs for each sample, always as tuples."""
    outputs = []
    for done, sample in enumerate(samples, 1):
        result = runner(*sample)
        outputs.append(result if isinstance(result, tuple) else (result,))
        if progress is not None:
            progress(stage, done, len(samples))
    return outputs


def compare_outputs(
    signature: Signature,
    reference: Sequence[Arrays],
    got: Sequence[Arrays],
    steps: Sequence[float | None] | None = None,
) -> tuple[Likeness, ...]:
    """Returns the likeness of each output over all samples."""
    units = steps or [None] * len(signature.outputs)
    meters = [LikenessMeter(s.name, step) for s, step in zip(signature.outputs, units, strict=True)]
    for expected, have in zip(reference, got, strict=True):
        for meter, a, b in zip(meters, expected, have, strict=True):
            meter.add(a, b)
    return tuple(meter.likeness() for meter in meters)


def output_steps(program: Program) -> list[float | None]:
    """Returns the step of each output's grid, None for an output in float."""
    specs = [program.quant.get(name) for name in program.output_names]
    return [float(s.scale[0]) if s is not None and not s.storage.floating else None for s in specs]
