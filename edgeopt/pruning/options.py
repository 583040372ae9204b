"""What a user asks of pruning, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgeopt.errors import InputError
from edgeopt.registry.suggest import nearest

__all__ = ["GOALS", "IMPORTANCES", "Goal", "Options", "read_goal"]

IMPORTANCES = ("activation", "l1", "l2", "taylor", "bn_scale", "random")
GOALS = ("ratio", "macs", "parameters", "size_bytes", "latency_ms")


@dataclass(frozen=True)
class Goal:
    """How far to prune.

    Attributes:
        kind: One of `GOALS`.
        value: For ``ratio`` the share of units to remove; else what shall be left, where ``macs``
            and ``parameters`` up to 1 are a share of what the model has.
        layers: Layer to the share to remove from it; only with ``ratio``.
    """

    kind: str
    value: float
    layers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """The other choices of `edgeopt.prune`; documented there."""

    importance: str = "activation"
    scope: str = "global"
    keep: tuple[str, ...] = ()
    multiple: int = 1
    steps: int = 1
    max_ratio: float = 0.9
    residual_width: bool = False
    sensitivity: float | None = None
    samples: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        _one_of("importance", self.importance, IMPORTANCES)
        _one_of("scope", self.scope, ("global", "layer"))
        for name, ok in (
            ("steps", self.steps >= 1),
            ("multiple", self.multiple >= 1),
            ("samples", self.samples >= 1),
            ("max_ratio", 0 < self.max_ratio < 1),
        ):
            if not ok:
                value = getattr(self, name)
                raise InputError(f"{value} is out of range", where=name, hint="see edgeopt.prune")


def _one_of(where: str, value: str, known: tuple[str, ...]) -> None:
    if value in known:
        return
    close = nearest(value, known)
    hint = f'did you mean "{close[0]}"? ' if close else ""
    raise InputError(
        f'there is no {where} "{value}"', where=where, hint=f"{hint}One of: {', '.join(known)}"
    )


def read_goal(given: Mapping[str, Any]) -> Goal:
    """Returns the one goal among ``given``, name to value or None.

    Raises:
        InputError: None or several were given, or one is out of range.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    if len(chosen) != 1:
        said = " and ".join(chosen) or "none"
        raise InputError(
            f"one goal is needed, {said} given",
            where="prune",
            hint=f"pass one of {', '.join(GOALS)}",
        )
    ((kind, value),) = chosen.items()
    if kind == "ratio" and isinstance(value, Mapping):
        for name, share in value.items():
            _check(f'ratio["{name}"]', share, below=1.0)
        return Goal("ratio", 0.0, dict(value))
    _check(kind, value, below=1.0 if kind == "ratio" else float("inf"))
    return Goal(kind, float(value))


def _check(where: str, value: Any, *, below: float) -> None:
    if isinstance(value, (int, float)) and 0 < value < below:
        return
    if isinstance(value, (int, float)) and value >= below:
        raise InputError(
            f"{value} would leave layers empty", where=where, hint="a ratio lies between 0 and 1"
        )
    raise InputError(f"{value!r} is no number above 0", where=where)
