"""What is checked before a deployment is handed over."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edgeopt.options.base import Options
from edgeopt.options.kinds import Count, Names, Share

__all__ = ["Checks", "FidelityLimits", "ParityChecks", "ParityLimits"]

Cosine = Annotated[float, Meta(ge=-1.0, le=1.0)]


class ParityLimits(Options, frozen=True):
    """What parity asks for.

    Attributes:
        min_argmax: Least share of rows that name the same class; near ties are not held against it.
        min_cosine: Least mean cosine over the samples.
        min_cosine_sample: Least cosine of one sample, unless all its values are within one step
            of the output's grid.
        min_snr_db: Least signal-to-noise ratio over all samples, in dB, unless all are within one
            step: a cosine does not see an output that is a tenth too large.
        max_loss_db: Where an int8 program has operators in float, whose last bits a rounding may
            enlarge beyond these limits: how much farther from float than the reference, in dB, an
            artefact may be whose operators are all as they should be.
        warn_margin_db: The same: how far below the quantization noise the parity noise must lie,
            in dB, not to be warned of.
    """

    min_argmax: Share = 0.995
    min_cosine: Cosine = 0.9999
    min_cosine_sample: Cosine = 0.999
    min_snr_db: float = 30.0
    max_loss_db: float = 1.0
    warn_margin_db: float = 10.0


class FidelityLimits(Options, frozen=True):
    """How much of each output, and of each of its channels, must be left.

    Attributes:
        min_snr_db: Signal-to-noise ratio of an output or of a part, in dB, below which it fails.
        warn_snr_db: The same, below which it is warned of.
    """

    min_snr_db: float = 10.0
    warn_snr_db: float = 20.0


class ParityChecks(Options, frozen=True):
    """What every artefact must pass.

    Attributes:
        samples: How many inputs parity and agreement are checked on.
        parity: How near the artefact must be to the reference.
        fidelity: How much of each output must be left; with ``evaluate`` it only warns.
        values: Outputs of two axes that are values, not one score a class: a vector of numbers,
            an embedding. What edgeopt knows by itself is in docs/gate.md.
    """

    samples: Count = 16
    parity: ParityLimits = ParityLimits()
    fidelity: FidelityLimits = FidelityLimits()
    values: Names = ()


class Checks(ParityChecks, frozen=True):
    """What a deployment must pass.

    Attributes:
        speed: Whether to compile float32 too, and measure both on this machine.
        strict: Whether a warning fails the deployment.
    """

    speed: bool = True
    strict: bool = False
