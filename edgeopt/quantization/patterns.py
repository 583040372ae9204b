"""Which nodes of a program the patterns of a `QuantizationConfig` mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.errors import InputError
from edgeopt.ir import ops
from edgeopt.ir.source import matches

if TYPE_CHECKING:
    from edgeopt.ir.program import Program
    from edgeopt.options import Override, QuantizationConfig

__all__ = ["kept_in_float", "overrides_by_value"]


def kept_in_float(config: QuantizationConfig, program: Program) -> tuple[str, ...]:
    """Returns the names of the nodes that ``keep_float`` matches.

    Raises:
        InputError: A pattern matches nothing.
    """
    names: list[str] = []
    for pattern in config.keep_float:
        names += _matching(program, pattern, "keep_float")
    return tuple(names)


def overrides_by_value(config: QuantizationConfig, program: Program) -> dict[str, Override]:
    """Returns value name to its override; a later pattern wins.

    What is meant for an operator is meant for what its kernel makes: with an activation that is part of it, that
    one's value.

    Raises:
        InputError: A pattern matches nothing.
    """
    overrides: dict[str, Override] = {}
    for pattern, override in config.overrides.items():
        for name in _matching(program, pattern, "overrides"):
            activation = ops.fused_activation(program.node(name))
            overrides |= dict.fromkeys([name, *([activation.name] if activation else [])], override)
    return overrides


def _matching(program: Program, pattern: str, field: str) -> list[str]:
    nodes = program.graph.nodes
    names = [node.name for node in nodes if node.op != "output" and matches(node, pattern)]
    if not names:
        raise InputError(
            f"{pattern!r} matches no value and no module",
            where=field,
            hint="`edgeopt inspect` prints the names of both",
        )
    return names
