"""The list of passes, and how they are run."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edgeopt.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edgeopt.ir.program import Program

__all__ = [
    "CORE",
    "REGISTRY",
    "NumberChange",
    "Pass",
    "changes_numbers",
    "find_pass",
    "number_changes",
    "run_core",
    "run_passes",
]


class Pass(Protocol):
    """A pass: takes a program, returns another; the one it took stays as it was.

    It keeps what the program computes, but for the last bits of float values. One that changes
    numbers on purpose says so with `changes_numbers`; parity compares with the program before
    every other target pass.
    """

    __name__: str

    def __call__(self, program: Program) -> Program:
        """Returns the changed program, or ``program`` itself where there was nothing to do.

        Raises:
            ProgramError: The program does not have what the pass requires.
        """
        ...


@dataclass(frozen=True)
class NumberChange:
    """What a pass does to the numbers, on purpose.

    Attributes:
        what: What changes, in a few words.
        min_snr_db: Least signal-to-noise ratio of an output with it beside one without, in dB.
    """

    what: str
    min_snr_db: float


def changes_numbers(
    what: str, *, min_snr_db: float
) -> Callable[[Callable[[Program], Program]], Callable[[Program], Program]]:
    """Declares that the decorated pass changes numbers, and by how much at most."""

    def declared(one: Callable[[Program], Program]) -> Callable[[Program], Program]:
        one.number_change = NumberChange(what, min_snr_db)  # type: ignore[attr-defined]
        return one

    return declared


def number_changes(names: Iterable[str]) -> dict[str, NumberChange]:
    """Returns what each of the passes declares to change, without those that keep all numbers."""
    found = {name: getattr(find_pass(name), "number_change", None) for name in names}
    return {name: change for name, change in found.items() if change is not None}


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
