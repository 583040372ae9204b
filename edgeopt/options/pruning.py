"""What a user may choose about pruning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta
from msgspec import inspect as schema

from edgeopt.errors import InputError
from edgeopt.options.base import Options
from edgeopt.options.kinds import (
    Count,
    FlashLimit,
    Names,
    NonNegative,
    Positive,
    RamLimit,
    Whole,
    accepting,
)
from edgeopt.registry.fitting import without_percent
from edgeopt.registry.schema import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["GOALS", "Pruning", "PruningOptions", "SparsityOptions"]

GOALS = ("ratio", "macs", "parameters", "size_bytes", "latency_ms", "max_flash_kb", "max_ram_kb")
Part = Annotated[float, Meta(gt=0.0, lt=1.0)]
_PART = schema.type_info(Part)


class PruningOptions(Options, frozen=True):
    """How far to prune (one goal among ``ratio`` to ``max_ram_kb``), and how units are chosen.

    Attributes:
        ratio: Goal: the share of units to remove, over all layers; or layer name to share.
        macs: Goal: multiply-accumulates left; up to 1 it is a share of the model's.
        parameters: Goal: parameters left; up to 1 it is a share of the model's.
        size_bytes: Goal: bytes of the parameters left, as float32.
        latency_ms: Goal: the roofline *estimate* on ``target``, in ms. Measure afterwards.
        max_flash_kb: Goal: KiB of the parameters left, one byte each: what they take of a microcontroller's
            flash in int8. Its code comes on top.
        max_ram_kb: Goal: KiB of the layer that holds most, inputs and outputs together, one byte each:
            an *estimate* of the arena. What is kept beside that layer comes on top.
        importance: ``activation`` (the sum of |w·x| over real inputs), ``l1``, ``l2``, ``taylor``,
            ``bn_scale`` or ``random``.
        scope: ``global`` ranks all layers together; ``layer`` takes the same share of each.
        keep: Names of layers, or of modules around them, to leave as they are.
        sensitivity: Layers are kept whose least important quarter, muted, moves the output by more
            than this (relative, L2); None asks nothing.
        multiple: Widths keep to a multiple of this; None takes the target's, or 1.
        steps: In how many steps the goal is reached.
        residual_width: Whether the residual width of transformers may be pruned too.
        max_ratio: At most so much of one layer is removed; not with a ratio for each layer.
        samples: So many samples of ``calibration_data`` are read; one is what the example inputs hold.
        seed: For ``random``.
    """

    ratio: Part | dict[str, Part] | None = None
    macs: Annotated[Positive, Meta(extra={"share": True})] | None = None
    parameters: Annotated[Positive, Meta(extra={"share": True})] | None = None
    size_bytes: Positive | None = None
    latency_ms: Positive | None = None
    max_flash_kb: FlashLimit = None
    max_ram_kb: RamLimit = None
    importance: Literal["activation", "l1", "l2", "taylor", "bn_scale", "random"] = "activation"
    scope: Literal["global", "layer"] = "global"
    keep: Names = ()
    sensitivity: NonNegative | None = None
    multiple: Count | None = None
    steps: Count = 1
    residual_width: bool = False
    max_ratio: Part = 0.9
    samples: Count = 64
    seed: Whole = 0

    def conflicts(self) -> Iterable[Problem]:
        """Returns that there is not exactly one goal."""
        goals = [name for name in GOALS if getattr(self, name) is not None]
        if len(goals) != 1:
            what = f"one goal is needed, {' and '.join(goals) or 'none'} given"
            yield Problem("", what, f"pass one of {', '.join(GOALS)}")

    @property
    def goal(self) -> str:
        """The name of the goal."""
        return next(name for name in GOALS if getattr(self, name) is not None)


class SparsityOptions(Options, frozen=True):
    """Which single weights are set to zero.

    Attributes:
        ratio: Share of each weight set to zero; for ``unstructured``.
        pattern: ``unstructured`` or ``2:4`` (two of every four along the input channels).
        keep: Names of layers, or of modules around them, to leave as they are.
    """

    ratio: Part | None = None
    pattern: Literal["unstructured", "2:4"] = "unstructured"
    keep: Names = ()

    def conflicts(self) -> Iterable[Problem]:
        """Returns that the ratio does not go with the pattern."""
        if (self.pattern == "2:4") != (self.ratio is None):
            hint = "between 0 and 1 with unstructured; none with 2:4, which is one half"
            yield Problem("ratio", f"{self.ratio} does not go with {self.pattern}", hint)


RATIOS = (0.25, 0.5)
"""Shares that a search tries where the user names none."""


def _to_search(given: Any) -> bool | dict[str, Any]:
    """Returns which pruned models a search tries: a switch, or ``ratios`` and options of `prune`."""
    if isinstance(given, bool):
        return given
    options = dict(given) if isinstance(given, Mapping) else {"ratios": given}
    ratios = options.pop("ratios", RATIOS)
    ratios = [_number(one) for one in ((ratios,) if isinstance(ratios, (Real, str)) else ratios)]
    for one in ratios:
        if isinstance(one, bool) or not isinstance(one, Real) or not 0 <= float(one) < 1:
            hint = "a share: 0.5 for 50 %"
            raise InputError(f"expected shares from 0 to below 1, got {one!r}", hint=hint)
    if set(options) & set(GOALS):
        raise InputError("the goal is part of the search", hint="pass ratios=(0.25, 0.5)")
    PruningOptions.from_dict({**options, "ratio": 0.5})
    return {**options, "ratios": tuple(float(one) for one in ratios)}


def _number(given: Any) -> Any:
    return without_percent(_PART, given)


def _searchable(given: Any) -> bool:
    ratios = given.get("ratios", ()) if isinstance(given, Mapping) else given
    single = isinstance(_number(ratios), Real)
    return single or (isinstance(ratios, Sequence) and not isinstance(ratios, str))


if TYPE_CHECKING:
    Pruning = bool | float | Sequence[float] | Mapping[str, Any] | None
else:
    Pruning = (
        Annotated[
            Any,
            accepting(
                "shares, true, or options of prune with ratios among them",
                fits=_searchable,
                convert=_to_search,
            ),
        ]
        | None
    )
