"""What a user asks of a search, checked before any work starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.deployment.request import PRECISIONS
from edgeopt.errors import InputError
from edgeopt.registry.suggest import did_you_mean
from edgeopt.searching.budget import PREFERENCES
from edgeopt.searching.configuration import SWITCHES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from edgeopt.contracts import Device, Progress
    from edgeopt.quantization import QuantizationConfig
    from edgeopt.searching.trials import Watch

__all__ = ["SearchOptions"]

KNOWN = tuple(p for p in PRECISIONS if p != "auto")


@dataclass(frozen=True)
class SearchOptions:
    """The choices of `edgeopt.search`; documented there."""

    example_inputs: Any = None
    calibration_data: Iterable[Any] | None = None
    evaluate: Callable[[Callable[..., Any]], float] | None = None
    max_drop: float | None = None
    max_latency_ms: float | None = None
    max_size_mb: float | None = None
    prefer: str | None = None
    device: str | Device | None = None
    backends: Sequence[str] | None = None
    precisions: Sequence[str] | None = None
    quantization: QuantizationConfig | Mapping[str, Any] | None = None
    pruning: Any = None
    finetune: Callable[..., Any] | None = None
    trials: int = 40
    minutes: float = 0.0
    study: str | Path | None = None
    seed: int = 0
    threads: int = 0
    check_samples: int = 64
    progress: Progress | None = None
    watch: Watch | None = None

    def check(self) -> None:
        """Checks everything that can be known before the model is touched.

        Raises:
            InputError: An option is wrong; it is named.
        """
        for name in ("trials", "minutes"):
            value = getattr(self, name)
            number = isinstance(value, (int, float) if name == "minutes" else int)
            if not number or isinstance(value, bool) or value < 0:
                raise InputError(f"{value!r}: expected a number, 0 or more", where=name)
        if not self.trials and not self.minutes:
            raise InputError("expected trials or minutes above 0", where="trials")
        for name in ("evaluate", "finetune"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                what = f"expected a function, got a {type(value).__name__}"
                raise InputError(what, where=name)
        if self.prefer is not None:
            _known("prefer", self.prefer, PREFERENCES)
        for one in _names("precisions", self.precisions):
            _known("precisions", one, KNOWN)
        _names("backends", self.backends)
        if self.evaluate is None and self.calibration_data is None:
            hint = "pass evaluate=, or real inputs as calibration_data= to compare with float on"
            raise InputError("there is nothing to tell good from bad by", where="search", hint=hint)

    @property
    def preference(self) -> str:
        """What decides within the budget."""
        if self.prefer is not None:
            return self.prefer
        return "score" if self.max_drop is None else "latency"

    def given(self) -> dict[str, Any]:
        """Returns the fields of the quantization that the user chose; they are not searched."""
        held = self.quantization
        if held is None:
            return {}
        plain: dict[str, Any] = msgspec.to_builtins(held)
        if isinstance(held, msgspec.Struct):
            usual = msgspec.to_builtins(type(held)())
            plain = {k: v for k, v in plain.items() if v != usual[k]}
        if "precision" in plain:
            hint = 'pass precisions=["int8"]'
            raise InputError("it is part of the search", where="quantization", hint=hint)
        return plain

    def switches(self, *, smoothing: bool, equalization: bool) -> dict[str, tuple[str, ...]]:
        """Returns what the switches of the quantization may be.

        Args:
            smoothing: Whether the model has channels to rescale behind layer norms.
            equalization: Whether it has others.
        """
        found: dict[str, tuple[str, ...]] = {
            "ranges": ("auto", "minmax", "percentile", "mse"),
            "equalization": ("auto", "off") if equalization else ("auto",),
            "smoothing": ("auto", "off") if smoothing else ("auto",),
            "rounding": ("auto", "nearest"),
        }
        given = self.given()
        return {name: (given[name],) if name in given else found[name] for name in SWITCHES}


def _names(where: str, given: Any) -> Sequence[str]:
    if given is None:
        return ()
    if isinstance(given, str) or not hasattr(given, "__iter__") or not list(given):
        raise InputError(f"{given!r}: expected a list of names", where=where)
    return list(given)


def _known(where: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        near = did_you_mean(str(value), known)
        every = f"known: {', '.join(known)}"
        raise InputError(
            f'there is no "{value}"', where=where, hint=f"{near} {every}" if near else every
        )
