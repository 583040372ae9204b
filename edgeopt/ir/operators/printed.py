"""The table as Markdown, for docs/ir.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.ir.operators.table import TABLE

if TYPE_CHECKING:
    from edgeopt.ir.operators.traits import OperatorTraits

__all__ = ["BEGIN", "END", "canonical_table", "with_table"]

BEGIN = "<!-- operators: printed by scripts/operators.py -->"
END = "<!-- end of operators -->"

_KERNELS = {
    "accumulates": "sums of products",
    "elementwise": "number by number",
    "averages": "sums, divided",
    "selects": "a choice among its input's integers",
    "table": "a table of 256 entries",
}


def canonical_table() -> str:
    """Returns the canonical operators as a table, one line for those that are alike."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for row in TABLE.values():
        if not row.captured:
            key = (_kind(row), _parameters(row), _remark(row))
            groups.setdefault(key, []).append(f"`{_name(row)}`")
    lines = ["| operator | integers | quantization parameters of its output | beside |"]
    lines.append("|---|---|---|---|")
    for (kind, parameters, remark), names in groups.items():
        lines.append(f"| {', '.join(names)} | {kind} | {parameters} | {remark} |")
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """Returns a document with the table as it is now between its two marks.

    Raises:
        ValueError: A mark is missing.
    """
    head, _, rest = text.partition(BEGIN)
    _, mark, tail = rest.partition(END)
    if not mark:
        raise ValueError(f"no {BEGIN} and {END}")
    return f"{head}{BEGIN}\n{canonical_table()}{END}{tail}"


def _name(row: OperatorTraits) -> str:
    return str(getattr(row.operator, "__name__", row.operator)).removeprefix("aten.")


def _kind(row: OperatorTraits) -> str:
    if row.casts:
        return "converted"
    if row.logic:
        return "integers and bools as they are"
    return "only moved" if row.moves else _KERNELS.get(row.integer_kernel, "none: runs in float")


def _parameters(row: OperatorTraits) -> str:
    if row.prescribed_output is not None:
        scale, zero_point = row.prescribed_output
        return f"scale 1/{1 / scale:.0f}, zero point {zero_point}"
    if row.requantizes:
        return "its input's, or others: then it is a rounding"
    if row.keeps_parameters:
        return "its input's"
    return "its own" if row.integer_kernel else ""


def _remark(row: OperatorTraits) -> str:
    remarks = {
        "weighted: has a weight": row.weight is not None,
        "applies an activation before it rounds": row.applies_activation,
        "an activation that kernels apply": row.activation,
        "normalization: an integer input costs accuracy": row.normalization,
        "recurrent: computes in float, its weights are stored as integers": row.recurrent
        is not None,
        "a view of memory": row.view,
        f"logical {row.logic}": bool(row.logic),
        "wants channels last": row.layout == "channels-last",
    }
    return "; ".join(remark for remark, fits in remarks.items() if fits)
