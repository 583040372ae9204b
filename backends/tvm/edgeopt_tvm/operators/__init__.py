"""How each ATen operator is written in Relax; what is not in the table goes to TVM's frontend."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgeopt_tvm.operators.table import TABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

__all__ = ["TABLE", "find_operator"]


def find_operator(node: Any) -> Callable[[Any, torch.fx.Node], None] | None:
    """Returns the function that writes ``node``, or None where there is none."""
    from edgeopt.ir.source import operator_name  # noqa: PLC0415 (imports torch)

    place = TABLE.get(operator_name(node))
    if place is None:
        return None
    module, _, name = place.partition(":")
    found = importlib.import_module(f"edgeopt_tvm.operators.{module}")
    emit: Callable[[Any, torch.fx.Node], None] = getattr(found, name)
    return emit
