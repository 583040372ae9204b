"""What `benchmarks/peers.py` writes of rows that it read, failures with it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FIXTURE = Path(__file__).with_name("peers.jsonl")


@pytest.fixture
def peers(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from _peers_in_one_run import rows, table

    yield rows, table
    for name in [name for name in sys.modules if name.startswith("_peers_in_one_run")]:
        monkeypatch.delitem(sys.modules, name)


def test_a_row_becomes_a_line_and_a_failure_a_reason(peers):
    rows, table = peers
    text = table.tables(rows.read_rows(FIXTURE))
    line = "| edgeopt, TFLite | int8 | 96.3 | 99.4 | 25.2 | 0.06 | 40 | 30 | 512 |"
    assert f"{line} 0.11, 1.00 [1.00, 1.00] |" in text
    assert (
        "| NNCF, OpenVINO | int8 | 96.2 | 99.7 | 22.9 | 0.10 | 34 | 12 | 433 | 0.22, 2.00 [1.90, 2.10] |"
        in text
    )
    assert "- **Olive** failed at `deploy`: ValueError: no such file as x.onnx a\\|b" in text
    assert "The float model's task: 96.2 %." in text


def test_the_tables_go_between_the_marks_and_replace_those_that_were_there(peers):
    rows, table = peers
    once = table.page(f"a\n{table.BEGIN}\nold\n{table.END}\nb\n", rows.read_rows(FIXTURE))
    assert "old" not in once
    assert once.startswith("a\n")
    assert once.endswith(f"{table.END}\nb\n")
    assert table.page(once, rows.read_rows(FIXTURE)) == once


def test_a_page_without_marks_is_refused(peers):
    _, table = peers
    with pytest.raises(ValueError, match="needs the marks"):
        table.page("a page", [])


def test_a_row_takes_the_place_of_the_one_before(peers, tmp_path):
    rows, _ = peers
    path = tmp_path / "rows.jsonl"
    first = rows.stored(rows.Row("m", "p", failure="no"), path)
    rows.stored(rows.Row("m", "q"), path)
    assert rows.read_rows(path)[0] == first
    rows.stored(rows.Row("m", "p", precision="int8"), path)
    assert [(row.peer, row.failure) for row in rows.read_rows(path)] == [("q", ""), ("p", "")]
