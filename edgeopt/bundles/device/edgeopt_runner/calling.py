"""Calls a method of a bundle as the command line asks: once, or for each sample."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import call, fit_inputs, read_arrays
from .bundle import USAGE, Stop, load_model
from .session import Session

if TYPE_CHECKING:
    import argparse

__all__ = ["call_method"]


def call_method(
    root: str,
    manifest: dict[str, Any],
    program: dict[str, Any],
    arrays: list[Any],
    args: argparse.Namespace,
    *,
    each: bool,
) -> list[Any]:
    """Returns the outputs that are no state.

    Args:
        root: Folder of the bundle.
        manifest: Its manifest.
        program: The same as who calls the method sees it.
        arrays: One for each input.
        args: The command line.
        each: Whether axis 0 counts samples: outputs are stacked, and the state goes from each call to the next.
    """
    session = Session(
        manifest, lambda view: _runner(root, view, args.threads), _initial(root, manifest)
    )

    def run(sample: list[Any]) -> list[Any]:
        specs = session.inputs(args.method, sample)
        view = {**program, "signature": {"inputs": specs}}
        return session.call(args.method, fit_inputs(sample, view, cast=args.cast))

    if not each:
        return run(arrays)
    counts = {len(array) if array.ndim else 0 for array in arrays}
    if len(counts) != 1 or counts == {0}:
        wrong = "with --each, every input needs the same number of samples on axis 0"
        raise Stop(USAGE, wrong, f"got {sorted(counts)}")
    rows = [run([array[i] for array in arrays]) for i in range(max(counts))]
    return [np.stack(column) for column in zip(*rows)]


def _runner(root: str, view: dict[str, Any], threads: int) -> Any:
    model, _ = load_model(root, view, threads)
    return lambda *inputs: call(model, list(inputs), view)


def _initial(root: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """Returns state to its value before the first call."""
    values = {}
    for name, info in manifest["states"].items():
        if info["initial"] is None:
            values[name] = np.zeros(info["shape"], info["dtype"])
        else:
            path = os.path.join(root, *info["initial"].split("/"))
            values[name] = np.array(read_arrays(path)[""])
    return values
