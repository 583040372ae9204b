"""docs/bundle-format.md tells every field of the manifest, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from edgeopt.bundles import manifest
from edgeopt.contracts import Signature, TensorSpec, Wheel

PAGE = (Path(__file__).parents[3] / "docs" / "bundle-format.md").read_text()
PARTS = {
    "field": manifest.Manifest,
    "field of `signature`": Signature,
    "field of a tensor": TensorSpec,
    "field of `golden`": manifest.GoldenInfo,
    "field of a sample": manifest.GoldenSample,
    "field of a tolerance": manifest.Tolerance,
    "field of a state": manifest.StateInfo,
    "field of a delta": manifest.DeltaInfo,
    "field of `runtime`": manifest.RuntimeInfo,
    "field of a wheel": Wheel,
    "field of `provenance`": manifest.Provenance,
    "field of a file": manifest.FileEntry,
}


def fields(title):
    """Returns the names in the first column of the table with this title."""
    (table,) = re.findall(
        rf"^\| {re.escape(title)} \| .*\n\| --- .*\n((?:\|.*\n)+)", PAGE, re.MULTILINE
    )
    return [
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])
    ]


@pytest.mark.parametrize("title", PARTS)
def test_a_table_has_the_fields_of_the_schema(title):
    told = fields(title)
    assert len(told) == len(set(told))
    assert set(told) == {field.name for field in msgspec.structs.fields(PARTS[title])}


def test_a_further_program_has_the_fields_that_are_told():
    (row,) = re.findall(r"^\| `variants` \|.*$", PAGE, re.MULTILINE)
    told = set(re.findall(r"`(\w+)`", row.split("|")[2]))
    assert told == {field.name for field in msgspec.structs.fields(manifest.Variant)}


@pytest.mark.parametrize("backend", ["tflite", "openvino"])
def test_a_backends_own_fields_are_told_somewhere(backend):
    assert {"inputs", "outputs"} <= set(fields(f"field of `metadata`, {backend}"))
    assert {"dtype", "shape", "scale"} <= set(fields(f"field of a note, {backend}"))
