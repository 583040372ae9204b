"""The groups that options are passed in, and where an option is that was not passed in its group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from edgeopt.options.base import Options, refuse
from edgeopt.options.bundle import BundleOptions
from edgeopt.options.checks import Checks
from edgeopt.options.quantization import Calibration, Quantization, QuantizationConfig
from edgeopt.options.recipe import RecipeTraining
from edgeopt.options.shapes import Shapes
from edgeopt.options.tuning import TuneOptions
from edgeopt.registry.schema import Problem
from edgeopt.registry.suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["GROUPS", "Groups", "refuse_unknown"]


class Groups(TypedDict, total=False):
    """The groups of `edgeopt.deploy`: each takes its options, or a dict of them.

    Attributes:
        calibration: What is seen of the calibration data.
        checks: What the deployment must pass.
        bundle: What the bundle holds beside the model.
        tuning: How long to look for faster kernels.
        quantization: How to quantize.
        shapes: Further shapes that the bundle serves.
        training: What the steps of a recipe need.
    """

    calibration: Calibration | Mapping[str, Any]
    checks: Checks | Mapping[str, Any]
    bundle: BundleOptions | Mapping[str, Any]
    tuning: TuneOptions | Mapping[str, Any]
    quantization: Quantization | None
    shapes: Shapes | Mapping[str, Any]
    training: RecipeTraining | Mapping[str, Any] | None


GROUPS: dict[str, type[Options]] = {
    "calibration": Calibration,
    "checks": Checks,
    "bundle": BundleOptions,
    "tuning": TuneOptions,
    "shapes": Shapes,
    "training": RecipeTraining,
    "quantization": QuantizationConfig,
}
"""Keyword to the type that it takes."""


def refuse_unknown(
    given: Mapping[str, Any],
    known: Iterable[str],
    where: str,
    groups: Mapping[str, type[Options]] = GROUPS,
) -> None:
    """Refuses keywords that a function does not have, and says what to type instead.

    Args:
        given: Keyword to value.
        known: The keywords there are, those of groups included.
        where: What was called.
        groups: Keyword to the type that it takes, of those that take several options.

    Raises:
        ConfigError: One is unknown; where an option of that name is in a group, the group is named.
    """
    names = list(known)
    groups = {name: kind for name, kind in groups.items() if name in names}
    refuse(
        [
            Problem(where, f'there is no keyword "{name}"', _instead(name, value, names, groups))
            for name, value in given.items()
            if name not in names
        ]
    )


def _instead(name: str, value: Any, known: list[str], groups: Mapping[str, type[Options]]) -> str:
    for group, kind in groups.items():
        for field in kind.__struct_fields__:
            if name in {field, f"{group}_{field}", f"{group.removesuffix('s')}_{field}"}:
                return f"it is in a group: {group}={kind.__name__}({field}={_typed(value)})"
    close = [one for one in groups if one[:3] == name[:3]] or nearest(name, known, limit=1)
    if not close:
        return f"keywords: {', '.join(known)}"
    if close[0] not in groups:
        return f'did you mean "{close[0]}"?'
    kind = groups[close[0]]
    return f"did you mean {close[0]}={kind.__name__}({kind.__struct_fields__[0]}=…)?"


def _typed(value: Any) -> str:
    """Returns what to type for a value: itself where it is short."""
    plain = isinstance(value, (bool, int, float, str))
    return repr(value) if plain and len(repr(value)) <= 24 else "…"  # noqa: PLR2004 (one line)
