"""Measures what each operator takes, by the runtime's own profiler, beside the whole."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from .arrays import call
from .bundle import WRONG, Stop, installed, load_model
from .counting import count_steps, is_counted
from .facts import device_facts, device_state
from .rounds import interleaved, warm_up
from .timing import inputs_of, pinned
from .watch import Watch

if TYPE_CHECKING:
    import argparse

__all__ = ["profile"]

_BLOCKS = 5
"""Times that the profiler is started. Between them the model runs without it."""


def profile(root: str, manifest: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Returns the operators, and for each block the time of each and of the whole.

    A block is ``runs / 5`` runs with the profiler, after as many without: ``model_ns`` is what a
    call takes, ``runtime_ns`` (where the runtime can be called alone) a call without the
    conversion of inputs and outputs. ``profiled_ns`` and ``profiled_sum_ns`` are of the same runs:
    the whole, and all operators, by the same statistic.
    """
    inputs, kind = inputs_of(root, manifest, args)
    where, before = pinned(args), device_state()
    model, _ = load_model(root, manifest, args.threads)
    if is_counted(model):
        return {
            "format": 1,
            "bundle": manifest["name"],
            "digest": manifest["digest"],
            "inputs": kind,
            "runtime": model.facts(),
            "device": model.device(),
            **count_steps(model, inputs),
        }
    if not hasattr(model, "operators"):
        raise Stop(WRONG, "the runtime cannot time single operators", "--benchmark times the whole")
    call(model, inputs, manifest)
    watch = Watch()
    warm_up(lambda: model(*inputs), args.warmup)
    return {
        "format": 1,
        "bundle": manifest["name"],
        "digest": manifest["digest"],
        "inputs": kind,
        "threads": args.threads,
        **_blocks(model, inputs, args, watch),
        **where,
        **watch.told(),
        "runtime": model.facts(),
        "requirements": installed(manifest),
        "device": device_facts(),
        "before": before,
        "after": device_state(),
    }


def _blocks(
    model: Any, inputs: list[Any], args: argparse.Namespace, watch: Watch
) -> dict[str, Any]:
    runs = max(1, args.runs // _BLOCKS)
    functions = {"model_ns": lambda: model(*inputs)}
    if hasattr(model, "invoke"):
        functions["runtime_ns"] = model.invoke
    report: dict[str, Any] = {"steps": [], "notes": [], "steps_ns": []}
    report.update(profiled_ns=[], profiled_sum_ns=[])
    samples: dict[str, list[int]] = {name: [] for name in functions}
    for block in range(_BLOCKS):
        share = args.max_seconds / _BLOCKS / 2
        part = interleaved(functions, runs=runs, max_time_s=share, seed=block, between=watch)
        for name, times in part.items():
            samples[name] += times
        block_profile = _profiled(model, runs, inputs)
        steps = [{key: step[key] for key in step if key != "ns"} for step in block_profile["steps"]]
        if report["steps"] and _kinds(steps) != _kinds(report["steps"]):
            raise Stop(WRONG, "the profiler names other operators each time it is asked")
        report["steps"], report["statistic"] = report["steps"] or steps, block_profile["statistic"]
        report["notes"] = list(block_profile.get("notes", []))
        report["steps_ns"].append([step["ns"] for step in block_profile["steps"]])
        report["profiled_ns"].append(block_profile["whole_ns"])
        total = sum(step["ns"] for step in block_profile["steps"])
        report["profiled_sum_ns"].append(block_profile.get("sum_ns", total))
    return {**report, "runtime_ns": [], **samples}


def _kinds(steps: list[dict[str, Any]]) -> list[str]:
    return [step["kind"] for step in steps]


def _profiled(model: Any, runs: int, inputs: list[Any]) -> dict[str, Any]:
    gc.collect()
    gc.disable()
    try:
        result: dict[str, Any] = model.operators(runs, *inputs)
    except Exception as error:
        raise Stop(WRONG, f"the runtime cannot time single operators: {error}") from error
    finally:
        gc.enable()
    return result
