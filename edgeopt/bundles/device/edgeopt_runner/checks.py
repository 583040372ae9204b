"""The bundle's own test: digests of all files, and golden samples within their tolerance."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .arrays import call, fit_inputs, read_arrays
from .bundle import OK, WRONG, check_extra, check_file, load_model
from .programs import program_views

__all__ = ["difference", "golden_arrays", "verify"]


def verify(root: str, manifest: dict[str, Any], threads: int) -> int:
    """Returns 0 where every file and every golden sample is right, else 1; prints what is not."""
    for name in sorted(manifest["files"]):
        check_file(root, manifest, name)
    check_extra(root, manifest)
    print(f"files: {len(manifest['files'])} match their digests")
    views = program_views(manifest)
    if not any(view["golden"] for view in views):
        print("golden samples: the bundle holds none")
        return OK
    failures = [_golden_failures(root, view, threads) for view in views if view["golden"]]
    count = sum(len(view["golden"]["samples"]) for view in views if view["golden"])
    programs = f" of {len(views)} programs" if len(views) > 1 else ""
    print(f"golden samples: {count} run{programs}, {sum(failures)} outputs out of tolerance")
    return WRONG if any(failures) else OK


def _golden_failures(root: str, view: dict[str, Any], threads: int) -> int:
    """Returns how many outputs of a program are out of tolerance; prints each."""
    model, _ = load_model(root, view, threads)
    golden, failed = view["golden"], 0
    label = view["method"] + " " if view["variants"] else ""
    for number, sample in enumerate(golden["samples"]):
        inputs = fit_inputs(golden_arrays(root, sample["inputs"]), view)
        expected = golden_arrays(root, sample["outputs"])
        for index, actual in enumerate(call(model, inputs, view)):
            text = difference(actual, expected[index], golden["tolerances"][index])
            failed += bool(text)
            if text:
                print(f"{label}golden sample {number}, output {index}: {text}")
    return failed


def golden_arrays(root: str, names: list[str]) -> list[Any]:
    """Returns the arrays of golden files, in order."""
    return [read_arrays(os.path.join(root, *name.split("/")))[""] for name in names]


def difference(got: Any, want: Any, tolerance: dict[str, Any]) -> str:
    """Returns what is wrong with ``got``, or '' where it lies within the tolerance of ``want``.

    Args:
        got: An array that was computed.
        want: The array it is held against.
        tolerance: ``atol``, ``rtol``, ``max_outliers`` (share of values that may lie outside) and
            ``min_cosine`` (None: not looked at).
    """
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{got.dtype}{list(got.shape)}, expected {want.dtype}{list(want.shape)}"
    if not want.size:
        return ""
    wide = np.complex128 if want.dtype.kind == "c" else np.float64
    a, b = got.astype(wide).ravel(), want.astype(wide).ravel()
    same = np.equal(got, want).ravel() | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.where(same, 0.0, np.abs(a - b))
        limit = tolerance["atol"] + tolerance["rtol"] * np.abs(b)
        inside = same | ((error <= limit) & (limit > 0))
    outside = 1.0 - float(inside.mean())
    if outside > tolerance["max_outliers"]:
        return f"{outside:.2%} of the values are out of tolerance (largest error {error.max():.4g})"
    return _angle(a, b, tolerance["min_cosine"])


def _angle(a: Any, b: Any, least: float | None) -> str:
    if least is None or np.array_equal(a, b):
        return ""
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    cosine = float(np.vdot(a, b).real) / length if length else 0.0
    return "" if cosine >= least else f"cosine {cosine:.6f}, at least {least} expected"
