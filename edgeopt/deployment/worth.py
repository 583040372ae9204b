"""Whether a compressed artefact is worth it beside the float32 one of the same backend.

Compression that makes a model neither smaller nor faster costs accuracy for nothing. Where the precision is left to
edgeopt, float32 is deployed then; where it was asked for, or where nobody knows what the target would say, a warning does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgeopt.contracts.storage import Precision
from edgeopt.deployment import steps
from edgeopt.errors import EdgeoptError
from edgeopt.gate.speed import Speed
from edgeopt.units import shown_bytes

if TYPE_CHECKING:
    from edgeopt.deployment.baseline import Baseline
    from edgeopt.deployment.candidate import Source
    from edgeopt.deployment.steps import Checked, Job

__all__ = ["MARGIN", "PassedOver", "float_instead", "why_float"]

MARGIN = 1.1
"""Float is taken where all of the ratio's interval lies above this: a ratio near 1 would decide otherwise each time."""


class PassedOver(msgspec.Struct, frozen=True):
    """A compressed artefact that ``precision="auto"`` passed over, since float32 is better.

    Attributes:
        precision: Of what was passed over.
        reason: Why, without times: bundles hold it.
        speed: What was measured, of both.
    """

    precision: str
    reason: str
    speed: Speed

    def __str__(self) -> str:
        return f"{self.speed}; {self.speed.sizes}"


def why_float(speed: Speed | None) -> str:
    """Returns why float32 is better than what was measured beside it; empty where it is not, or not certainly.

    Args:
        speed: Of the compressed artefact beside float32; None where it was not measured.
    """
    if speed is None or speed.ratio.low is None:
        return ""
    if speed.on_target and speed.ratio.low > MARGIN:
        return f"{speed.precision} is slower than float32 on this machine, which is the target"
    if speed.is_larger and speed.ratio.verdict != "faster":
        return (
            f"{speed.precision} is neither smaller than float32 ({shown_bytes(speed.size_bytes)}, float32 "
            f"{shown_bytes(speed.float_size_bytes)}) nor faster on this machine"
        )
    return ""


def float_instead(
    job: Job, source: Source, speed: Speed | None, baseline: Baseline
) -> tuple[Checked, PassedOver] | None:
    """Returns float32 in place of what was measured, through the gate, and why; None where that stays.

    It stays where the precision or the quantization was asked for, where the program came quantized, where kernels were
    tuned for it alone, and where float32 falls short: of the device's memory, for example.

    Args:
        job: The deployment of one program.
        source: What its candidates are made of.
        speed: What was measured of the candidate that passed; None where nothing was.
        baseline: What candidates are compared with.
    """
    request = job.request
    chosen = request.precision != "auto" or request.quantization is not None
    if speed is None or chosen or source.is_quantized or request.tuning.active:
        return None
    reason = why_float(speed)
    if not reason:
        return None
    candidate = steps.quantize(job, source, Precision.FLOAT32, {})
    try:
        build = steps.compile(job, candidate)
    except EdgeoptError:  # the compressed one was made, and fits
        return None
    checked = steps.check(job, candidate, build, baseline)
    if not checked.gate.accepted:
        build.close()
        return None
    return checked, PassedOver(speed.precision, reason, speed)
