"""Measures a model that runs on a board of its own, by the board's counter: cycles or instructions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .bundle import WRONG, Stop

if TYPE_CHECKING:
    import argparse

__all__ = ["count", "count_steps", "is_counted"]

_NS = 1_000_000_000
_ENOUGH = 3
"""Runs of an emulator: it counts the same each time, and that is seen."""


def is_counted(model: Any) -> bool:
    """Returns whether the model's runtime has a counter of its own (``counts``)."""
    return hasattr(model, "counts")


def count(model: Any, inputs: list[Any], args: argparse.Namespace) -> dict[str, Any]:
    """Returns what a benchmark says of the runs: ``instructions``, or ``cycles`` and their times.

    Instructions are no times: ``samples_ns`` stays empty then.
    """
    started = time.monotonic()
    first = _counts(model, 1, inputs)
    per_run_s = max(time.monotonic() - started, 1e-6)
    unit = first["unit"]
    runs = _ENOUGH if unit == "instructions" else args.runs
    runs = max(1, min(runs, int(args.max_seconds / per_run_s)))
    counts = _counts(model, runs, inputs)["counts"]
    if unit == "instructions":
        return {"instructions": counts, "samples_ns": [], "first_inference_ns": 0}
    clock = first["per_second"]
    times = [_ns(one, clock) for one in counts]
    first_ns = _ns(first["counts"][0], clock)
    return {"cycles": counts, "samples_ns": times, "first_inference_ns": first_ns}


def count_steps(model: Any, inputs: list[Any]) -> dict[str, Any]:
    """Returns what each step takes: ``unit``, ``per_second``, ``whole`` and ``steps``."""
    try:
        result = model.step_counts(*inputs)
    except Exception as error:
        raise Stop(WRONG, f"the board cannot count: {error}", getattr(error, "hint", "")) from error
    return {
        "unit": result["unit"],
        "per_second": result["per_second"],
        "whole": result["counts"][0],
        "steps": result["steps"],
    }


def _counts(model: Any, runs: int, inputs: list[Any]) -> dict[str, Any]:
    try:
        result: dict[str, Any] = model.counts(runs, *inputs)
    except Exception as error:
        raise Stop(WRONG, f"the board cannot count: {error}", getattr(error, "hint", "")) from error
    return result


def _ns(cycles: int, clock: int) -> int:
    if not clock:
        what = "the board counts cycles, and does not say how many a second has"
        raise Stop(WRONG, what, "write board.counts_per_second (firmware/board.h)")
    return cycles * _NS // clock
