"""How many runs a second a bundle does when several are asked for at once."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

from .bundle import USAGE, WRONG, Stop, installed, load_model
from .counting import is_counted
from .facts import device_facts, device_state, peak_memory_kb
from .timing import inputs_of, pinned
from .watch import Watch

if TYPE_CHECKING:
    import argparse

__all__ = ["throughput"]

_WINDOWS = 24
"""Parts that the time is cut into: their rates show how much it varies."""
_TRIAL_S = 0.5
_LEAST_S = 2.0


def throughput(root: str, manifest: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Returns how many runs end in each of equal parts of the time, and the facts of the device.

    Where the number of streams is not said, several are tried for a moment and the fastest is taken.
    """
    inputs, kind = inputs_of(root, manifest, args)
    where = pinned(args)
    before, memory = device_state(), peak_memory_kb()
    first, load = load_model(root, manifest, args.threads)
    if is_counted(first):
        raise Stop(USAGE, "a board runs one call at a time", "--benchmark")
    if args.alone and not hasattr(first, "invoke"):
        raise Stop(USAGE, "--alone: this runtime makes no difference", "leave it out")
    trials = []
    best: Any = None
    for count, threads in _choices(first, args):
        streams = _streams(root, manifest, first, count, threads)
        _play(streams, inputs, _TRIAL_S / 2, alone=args.alone)  # caches and clocks
        rate = len(_play(streams, inputs, _TRIAL_S, alone=args.alone)) / _TRIAL_S
        trials.append({"streams": len(streams), "threads": threads, "runs_per_second": rate})
        if best is None or rate > best[0]:
            best = (rate, streams, threads)
    watch = Watch()
    seconds = max(_LEAST_S, min(args.min_seconds, args.max_seconds))
    counts = _windows(_play(best[1], inputs, seconds, alone=args.alone), seconds)
    return {
        "format": 1,
        "bundle": manifest["name"],
        "digest": manifest["digest"],
        "inputs": kind,
        "streams": len(best[1]),
        "threads": best[2],
        "alone": args.alone,
        "batch": _batch(manifest),
        "window_ns": int(seconds / _WINDOWS * 1e9),
        "runs": counts,
        "tried": trials,
        "requirements": installed(manifest),
        **load,
        **where,
        **watch.told(),
        "memory_before_kb": memory,
        "peak_memory_kb": peak_memory_kb(),
        "runtime": first.facts(),
        "device": device_facts(),
        "before": before,
        "after": device_state(),
    }


def _choices(model: Any, args: argparse.Namespace) -> list[tuple[int, int]]:
    """Returns numbers of streams, and of threads for each; 0 streams: as the runtime likes."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    if args.streams:
        return [(args.streams, args.threads or max(1, cores // args.streams))]
    own = [(0, args.threads)] if hasattr(model, "streams") else []
    counts = sorted({cores >> n for n in range(cores.bit_length())} - {0} | {cores, 1})
    return own + [(count, args.threads or max(1, cores // count)) for count in counts]


def _streams(
    root: str, manifest: dict[str, Any], model: Any, count: int, threads: int
) -> list[Any]:
    """Returns what runs the model, one for each thread that calls."""
    if hasattr(model, "streams"):
        return list(model.streams(count, threads))
    return [load_model(root, manifest, threads)[0] for _ in range(count)]


def _play(streams: list[Any], inputs: list[Any], seconds: float, *, alone: bool) -> list[int]:
    """Returns when each run ended, in ns since all began; every stream runs in a thread of its own.

    Args:
        streams: What runs the model.
        inputs: What it runs on.
        seconds: How long.
        alone: Whether only the runtime runs, on inputs that are filled once.
    """
    ends: list[list[int]] = [[] for _ in streams]
    failures: list[BaseException] = []
    gate = threading.Barrier(len(streams))
    begun = [0]

    def work(stream: Any, own: list[int]) -> None:
        try:
            stream(*inputs)
            if gate.wait() == 0:
                begun[0] = time.perf_counter_ns()
            gate.wait()
            until = begun[0] + int(seconds * 1e9)
            words = () if alone else inputs
            run = stream.invoke if alone else stream
            while not own or own[-1] < until:
                run(*words)
                own.append(time.perf_counter_ns())
        except threading.BrokenBarrierError:
            pass
        except Exception as error:  # noqa: BLE001 (raised below, in the thread that asked)
            failures.append(error)
            gate.abort()

    threads = [threading.Thread(target=work, args=pair) for pair in zip(streams, ends)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise Stop(WRONG, f"the model failed: {failures[0]!r}")
    return sorted(end - begun[0] for own in ends for end in own)


def _windows(ends: list[int], seconds: float) -> list[int]:
    """Returns how many runs ended in each part of the time; what ended later counts in none."""
    counts = [0] * _WINDOWS
    for end in ends:
        place = int(end / (seconds * 1e9) * _WINDOWS)
        if place < _WINDOWS:
            counts[place] += 1
    return counts


def _batch(manifest: dict[str, Any]) -> int:
    """Returns how many samples one run is of: rows, where each was seen not to depend on the others."""
    firsts = {spec["shape"][0] if spec["shape"] else 1 for spec in manifest["signature"]["inputs"]}
    return int(firsts.pop()) if manifest["splits"] and len(firsts) == 1 else 1
