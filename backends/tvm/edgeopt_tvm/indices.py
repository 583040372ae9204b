"""Inputs that choose rows of a table, and how many rows there are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir.operators import traits_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.ir import Program
    from edgeopt_tvm.executable import Executable

__all__ = ["with_limits"]

_ATEN = torch.ops.aten


def with_limits(executable: Executable, program: Program) -> Executable:
    """Returns ``executable``, whose inputs say below which number their values must lie.

    Only inputs that reach the table as a whole. Kernels keep within the table in any case; what is
    looked up in place of a computed or cut index that it does not have is its nearest end.
    """
    limits = {
        node.name: min(rows, default=0)
        for node in program.graph.nodes
        if node.op == "placeholder" and _is_integer(node)
        for rows in [list(_tables(node))]
    }
    return replace(
        executable,
        buffers=tuple(
            replace(one, limit=limits.get(one.name, 0)) if one.kind == "input" else one
            for one in executable.buffers
        ),
    )


def _is_integer(node: torch.fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and not value.is_floating_point()


def _tables(value: Any) -> Iterator[int]:
    """Yields how many rows each table has from which ``value`` chooses."""
    for user in value.users:
        if user.target == _ATEN.embedding.default and user.args[1] is value:
            yield int(user.args[0].meta["val"].shape[0])
        elif user.target == _ATEN.index_select.default and user.args[2] is value:
            yield int(user.args[0].meta["val"].shape[int(user.args[1])])
        elif traits_of(user).view or traits_of(user).casts:  # every element is passed on
            yield from _tables(user)
