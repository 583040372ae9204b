"""How each ATen operator is written in OpenVINO's; what is not in the table goes to its frontend."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgeopt_openvino.operators.table import TABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

__all__ = ["TABLE", "find_operator"]


def find_operator(node: Any) -> Callable[[Any, torch.fx.Node], Any] | None:
    """Returns the function that writes ``node``, or None where there is none."""
    from edgeopt.ir.source import operator_name  # noqa: PLC0415 (imports torch)

    place = TABLE.get(operator_name(node))
    if place is None:
        return None
    module, _, name = place.partition(":")
    found = importlib.import_module(f"edgeopt_openvino.operators.{module}")
    emit: Callable[[Any, torch.fx.Node], Any] = getattr(found, name)
    return emit
