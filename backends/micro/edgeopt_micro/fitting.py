"""Which layers are executed by stripes of rows: none where the arena fits, else the fewest that make it fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edgeopt_micro.memory import arena_bound, plan_memory
from edgeopt_micro.stripes import MOST_LAYERS, chains, striped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgeopt_micro.emitter import Step
    from edgeopt_micro.memory import MemoryPlan
    from edgeopt_micro.values import Value

__all__ = ["Fitted", "fitted_to"]

_STRIPES = (8, 4, 2)
"""Rows of a stripe: the more, the fewer are moved; one where these do not fit."""
_CHAINS = 4
"""Parts of a network that are executed by stripes at most."""
_PLANNED = 4
"""So many of the most promising parts are planned in full."""


class Fitted(NamedTuple):
    """Steps, where their values lie, and what was done to make them fit."""

    steps: list[Step]
    plan: MemoryPlan
    notes: tuple[str, ...] = ()


def fitted_to(
    steps: Sequence[Step], inputs: Sequence[Value], outputs: Sequence[Value], limit: int | None
) -> Fitted:
    """Returns ``steps``, some of them by stripes where the arena exceeds ``limit`` bytes without.

    Where nothing makes it fit, it is the smallest that was found. None: there is no limit.
    """
    fitted = Fitted(list(steps), plan_memory(steps, inputs, outputs))
    for _ in range(_CHAINS):
        if limit is None or fitted.plan.size_bytes <= limit:
            break
        smaller = _smaller(fitted, inputs, outputs, limit)
        if smaller is None:
            break
        fitted = smaller
    return fitted


def _smaller(
    fitted: Fitted, inputs: Sequence[Value], outputs: Sequence[Value], limit: int
) -> Fitted | None:
    """Returns the steps with one part more by stripes, None where that helps nothing."""
    steps = fitted.steps
    bounds = {
        part: arena_bound(_replaced(steps, part, 1), inputs, outputs)
        for part in _parts(fitted, inputs, outputs)
    }
    # Those that may fit first, the shortest of them; then those that need least.
    order = sorted(bounds, key=lambda part: max(bounds[part], limit) * 2 * MOST_LAYERS + len(part))
    best: tuple[range, int, MemoryPlan] | None = None
    for part in order[:_PLANNED]:
        plan = plan_memory(_replaced(steps, part, 1), inputs, outputs)
        if best is None or plan.size_bytes < best[2].size_bytes:
            best = part, 1, plan
        if plan.size_bytes <= limit:
            best = part, 1, plan
            break
    if best is None or best[2].size_bytes >= fitted.plan.size_bytes:
        return None
    part, stripe, plan = best
    for rows in _STRIPES:
        wider = plan_memory(_replaced(steps, part, rows), inputs, outputs)
        if wider.size_bytes <= limit:
            stripe, plan = rows, wider
            break
    note = _note(steps, part, stripe, fitted.plan, plan)
    return Fitted(_replaced(steps, part, stripe), plan, (*fitted.notes, note))


def _parts(fitted: Fitted, inputs: Sequence[Value], outputs: Sequence[Value]) -> Iterator[range]:
    """Yields all parts of chains that hold the step that needs most."""
    outside = {value.buffer for value in (*inputs, *outputs)}
    peak = fitted.plan.peak_step
    for chain in chains(fitted.steps, outside):
        for start in range(chain.start, peak + 1):
            for end in range(max(peak + 1, start + 2), min(chain.stop, start + MOST_LAYERS) + 1):
                yield range(start, end)


def _replaced(steps: Sequence[Step], part: range, stripe: int) -> list[Step]:
    one = striped(steps[part.start : part.stop], stripe)
    return [*steps[: part.start], one, *steps[part.stop :]]


def _note(
    steps: Sequence[Step], part: range, stripe: int, before: MemoryPlan, after: MemoryPlan
) -> str:
    names = f"{steps[part.start].name} to {steps[part.stop - 1].name}"
    rows = "a row" if stripe == 1 else f"{stripe} rows"
    sizes = f"{before.size_bytes / 1024:.1f} -> {after.size_bytes / 1024:.1f} KiB of RAM"
    return f"{len(part)} layers, {names}, by stripes of {rows}: {sizes}, no product computed twice"
