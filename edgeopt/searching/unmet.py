"""What is said where nothing keeps to the budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.errors import BudgetError

if TYPE_CHECKING:
    from edgeopt.searching.result import SearchResult

__all__ = ["unmet"]


def unmet(result: SearchResult) -> BudgetError:
    """Returns the error that names the trial that comes nearest, and the budget that it would meet."""
    near, budget = result.nearest, result.budget
    if near is None or near.measured is None:
        why = result.failed[0].reason if result.failed else "there was no time for any"
        what = f"no trial of {len(result.trials)} could be measured: {why}"
        return BudgetError(what, where="search", result=result)
    figures = near.measured
    reached = {
        "max_drop": max(0.0, budget.float_score - figures.score),
        "max_latency_ms": figures.latency_ms or 0.0,
        "max_size_mb": figures.size_bytes / 1e6,
        "max_flash_kb": (figures.flash_bytes or 0) / 1024,
        "max_ram_kb": (figures.ram_bytes or 0) / 1024,
    }
    beyond = [name for name, value in budget.excess(figures).items() if value]
    limits = ", ".join(f"{name} {getattr(budget, name):g}" for name in beyond)
    needs = ", ".join(f"{name}={_rounded_up(reached[name])}" for name in beyond)
    count = len(result.trials)
    tried = "the only trial does not keep" if count == 1 else f"none of {count} trials keeps"
    return BudgetError(
        f"{tried} to the budget; the nearest is {result.told(near)}, beyond {limits}",
        where="budget",
        hint=f"it would do with {needs}; or try more trials, pruning=, or a finetune step",
        result=result,
    )


def _rounded_up(value: float) -> str:
    """Returns ``value`` in four digits, not below it."""
    for room in (1.0, 1.0005, 1.001):
        text = f"{value * room:.4g}"
        if float(text) >= value * (1 - 1e-12):
            return text
    return f"{value * 1.01:.4g}"
