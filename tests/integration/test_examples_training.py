"""The examples that learn from real data, in their quick form. A file of their own: they take long."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from edgeopt.bundles import read_bundle


@pytest.mark.slow
def test_fashion_mnist_goes_from_a_large_network_to_a_small_one_on_two_devices(
    run_example, tmp_path
):
    for needed in ("edgeopt_tflite", "torch_pruning", "accelerate"):
        pytest.importorskip(needed)
    if not Path("/usr/share/datasets/fashion-mnist").is_dir():
        pytest.skip("no pictures: sudo apt-get install dataset-fashion-mnist")
    said = run_example("05_fashion_mnist.py", tmp_path, "--quick")
    lines = [line.rsplit(maxsplit=3) for line in said.splitlines()]
    rows = {cells[0].strip(): cells[1:] for cells in lines if len(cells) == 4}
    teacher = rows["teacher, float"]
    assert float(teacher[0]) > 75
    for target in ("rpi4", "host"):
        (name,) = [name for name in rows if name.startswith(f"student, int8, {target}")]
        assert float(rows[name][0]) > float(teacher[0]) - 3
        assert 4 * float(rows[name][1]) < float(teacher[1])
        assert read_bundle(tmp_path / target).manifest.precision == "int8"
    assert said.count("quantized already, and goes as it is") == 2
    if shutil.which("qemu-aarch64-static") is not None:
        assert "emulated:aarch64" in said


@pytest.mark.slow
def test_definitions_are_learned_from_a_teacher_and_deployed(run_example, tmp_path):
    for needed in ("edgeopt_tflite", "transformers", "accelerate"):
        pytest.importorskip(needed)
    if not Path("/usr/share/wordnet/data.noun").exists():
        pytest.skip("NOT CHECKED, no definitions: sudo apt-get install wordnet-base")
    said = run_example("06_definitions.py", tmp_path, "--quick")
    rows = numbers(said.rpartition("accuracy, %")[2])
    teacher, student = rows["teacher, float"], rows["student, distilled"]
    assert teacher[0] > 25  # the largest of 26 fields is a sixth of them
    assert student[0] > 25
    assert student[1] < teacher[1] / 2
    for target in ("rpi4", "host"):
        (deployed,) = [row for name, row in rows.items() if f"int8 on {target}" in name]
        assert deployed[0] > student[0] - 2
        assert deployed[1] < teacher[1] / 4
        signature = read_bundle(tmp_path / target).manifest.signature
        assert [spec.name for spec in signature.inputs] == ["input_ids", "attention_mask"]
    assert (tmp_path / "tokenizer.json").exists()


@pytest.mark.slow
def test_splice_junctions_are_found_by_a_pruned_network(run_example, tmp_path):
    for needed in ("edgeopt_tflite", "torch_pruning", "accelerate"):
        pytest.importorskip(needed)
    if not Path("/usr/lib/R/site-library/mlbench").is_dir():
        pytest.skip("NOT CHECKED, no DNA: sudo apt-get install r-cran-mlbench")
    said = run_example("07_splice_junctions.py", tmp_path, "--quick")
    rows = numbers(said.rpartition("accuracy, %")[2])
    teacher = rows["teacher, float"]
    assert teacher[0] > 90
    for target in ("rpi4", "host"):
        (deployed,) = [row for name, row in rows.items() if f"int8 on {target}" in name]
        assert deployed[0] > teacher[0] - 3
        assert deployed[1] < teacher[1] / 2
        assert read_bundle(tmp_path / f"{target}-0").manifest.precision == "int8"


def numbers(table):
    """Returns the rows of a printed table: name to the numbers behind it."""
    cells = [re.match(r"(.*?\S) {2,}((?:[\d.]+ *)+)$", line) for line in table.splitlines()]
    return {row[1].strip(): [float(n) for n in row[2].split()] for row in cells if row}
