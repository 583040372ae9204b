"""One way to compress a model."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.contracts.storage import Precision
from edgeopt.deployment.fallbacks import kept_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeopt.gate.sensitivity import Sensitivity

__all__ = ["SWITCHES", "Configuration"]

SWITCHES = ("ranges", "equalization", "smoothing", "rounding")
"""The settings of the quantization that are searched; they matter to int8 alone."""


class Configuration(msgspec.Struct, frozen=True):
    """One way to compress a model.

    Attributes:
        backend: Who compiles it.
        precision: ``int8``, ``int8-dynamic``, ``int4-dynamic``, ``float16`` or ``float32``.
        floats: How many of the most harmful values stay in float; with int8 only.
        ranges: As in `edgeopt.QuantizationConfig`, like the next three.
        equalization: Whether channels are rescaled between layers.
        smoothing: Whether they are behind layer norms.
        rounding: How weights are rounded.
        pruned: Share of the units (0 to 1) that is pruned before.
    """

    backend: str
    precision: Precision
    floats: int = 0
    ranges: str = "auto"
    equalization: str = "auto"
    smoothing: str = "auto"
    rounding: str = "auto"
    pruned: float = 0.0

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "precision", Precision(self.precision))

    def canonical(self) -> Configuration:
        """Returns the configuration without what does not matter to its precision."""
        if self.precision.is_integer:
            return self
        return Configuration(self.backend, self.precision, pruned=self.pruned)

    @property
    def digest(self) -> str:
        """SHA-256 of what matters: equal for configurations that mean the same."""
        plain = msgspec.to_builtins(self.canonical())
        return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()

    def settings(
        self, sensitivities: Sequence[Sensitivity], given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns the fields of a `QuantizationConfig`.

        Args:
            sensitivities: The harmful values, the worst first.
            given: Fields that the user chose.
        """
        if not self.precision.is_integer:
            groups = (
                {"weight_group", "weight_zeros"} if self.precision.weight_type.is_packed else set()
            )
            return {k: v for k, v in given.items() if k in {"weight_bits", "max_samples", *groups}}
        names = kept_names(sensitivities, self.floats, given.get("keep_float", ()))
        switches = {name: getattr(self, name) for name in SWITCHES}
        return {**given, **switches, **({"keep_float": names} if names else {})}

    def __str__(self) -> str:
        parts = [f"{self.backend} {self.precision}"]
        if self.floats:
            parts.append(f"{self.floats} values in float")
        parts += [f"{n} {getattr(self, n)}" for n in SWITCHES if getattr(self, n) != "auto"]
        if self.pruned:
            parts.append(f"{100 * self.pruned:g} % pruned")
        return ", ".join(parts)
