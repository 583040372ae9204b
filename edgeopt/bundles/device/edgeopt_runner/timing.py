"""Measures a bundle, alone or in turn with another: raw times, memory and facts."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import call, fit_inputs, read_inputs
from .bundle import USAGE, Stop, check_file, installed, load_manifest, load_model, runs_from
from .checks import golden_arrays
from .counting import count, is_counted
from .facts import device_facts, device_state, peak_memory_kb
from .prepare import prepare
from .rounds import interleaved, timed, warm_up
from .watch import Watch, parse_cores, pin

if TYPE_CHECKING:
    import argparse

__all__ = ["benchmark", "compare", "inputs_of", "pinned", "timed", "warm_up"]


def benchmark(root: str, manifest: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Returns raw times, load time, memory, and the facts of the device before and after."""
    inputs, kind = inputs_of(root, manifest, args)
    where = pinned(args)
    before, memory = device_state(), peak_memory_kb()
    model, load = load_model(root, manifest, args.threads)
    report = {
        "format": 1,
        "bundle": manifest["name"],
        "digest": manifest["digest"],
        "inputs": kind,
        "threads": args.threads,
        "requirements": installed(manifest),
        **load,
    }
    if is_counted(model):  # on a board: what this machine takes, and is, says nothing of it
        counted = {**count(model, inputs, args), "runtime": model.facts(), "device": model.device()}
        counted.update({"memory_before_kb": 0, "peak_memory_kb": -(-model.memory_bytes() // 1024)})
        return {**report, **counted, "before": {}, "after": {}}
    first = timed(lambda: call(model, inputs, manifest))
    warm = _warm(lambda: model(*inputs), args)
    watch = Watch()
    samples = _rounds({"": lambda: model(*inputs)}, args, watch)[""]
    return {
        **report,
        "samples_ns": samples,
        "warmup_ns": warm,
        "first_inference_ns": first,
        **where,
        **watch.told(),
        "memory_before_kb": memory,
        "peak_memory_kb": peak_memory_kb(),
        "runtime": model.facts(),
        "device": device_facts(),
        "before": before,
        "after": device_state(),
    }


def compare(root: str, manifest: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Returns the raw times of this bundle and of the one in ``args.against``, run in turn.

    Both run in one process, in an order drawn anew each round.
    """
    other = load_manifest(args.against)
    if not args.no_check:
        for name in filter(runs_from, sorted(other["files"])):
            check_file(args.against, other, name)
    where = pinned(args)
    before = device_state()
    functions, facts = {}, {}
    for key, place, info in (("a", root, manifest), ("b", args.against, other)):
        inputs, kind = inputs_of(place, info, args)
        model, load = load_model(place, info, args.threads)
        if is_counted(model):
            raise Stop(USAGE, "a board holds one model: two cannot run in turn", "--benchmark each")
        first = timed(lambda m=model, x=inputs, h=info: call(m, x, h))  # type: ignore[misc]
        functions[key] = lambda m=model, x=inputs: m(*x)
        facts[key] = {
            "bundle": info["name"], "digest": info["digest"], "inputs": kind, **load,
            "first_inference_ns": first, "runtime": model.facts(), "requirements": installed(info),
        }  # fmt: skip
    for function in functions.values():
        _warm(function, args)
    watch = Watch()
    samples = _rounds(functions, args, watch)
    return {
        "format": 1,
        "threads": args.threads,
        **{key: {**facts[key], "samples_ns": samples[key]} for key in functions},
        **where,
        **watch.told(),
        "device": device_facts(),
        "before": before,
        "after": device_state(),
    }


def pinned(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the cores that are used, after pinning to those that were asked for."""
    try:
        return pin(parse_cores(args.cores) if args.cores else None)
    except ValueError as error:
        raise Stop(USAGE, f"--cores {args.cores}: {error}", "for example --cores 0-3") from error


def inputs_of(
    root: str, manifest: dict[str, Any], args: argparse.Namespace
) -> tuple[list[Any], str]:
    """Returns the inputs given, else those of the first golden sample, else noise."""
    if args.input or args.image or args.text or args.audio:
        prepared = prepare(args, root, manifest)
        first = {n: a[0] if prepared.each else a for n, a in prepared.arrays.items()}
        arrays = read_inputs(args.input, first, manifest)
        return fit_inputs(arrays, manifest, cast=args.cast), "given"
    if manifest["golden"]:
        names = manifest["golden"]["samples"][0]["inputs"]
        for name in names:
            check_file(root, manifest, name)
        return fit_inputs(golden_arrays(root, names), manifest), "golden"
    return [_noise(spec) for spec in manifest["signature"]["inputs"]], "noise"


def _warm(function: Any, args: argparse.Namespace) -> list[int]:
    gc.collect()
    gc.disable()
    try:
        return warm_up(function, args.warmup)
    finally:
        gc.enable()


def _rounds(functions: Any, args: argparse.Namespace, watch: Watch) -> dict[str, list[int]]:
    return interleaved(
        functions,
        runs=args.runs,
        min_time_s=min(args.min_seconds, args.max_seconds),
        max_time_s=args.max_seconds,
        between=watch,
    )


def _noise(spec: dict[str, Any]) -> Any:
    """Returns noise, or zeros for an input that may be an index. For times only."""
    dtype = np.dtype(spec["dtype"])
    if dtype.kind != "f":
        return np.zeros(spec["shape"], dtype)
    return np.random.default_rng(0).standard_normal(spec["shape"]).astype(dtype)
