"""What fidelity asks for, and what falls short of it."""

from __future__ import annotations

import msgspec

__all__ = ["FidelityLimits", "Shortfall"]


class FidelityLimits(msgspec.Struct, frozen=True):
    """How much of each output must be left.

    Attributes:
        min_snr_db: Signal-to-noise ratio of an output or of a part, in dB, below which it fails.
        warn_snr_db: The same, below which it is warned of.
    """

    min_snr_db: float = 10.0
    warn_snr_db: float = 20.0


class Shortfall(msgspec.Struct, frozen=True):
    """An output, or parts of it, of which too little is left.

    Attributes:
        grave: Whether it lies below the limit that fails.
        what: What falls short, by how much.
    """

    grave: bool
    what: str
