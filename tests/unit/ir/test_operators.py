"""The table of operator traits: the only place that lists operators, and what docs/ir.md prints."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from edgeopt.ir.operators import TABLE, traits_of
from edgeopt.ir.operators.printed import canonical_table, with_table

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
TABLE_HOME = ROOT / "edgeopt" / "ir" / "operators"
OWN_BUSINESS = {"openvino/edgeopt_openvino/parameters.py": "what OpenVINO's own passes do not know"}
aten = torch.ops.aten


def test_the_document_lists_what_the_table_has() -> None:
    text = (ROOT / "docs" / "ir.md").read_text(encoding="utf-8")
    assert with_table(text) == text, "run `python scripts/operators.py --write`"


def test_a_row_more_is_a_line_more(monkeypatch: pytest.MonkeyPatch) -> None:
    before = canonical_table()
    monkeypatch.setitem(
        TABLE, aten.lgamma.default, type(traits_of(None))(operator=aten.lgamma.default)
    )
    assert "`lgamma.default`" not in before
    assert "`lgamma.default`" in canonical_table()


def test_a_document_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="operators"):
        with_table("nothing to fill in")


def test_what_is_not_in_the_table_runs_in_float() -> None:
    unknown = traits_of(aten.lgamma.default)
    assert not unknown.runs_on_integers
    assert not unknown.moves


def test_rows_contradict_themselves_nowhere() -> None:
    for operator, row in TABLE.items():
        assert not (row.moves and row.integer_kernel), operator
        assert not (row.requantizes and not row.keeps_parameters), operator
        assert not (row.normalization and row.runs_on_integers), operator
        assert (row.identity == "neutral") == (row.neutral is not None), operator
        assert row.canonical is None or row.canonical in TABLE, operator
        assert row.canonical is None or row.captured == "rewritten", operator


def test_no_other_module_lists_operators() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in ("edgeopt", "backends")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if TABLE_HOME not in path.parents and "tests" not in path.parts and not _writes(path)
        for line in _operator_lists(path)
    ]
    assert not found, "put the fact into edgeopt.ir.operators"


def _writes(path: Path) -> bool:
    """Whether a module is a backend's own: functions that write operators, entered by lists."""
    own = any(str(path).endswith(name) for name in OWN_BUSINESS)
    return own or path.parent.name in ("ops", "operators")


def _operator_lists(path: Path) -> Iterator[int]:
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        value = getattr(statement, "value", None)
        if isinstance(value, ast.Call) and value.args:
            value = value.args[0]  # frozenset({…})
        elements = value.elts if isinstance(value, ast.Tuple | ast.List | ast.Set) else []
        if any("aten." in ast.unparse(element).lower() for element in elements):
            yield statement.lineno
