"""The list of passes, and how they are run: with what each requires and ensures checked."""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edgeopt.contracts.passes import PassSpec
from edgeopt.errors import ProgramError
from edgeopt.ir.conditions import Breach, Condition, breach_at
from edgeopt.ir.edit import first_change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from edgeopt.ir.program import Program

__all__ = [
    "CORE",
    "REGISTRY",
    "GraphPass",
    "NumberChange",
    "Pass",
    "PassResult",
    "PassSpec",
    "canonical",
    "changes_numbers",
    "find_pass",
    "graph_pass",
    "number_changes",
    "require_canonical",
    "run_core",
    "run_pass",
    "run_passes",
    "settled",
]

_LOG = logging.getLogger(__name__)


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


class GraphPass:
    """A pass with conditions that `run_pass` checks before and behind it. Made by `graph_pass`.

    Attributes:
        requires: What a program must fulfil before.
        ensures: What it fulfils behind.
    """

    def __init__(
        self,
        function: Callable[..., Program],
        requires: tuple[Condition, ...],
        ensures: tuple[Condition, ...],
    ) -> None:
        functools.update_wrapper(self, function)
        self.__name__ = function.__name__
        self._function = function
        self.requires, self.ensures = requires, ensures

    def __call__(self, program: Program, **options: Any) -> Program:
        """Returns the changed program, or ``program`` itself where there was nothing to do."""
        return self._function(program, **options)


def graph_pass(
    *, requires: Iterable[Condition] = (), ensures: Iterable[Condition] = ()
) -> Callable[[Callable[..., Program]], GraphPass]:
    """Returns the decorator that makes a pass of a function from Program to Program."""
    return lambda function: GraphPass(function, tuple(requires), tuple(ensures))


@dataclass(frozen=True)
class PassResult:
    """What came of a pass.

    Attributes:
        program: The program behind it.
        modified: Whether it differs from the one before.
    """

    program: Program
    modified: bool


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


def number_changes(passes: Iterable[str | PassSpec]) -> dict[str, NumberChange]:
    """Returns what each of the passes declares to change, without those that keep all numbers."""
    names = [one if isinstance(one, str) else one.name for one in passes]
    changes = {name: getattr(find_pass(name), "number_change", None) for name in names}
    return {name: change for name, change in changes.items() if change is not None}


CORE: tuple[str, ...] = (
    "canonicalize_complex",
    "remove_identities",
    "canonicalize_writes",
    "canonicalize_recurrence",
    "fold_constants",
    "canonicalize_masks",
    "canonicalize_views",
    "canonicalize_activations",
    "canonicalize_products",
    "canonicalize_arithmetic",
    "canonicalize_pooling",
    "canonicalize_convolutions",
    "fold_batch_norm",
    "canonicalize_volumes",
    "canonicalize_convolutions",
    "fold_padding",
    "fuse_activations",
    "fold_constants",
    "remove_identities",
    "own_biases",
)
"""The passes that every captured program goes through, in order. They keep its function."""

REGISTRY: dict[str, str] = {
    name: f"edgeopt.passes.{name}:{name}"
    for name in (*dict.fromkeys(CORE), "decompose_attention", "insert_quantize", "separate_ties")
}
"""Pass name to ``module:function``; nothing is imported before it is used."""

MOST_ROUNDS = 4
"""How many times the core passes are run until none of them finds anything to do."""


def find_pass(name: str) -> Pass:
    """Returns the pass called ``name``: one of `REGISTRY`, or ``package.module:function``.

    Raises:
        ProgramError: There is none.
    """
    module, _, attribute = REGISTRY.get(name, name).partition(":")
    try:
        function: Pass = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ProgramError(
            f"no pass {name!r}", hint=f"known passes: {', '.join(sorted(REGISTRY))}"
        ) from error
    return function


def run_pass(program: Program, spec: str | PassSpec) -> PassResult:
    """Returns what one pass makes of ``program``, checked before and behind.

    Raises:
        ProgramError: The program does not fulfil what the pass requires, or (a defect of the pass)
            the result does not fulfil what it ensures; names pass and node, and the pass to run.
    """
    spec = PassSpec(spec) if isinstance(spec, str) else spec
    function = find_pass(spec.name)
    _check(getattr(function, "requires", ()), program, f"pass {spec} requires")
    _check_options(function, spec)
    result = function(program, **spec.options)
    modified = result is not program
    if modified:
        _check(getattr(function, "ensures", ()), result, f"pass {spec} ensures")
    _LOG.debug("pass %s: %s", spec, "modified" if modified else "nothing to do")
    return PassResult(result, modified)


def _check_options(function: Pass, spec: PassSpec) -> None:
    parameters = list(inspect.signature(function).parameters)[1:]  # behind the program
    unknown = [name for name in spec.options if name not in parameters]
    if unknown:
        hint = f"its options: {', '.join(parameters) or 'none'}"
        raise ProgramError(f"no option {', '.join(unknown)}", where=f"pass {spec.name}", hint=hint)


def run_passes(program: Program, specs: Iterable[str | PassSpec]) -> Program:
    """Returns ``program`` after each of the passes in order.

    Raises:
        ProgramError: As `run_pass`.
    """
    for spec in specs:
        program = run_pass(program, spec).program
    return program


def run_core(program: Program) -> Program:
    """Returns ``program`` in the canonical form that quantization and backends read.

    Raises:
        ProgramError: The passes do not come to an end: a defect.
    """
    for _ in range(MOST_ROUNDS):
        program = run_passes(program, CORE)
        if next(canonical(program), None) is None:
            return program
    require_canonical(program, "the core passes")
    return program


def settled(name: str) -> Condition:
    """Returns the condition that the pass called ``name`` would change nothing."""

    def condition(program: Program) -> Iterator[Breach]:
        place = first_change(find_pass(name), program)
        if place:
            yield breach_at(program.node(place), f"is not in the form that {name} gives", name)
        elif place is not None:
            yield Breach(f"the program is not in the form that {name} gives", name)

    return condition


def canonical(program: Program) -> Iterator[Breach]:
    """Yields a node for each core pass that would change ``program``."""
    for name in dict.fromkeys(CORE):
        yield from settled(name)(program)


def require_canonical(program: Program, reader: str) -> None:
    """Checks that ``program`` is in canonical form.

    Args:
        program: The program.
        reader: Who needs it so, for the message.

    Raises:
        ProgramError: It is not; names the node and the pass to run.
    """
    _check((canonical,), program, f"{reader} requires canonical form")


def _check(conditions: Iterable[Condition], program: Program, where: str) -> None:
    for condition in conditions:
        for breach in condition(program):
            hint = "this is a defect of that pass; please report it"
            if breach.run:
                hint = f'run edgeopt.passes.run_core(program), or only the pass "{breach.run}"'
            raise ProgramError(breach.what, where=where, hint=hint)
