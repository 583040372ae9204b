"""Parity: does the artefact compute what the reference simulation of its program computes?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from edgeopt.contracts.storage import Precision
from edgeopt.gate.exactness import Exactness, check_exactness
from edgeopt.gate.float_program import float_program
from edgeopt.gate.last_bits import shaken_outputs
from edgeopt.gate.metrics import Likeness, LikenessMeter
from edgeopt.ir import ReferenceRunner
from edgeopt.ir.kernel_kind import kernel_kinds
from edgeopt.options import ParityLimits
from edgeopt.progress import report_progress

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edgeopt.contracts import Backend, Runner, Signature, Target
    from edgeopt.gate.metrics import Arrays
    from edgeopt.ir import Program

__all__ = [
    "DeclaredChange",
    "OutputNoise",
    "Parity",
    "check_parity",
    "compare_outputs",
    "has_last_bits",
    "output_steps",
    "run_all",
    "with_operators",
]

ALIKE = 3
"""Operators that differ in constants and parameters alone, of which so many are run alone."""

OPERATOR_SAMPLES = 2
"""Inputs on which each operator is run alone."""

LAST_BITS_DB = 3.0
"""How much farther off than noise in its last bits moves it an output may be, for that to be the reason."""

SHOWN = 3
"""Wrong operators that a reason names."""


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


class OutputNoise(msgspec.Struct, frozen=True):
    """What an output of a quantized program differs by, and from what, as ratios in dB.

    Attributes:
        output: Its name.
        parity_db: The artefact beside the reference.
        quantization_db: The reference beside the program without any rounding.
        artifact_db: The artefact beside that.
    """

    output: str
    parity_db: float
    quantization_db: float
    artifact_db: float

    def __str__(self) -> str:
        return f"parity noise {self.parity_db:.1f} dB beside {self.quantization_db:.1f} of quantization"


class Parity(msgspec.Struct, frozen=True):
    """How near an artefact is to the reference.

    Attributes:
        outputs: One entry for each output.
        samples: Number of inputs compared.
        inputs: What the inputs were, for example ``calibration samples``.
        limits: What was asked for.
        where: What ran the artefact, for example ``tflite on this machine``.
        noise: Of each output of a quantized program, what rounding itself costs; empty for others.
        operators: Each operator alone; None where the outputs alone say enough.
        declared: What target passes change on purpose; None where all keep the numbers. The
            reference is the program with these changes, and before all other target passes.
        last_bits_db: Output name to the ratio that is left of the reference itself with noise in its last
            bits, in dB; of outputs that fall short.
    """

    outputs: tuple[Likeness, ...]
    samples: int
    inputs: str
    limits: ParityLimits = ParityLimits()
    where: str = "this machine"
    noise: tuple[OutputNoise, ...] = ()
    operators: Exactness | None = None
    declared: DeclaredChange | None = None
    last_bits_db: dict[str, float] = {}

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
    def is_within_noise(self) -> bool:
        """Whether outputs alone cannot tell a wrong operator from last bits that a rounding enlarges.

        They differ by more than is asked, but by less than rounding itself costs or than last bits move the
        reference, and are as near the real numbers as it is: then each operator must be looked at alone
        (`with_operators`).
        """
        return bool(self._short) and all(self._is_below_noise(o) for o in self._short)

    @property
    def is_excused(self) -> bool:
        """Whether outputs that differ by more than is asked do so by last bits alone."""
        return self.is_within_noise and self.operators is not None and self.operators.ok

    @property
    def near_noise(self) -> tuple[str, ...]:
        """Outputs whose parity noise is not well below their quantization noise."""
        if not self.is_excused:
            return ()
        margin = self.limits.warn_margin_db
        named = {n.output: n for n in self.noise}
        return tuple(
            _beside(o, named[o.output])
            for o in self._short
            if o.snr_db < named[o.output].quantization_db + margin
        )

    @property
    def reasons(self) -> tuple[str, ...]:
        """What is not near enough; empty where all is well."""
        beyond = _beyond(self.declared)
        if self.is_excused:
            return beyond
        shortfalls = [r for o in self.outputs for r in _shortfalls(o, self.limits)]
        named = {n.output: n for n in self.noise}
        shortfalls += [_beside(o, named[o.output]) for o in self._short if o.output in named]
        if self.operators is not None:
            shortfalls += [f"not as the reference: {one}" for one in self.operators.faults[:SHOWN]]
        shortfalls += [
            _by_last_bits(name, self.last_bits_db[name]) for name in self.hangs_on_last_bits
        ]
        return (*beyond, *shortfalls)

    @property
    def hangs_on_last_bits(self) -> tuple[str, ...]:
        """Outputs that fall short and that the reference itself cannot keep (`edgeopt.gate.last_bits`)."""
        short = {o.output: o.snr_db for o in self._short}
        return tuple(n for n, db in self.last_bits_db.items() if db <= short[n] + LAST_BITS_DB)

    @property
    def short(self) -> tuple[str, ...]:
        """Outputs that differ by more than is asked, whatever excuses that."""
        return tuple(o.output for o in self._short)

    @property
    def _short(self) -> list[Likeness]:
        return [o for o in self.outputs if _shortfalls(o, self.limits)]

    def _is_below_noise(self, o: Likeness) -> bool:
        noise = next((n for n in self.noise if n.output == o.output), None)
        if noise is None:
            return False
        explained_db = min(
            noise.quantization_db, self.last_bits_db.get(o.output, math.inf) - LAST_BITS_DB
        )
        costs = noise.quantization_db - noise.artifact_db
        return o.snr_db >= explained_db and costs <= self.limits.max_loss_db

    def __str__(self) -> str:
        parts = [f"cosine {self.cosine:.6f}"]
        if self.argmax is not None:
            parts.append(f"argmax equal {100 * self.argmax:.1f} %")
        if self.max_error_steps is not None:
            parts.append(f"at most {self.max_error_steps:.0f} steps off")
        if self.noise:
            parts.append(str(self.noise[0]) if len(self.noise) == 1 else str(self._worst_noise))
        if self.operators is not None:
            faults = len(self.operators.faults)
            parts.append(f"{len(self.operators.operators)} operators alone, {faults} wrong")
        if self.declared is not None:
            parts.append(f"{self.declared.what}: {self.declared.snr_db:.1f} dB")
        return f"{', '.join(parts)} ({self.samples} {self.inputs}, {self.where})"

    @property
    def _worst_noise(self) -> OutputNoise:
        return min(self.noise, key=lambda n: n.parity_db - n.quantization_db)


def _beyond(declared: DeclaredChange | None) -> tuple[str, ...]:
    if declared is None or declared.snr_db >= declared.min_snr_db:
        return ()
    names = ", ".join(declared.passes)
    return (f"{names}: {declared.snr_db:.1f} dB left, declared {declared.min_snr_db:.1f}",)


def _by_last_bits(name: str, left_db: float) -> str:
    return (
        f"{name}: last bits decide it, of the reference {left_db:.1f} dB are left with noise in them: "
        "the model compares or rounds numbers that lie where the answer jumps, or answers what is left where they cancel"
    )


def _beside(o: Likeness, noise: OutputNoise) -> str:
    return f"{o.output}: {noise}"


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
    unrounded: Sequence[Arrays] | None = None,
    values: Collection[str] = (),
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
        unrounded: What `edgeopt.gate.float_program` of ``program`` makes of the inputs, where that is known.
        values: Outputs that are no scores of classes (`edgeopt.gate.values`).
    """
    actual = run_all(runner, samples, stage="parity")
    outputs = compare_outputs(program.signature, reference, actual, output_steps(program), values)
    noise: tuple[OutputNoise, ...] = ()
    if has_last_bits(program):
        if unrounded is None:
            unrounded = run_all(ReferenceRunner(float_program(program)), samples)
        noise = _noise(program, unrounded, reference, actual, outputs)
    parity = Parity(outputs, len(samples), inputs, limits or ParityLimits(), where, noise)
    short = parity.short
    if not short:
        return parity
    shaken = compare_outputs(program.signature, reference, shaken_outputs(program, samples))
    left = {o.output: o.snr_db for o in shaken if o.output in short}
    return msgspec.structs.replace(parity, last_bits_db=left)


def _noise(
    program: Program,
    unrounded: Sequence[Arrays],
    reference: Sequence[Arrays],
    actual: Sequence[Arrays],
    outputs: Sequence[Likeness],
) -> tuple[OutputNoise, ...]:
    """Returns what rounding costs each float output."""
    rounded = compare_outputs(program.signature, unrounded, reference)
    artifact = compare_outputs(program.signature, unrounded, actual)
    return tuple(
        OutputNoise(o.output, o.snr_db, q.snr_db, a.snr_db)
        for o, q, a, spec in zip(outputs, rounded, artifact, program.signature.outputs, strict=True)
        if spec.dtype.startswith("float")
    )


def has_last_bits(program: Program) -> bool:
    """Whether a quantized program has operators in float, whose last bits a rounding may enlarge."""
    if not Precision(program.precision).is_integer:
        return False
    return any(kind.kind == "float" for kind in kernel_kinds(program).values())


def with_operators(
    parity: Parity,
    program: Program,
    backend: Backend,
    target: Target,
    samples: Sequence[Arrays],
) -> Parity:
    """Returns ``parity``, decided: where the outputs alone cannot, each operator is run alone.

    Args:
        parity: Of the artefact that ``backend`` made of ``program``.
        program: Before the backend's target passes.
        backend: What made it.
        target: What it was made for.
        samples: Inputs; the first two are run.
    """
    if not parity.is_within_noise:
        return parity
    operators = check_exactness(program, backend, target, samples[:OPERATOR_SAMPLES], alike=ALIKE)
    return msgspec.structs.replace(parity, operators=operators)


def run_all(runner: Runner, samples: Sequence[Arrays], *, stage: str = "") -> list[Arrays]:
    """Returns the runner's outputs for each sample, always as tuples.

    Args:
        runner: What is run.
        samples: Inputs, one tuple of arrays each.
        stage: As what it is reported how many samples are done; nothing is where it is empty.
    """
    outputs = []
    for done, sample in enumerate(samples, 1):
        result = runner(*sample)
        outputs.append(result if isinstance(result, tuple) else (result,))
        if stage:
            report_progress(stage, done, len(samples))
    return outputs


def compare_outputs(
    signature: Signature,
    reference: Sequence[Arrays],
    got: Sequence[Arrays],
    steps: Sequence[float | None] | None = None,
    values: Collection[str] = (),
) -> tuple[Likeness, ...]:
    """Returns the likeness of each output over all samples; of ``values`` no class is asked for."""
    units = steps or [None] * len(signature.outputs)
    meters = [
        LikenessMeter(spec.name, step, by_class=spec.name not in values)
        for spec, step in zip(signature.outputs, units, strict=True)
    ]
    for expected, have in zip(reference, got, strict=True):
        for meter, a, b in zip(meters, expected, have, strict=True):
            meter.add(a, b)
    return tuple(meter.likeness() for meter in meters)


def output_steps(program: Program) -> list[float | None]:
    """Returns the step of each output's grid, None for an output in float."""
    specs = [program.quant.get(name) for name in program.output_names]
    return [float(s.scale[0]) if s is not None and not s.storage.floating else None for s in specs]
