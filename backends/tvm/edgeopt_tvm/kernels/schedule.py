"""From a fused kernel to a scheduled one: by a configuration, or by the default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tvm.error import InternalError
from tvm.s_tir.schedule import ScheduleError

from edgeopt_tvm.kernels import depthwise, direct, plain, rows
from edgeopt_tvm.kernels.anatomy import dissected, is_written_out, open_schedule
from edgeopt_tvm.kernels.elementary import spelt_out

if TYPE_CHECKING:
    from tvm.s_tir import Schedule

    from edgeopt_tvm.kernels.anatomy import Anatomy
    from edgeopt_tvm.machine import Machine

__all__ = ["VERSION", "configurations", "scheduled", "tunable"]

VERSION = 1
"""Of the templates: a configuration that was measured under another one says nothing."""

Configuration = dict[str, Any]


def tunable(function: Any) -> bool:
    """Returns whether there is a choice to make for ``function``, a PrimFunc as fusion leaves it."""
    return not is_written_out(function) and _template(open_schedule(function))[0] is not None


def configurations(function: Any, machine: Machine) -> tuple[Configuration, ...]:
    """Returns all points of the space of ``function``, the default first; empty without a choice."""
    if is_written_out(function):
        return ()
    sch = open_schedule(function)
    template, anatomy = _template(sch)
    return tuple(template.configurations(sch, anatomy, machine)) if template else ()


def scheduled(function: Any, machine: Machine, config: Configuration | None = None) -> Any:
    """Returns ``function``, ready for code generation.

    Args:
        function: A PrimFunc as fusion leaves it.
        machine: What code is made for.
        config: One of `configurations`; by default the first.
    """
    if is_written_out(function):
        return spelt_out(function).with_attr("global_symbol", "main")
    sch = open_schedule(spelt_out(function))
    template, anatomy = _template(sch)
    if template is not None:
        configuration = config or next(iter(template.configurations(sch, anatomy, machine)))
        try:
            template.apply(sch, anatomy, machine, configuration)
            return sch.mod["main"]
        except (ScheduleError, InternalError):
            if config is not None:  # one that is tried: it is told that it cannot be
                raise
            sch = open_schedule(spelt_out(function))
    if rows.reduces_rows(sch, anatomy):
        try:
            rows.apply(sch, anatomy, machine)
            return sch.mod["main"]
        except (ScheduleError, InternalError):  # an index that its analysis does not follow
            sch = open_schedule(spelt_out(function))
    try:
        plain.apply(sch, anatomy, machine)
    except (
        ScheduleError,
        InternalError,
    ):  # blocks that cannot go into one loop: as fusion leaves them
        sch = open_schedule(spelt_out(function))
    return sch.mod["main"]


def _template(sch: Schedule) -> tuple[Any, Anatomy]:
    anatomy = dissected(sch)
    kind = (anatomy.anchor or "").split("_")[0]
    template = {"direct": direct, "depthwise": depthwise}.get(kind)
    return (template if template and plain.follows(sch, anatomy) else None), anatomy
