"""The list of passes, and how they are run."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol

from edgeopt.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgeopt.ir.program import Program

__all__ = ["CORE", "REGISTRY", "Pass", "find_pass", "run_core", "run_passes"]


class Pass(Protocol):
    """A pass: takes a program, returns another; the one it took stays as it was."""

    __name__: str

    def __call__(self, program: Program) -> Program:
        """Returns the changed program, or ``program`` itself where there was nothing to do.

        Raises:
            ProgramError: The program does not have what the pass requires.
        """
        ...


CORE: tuple[str, ...] = (
    "remove_identities",
    "fold_constants",
    "canonicalize_masks",
    "canonicalize_views",
    "canonicalize_activations",
    "canonicalize_products",
    "canonicalize_arithmetic",
    "canonicalize_pooling",
    "canonicalize_convolutions",
    "fold_batch_norm",
    "fold_padding",
    "fuse_activations",
    "fold_constants",
    "remove_identities",
    "own_biases",
)
"""The passes that every captured program goes through, in order. They keep its function."""

REGISTRY: dict[str, str] = {
    **{
        name: f"edgeopt.passes.{name}:{name}"
        for name in (
            *dict.fromkeys(CORE),
            "decompose_attention",
            "insert_quantize",
            "separate_ties",
        )
    },
    "insert_quantize_unsigned": "edgeopt.passes.insert_quantize:insert_quantize_unsigned",
}
"""Pass name to ``module:function``; nothing is imported before it is used."""


def find_pass(name: str) -> Pass:
    """Returns the pass called ``name``: one of `REGISTRY`, or ``package.module:function``.

    Raises:
        ProgramError: There is none.
    """
    module, _, attribute = REGISTRY.get(name, name).partition(":")
    try:
        found: Pass = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ProgramError(
            f"no pass {name!r}", hint=f"known passes: {', '.join(sorted(REGISTRY))}"
        ) from error
    return found


def run_passes(program: Program, names: Iterable[str]) -> Program:
    """Returns ``program`` after each of the passes in order."""
    for name in names:
        program = find_pass(name)(program)
    return program


def run_core(program: Program) -> Program:
    """Returns ``program`` in the canonical form that quantization and backends read."""
    return run_passes(program, CORE)
