"""Advice on the command line names what is typed there."""

from __future__ import annotations

import pytest

from edgeopt.cli.words import in_flags


@pytest.mark.parametrize(
    ("python", "typed"),
    [
        ("max_drop= makes that fail", "--max-drop makes that fail"),
        (
            "without any, precision='int8-dynamic' quantizes",
            "without any, --precision int8-dynamic quantizes",
        ),
        (
            "calibration_data: int8 needs to see real inputs",
            "--calibration-data: int8 needs to see real inputs",
        ),
        (
            "parity was checked on one input only; pass calibration_data",
            "parity was checked on one input only; pass --calibration-data",
        ),
        ("choose one with backend=", "choose one with --backend"),
        (
            "replace it: BundleOptions(overwrite=True) in Python, --overwrite in the terminal",
            "replace it: --overwrite",
        ),
        ("pass bundle=BundleOptions(threads=2)", "pass --threads 2"),
        ("a file out/max_drop.npy", "a file out/max_drop.npy"),
        ("there is no target", "there is no target"),
        ("--max-drop stays", "--max-drop stays"),
    ],
)
def test_python_becomes_flags(python, typed):
    assert in_flags(python) == typed
