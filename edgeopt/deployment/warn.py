"""What a person should know of a deployment that passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.contracts.storage import FLOAT16, Precision
from edgeopt.gate.diagnose import float_share
from edgeopt.gate.informative import beyond_half, calibration_doubts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.contracts import Target
    from edgeopt.deployment.build import Build
    from edgeopt.deployment.request import Request
    from edgeopt.deployment.result import Deployment
    from edgeopt.deployment.samples import Samples
    from edgeopt.ir import Program

__all__ = ["collect_warnings", "speed_warnings"]

DROP = 0.01
"""A drop that is warned of where nothing was asked."""

FEW_SAMPLES = 20
NOT_HERE = "parity was not checked here"
MOSTLY_FLOAT = 0.5


def collect_warnings(  # noqa: PLR0913 (what a warning can be of)
    d: Deployment,
    request: Request,
    target: Target,
    made: Build,
    samples: Samples,
    speed_unknown: str = "",
    *,
    float_program: Program,
) -> tuple[str, ...]:
    """Returns the warnings, the gravest first.

    Args:
        d: What is known so far.
        request: What was asked for.
        target: The device.
        made: The build.
        samples: What it was calibrated and checked with.
        speed_unknown: Why the speed could not be measured; empty where it could.
        float_program: The model in float.
    """
    every = (
        _unchecked(made, samples),
        _drop(d),
        _doubts(d),
        _scores(d),
        _near_noise(d),
        speed_warnings(d),
        _calibration(d, samples),
        _rows(d),
        _halves(d, float_program),
        _in_float(d),
        _bits(request, target, d),
    )
    texts = [text for group in every for text in group]
    if speed_unknown and d.precision != Precision.FLOAT32:
        texts.append(f"speed beside float was not measured: {speed_unknown}")
    return tuple(texts)


def _unchecked(made: Build, samples: Samples) -> Iterator[str]:
    if made.runner is None:
        yield f"{NOT_HERE}: {made.not_here}; accuracy is that of the reference simulation"
    elif not samples.checks:
        yield "parity was not checked: no input is known; pass example_inputs"
    elif len(samples.checks) == 1:
        yield "parity was checked on one input only; pass calibration_data"


def _drop(d: Deployment) -> Iterator[str]:
    a = d.accuracy
    if a is not None and a.unit_doubt:
        yield a.unit_doubt
    if a is not None and a.max_drop is None and a.drop is not None and a.drop > DROP:
        if a.kind == "accuracy":
            yield f"the score fell by {a.drop:.4f}; max_drop= makes that fail"
        for one in a.fidelity if a.kind == "agreement" else ():
            if one.measure == "class" and one.loss > DROP:
                yield f"{100 * one.loss:.1f} % of the samples name another class than float does"


def _doubts(d: Deployment) -> Iterator[str]:
    if d.accuracy is not None and d.accuracy.doubts:
        yield f"little is left of {'; '.join(d.accuracy.doubts)}"


def _scores(d: Deployment) -> Iterator[str]:
    """Where ``evaluate`` gives a score, that has seen what turns."""
    if d.accuracy is not None and d.accuracy.kind == "agreement":
        for one in d.accuracy.scores:
            yield f"another one may be the largest on other inputs: {one}"
        yield from (f"a comparison may turn on other inputs: {one}" for one in d.accuracy.turns)


def _near_noise(d: Deployment) -> Iterator[str]:
    for one in () if d.parity is None else d.parity.near_noise:
        yield f"{one}: each operator is as the reference's; the last bits of those in float add up"


def speed_warnings(d: Deployment) -> Iterator[str]:
    """Yields what is to be said of the speed; it changes from run to run."""
    speed = d.speed
    if speed is None:
        return
    sizes = f", at {speed.sizes}" if speed.sizes else ""
    if not speed.ok:
        where = "" if speed.on_target else " on this machine (not the target)"
        ratio = f"{speed.ratio.value:.2f} times the time of float32"
        choice = f"precision='float32' is faster{' and smaller' if speed.is_larger else ''}"
        advice = choice if speed.on_target else f"{choice} here, device= measures on the target"
        yield f"{d.precision} takes {ratio}{where}{sizes}: {'; '.join((*speed.reasons, advice))}"
    elif speed.is_larger:
        yield (
            f"the {d.precision} artefact is no smaller than float's: {speed.sizes}; precision='float32' is as "
            "exact as the model"
        )


def _rows(d: Deployment) -> Iterator[str]:
    """A batch of training data, passed as the example, makes an artefact that takes as many at once."""
    specs = (*d.program.signature.inputs, *d.program.signature.outputs)
    rows = {spec.shape[:1] for spec in specs}
    first = rows.pop() if len(rows) == 1 else ()
    if first and first[0] > 1:
        yield (
            f"the example holds {first[0]} rows, so the artefact takes {first[0]} at once and no fewer: "
            "pass one (x[:1]) where it shall take one"
        )


def _calibration(d: Deployment, samples: Samples) -> Iterator[str]:
    count = len(samples.calibration)
    if Precision(d.precision).is_integer and count < FEW_SAMPLES:
        yield f"calibrated on {count} samples only; about 100 varied ones are enough"
    if samples.calibration.dropped:
        yield samples.calibration.dropped
    for step in d.program.history:
        for name, kept_db in step.effect.get("new_sample_db", {}).items():
            yield (
                f"{count} samples do not cover what values of {name} reach: of a new one {kept_db:.1f} dB "
                "would be left, by leaving out each in turn; calibrate on more"
            )
    if Precision(d.precision) == Precision.INT8:
        yield from calibration_doubts(d.program.signature, samples.calibration, samples.checks)


def _halves(d: Deployment, float_program: Program) -> Iterator[str]:
    """What float16 cannot show: the float model's weights say it, the compressed ones are clipped."""
    specs = {name for name, spec in d.program.quant.items() if spec.storage == FLOAT16}
    constants = float_program.constants
    yield from beyond_half(constants, sorted(specs & set(constants)))


def _in_float(d: Deployment) -> Iterator[str]:
    share = float_share(d.support)
    if Precision(d.precision).is_integer and share > MOSTLY_FLOAT:
        node = next(n for n in d.support.nodes if n.verdict == "float")
        yield (
            f"{100 * share:.0f} % of the operators run in float, for example {node.operator} at "
            f"{node.source or node.module or node.node}: {node.reason}"
        )


def _bits(request: Request, target: Target, d: Deployment) -> Iterator[str]:
    limit = target.quantization.weight_bits
    used = d.plan.quantization.get("weight_bits", 8)
    if Precision(d.precision).is_integer and request.quantization is not None and used > limit:
        yield f"{used}-bit weights on {target.name}, whose 8-bit products saturate: {limit} are safe"
