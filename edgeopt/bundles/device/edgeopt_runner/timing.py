"""Measures: warm-up until the times are stable, then raw times, memory and facts."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import call, fit_inputs, read_inputs
from .bundle import check_file, installed, load_model
from .checks import golden_arrays
from .facts import device_facts, device_state, peak_memory_kb

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

__all__ = ["benchmark", "timed", "warm_up"]

_LEAST_RUNS = 3  # however slow one is
_MOST_WARM_UPS = 200


def timed(function: Callable[[], Any]) -> int:
    """Returns how long one call took, in ns."""
    started = time.perf_counter_ns()
    function()
    return time.perf_counter_ns() - started


def warm_up(
    function: Callable[[], Any], count: int | None = None, limit_s: float = 10.0
) -> list[int]:
    """Returns the times of the warm-up calls, in ns.

    Makes ``count`` calls; without it, calls until the median of the last five times is within 3 %
    of that of the five before, at most 200 calls or ``limit_s`` seconds (but three calls).
    """
    if count is not None:
        return [timed(function) for _ in range(count)]
    times: list[int] = []
    ends = time.perf_counter() + limit_s
    while len(times) < _LEAST_RUNS or (
        len(times) < _MOST_WARM_UPS and time.perf_counter() < ends and not _stable(times)
    ):
        times.append(timed(function))
    return times


def _stable(times: list[int]) -> bool:
    before, last = sorted(times[-10:-5]), sorted(times[-5:])
    return len(before) == len(last) and abs(last[2] - before[2]) <= 0.03 * before[2]


def benchmark(root: str, manifest: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Returns raw times, load time, memory, and the facts of the device before and after."""
    inputs, kind = _inputs(root, manifest, args)
    before, memory = device_state(), peak_memory_kb()
    model, load = load_model(root, manifest, args.threads)
    first = timed(lambda: call(model, inputs, manifest))
    warm, samples = _measure(lambda: model(*inputs), args)
    return {
        "format": 1,
        "bundle": manifest["name"],
        "digest": manifest["digest"],
        "inputs": kind,
        "threads": args.threads,
        "samples_ns": samples,
        "warmup_ns": warm,
        "first_inference_ns": first,
        **load,
        "memory_before_kb": memory,
        "peak_memory_kb": peak_memory_kb(),
        "runtime": model.facts(),
        "requirements": installed(manifest),
        "device": device_facts(),
        "before": before,
        "after": device_state(),
    }


def _measure(function: Callable[[], Any], args: argparse.Namespace) -> tuple[list[int], list[int]]:
    """Returns the times of the warm-up and of the runs, in ns, without garbage collection."""
    gc.collect()
    gc.disable()
    try:
        warm = warm_up(function, args.warmup)
        samples: list[int] = []
        ends = time.perf_counter() + args.max_seconds
        while len(samples) < args.runs:
            if len(samples) >= _LEAST_RUNS and time.perf_counter() > ends:
                break
            samples.append(timed(function))
    finally:
        gc.enable()
    return warm, samples


def _inputs(root: str, manifest: dict[str, Any], args: argparse.Namespace) -> tuple[list[Any], str]:
    """Returns the inputs given, else those of the first golden sample, else noise."""
    if args.input or args.image:
        given = read_inputs(args.input, args.image, manifest)
        return fit_inputs(given, manifest, cast=args.cast), "given"
    if manifest["golden"]:
        names = manifest["golden"]["samples"][0]["inputs"]
        for name in names:
            check_file(root, manifest, name)
        return fit_inputs(golden_arrays(root, names), manifest), "golden"
    return [_noise(spec) for spec in manifest["signature"]["inputs"]], "noise"


def _noise(spec: dict[str, Any]) -> Any:
    """Returns noise, or zeros for an input that may be an index. For times only."""
    dtype = np.dtype(spec["dtype"])
    if dtype.kind != "f":
        return np.zeros(spec["shape"], dtype)
    return np.random.default_rng(0).standard_normal(spec["shape"]).astype(dtype)
