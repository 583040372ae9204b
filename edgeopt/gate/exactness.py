"""Operator by operator: does an artefact compute each operator as the reference does?

End to end, a difference in one operator is carried on by all behind it, and nobody can tell a wrong
operator from the last bits of a right one. Here every operator runs alone, on the inputs that it has
in the reference. One that runs on integers, or only moves values, must give the reference's, each
of them. One that runs in float must lie within `FLOAT_BOUND` of what it adds up; where its result is
rounded to a grid, within that of the half step that rounding takes.

Operators are compiled many at a time, as a program whose inputs are theirs: that costs about what
the model itself does.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import torch

from edgeopt.gate.operator_bench import OperatorBench
from edgeopt.gate.operator_exactness import FLOAT_BOUND, OperatorExactness
from edgeopt.ir.excerpt import inputs_of, outputs_of, units
from edgeopt.progress import progress_to, report_progress, silent

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from edgeopt.contracts import Backend, Target
    from edgeopt.gate.metrics import Arrays
    from edgeopt.ir import Program
    from edgeopt.ir.excerpt import Unit
    from edgeopt.ir.kernel_kind import Kind

__all__ = ["FLOAT_BOUND", "Exactness", "OperatorExactness", "check_exactness"]

AT_ONCE = 64
"""Operators that are compiled together."""
AT_ONCE_BYTES = 256 << 20
"""What their inputs and outputs may take together."""


class Exactness(msgspec.Struct, frozen=True):
    """What came of running each operator alone.

    Attributes:
        where: What ran them, for example ``tflite on this machine``.
        operators: One entry for each that was run, in the program's order.
        samples: Number of inputs of the program that their inputs come from.
        left_out: How many were not run because others are alike but for constants and parameters.
    """

    where: str
    operators: tuple[OperatorExactness, ...]
    samples: int
    left_out: int = 0

    @property
    def ok(self) -> bool:
        """Whether each computes what the reference does."""
        return not self.faults

    @property
    def faults(self) -> tuple[OperatorExactness, ...]:
        """Those that do not, the worst first."""
        bad = [one for one in self.operators if not one.ok]
        return tuple(sorted(bad, key=lambda one: (-one.share, -one.max_error)))

    def by_operator(self) -> tuple[OperatorExactness, ...]:
        """Returns one line for each operator and kind, with all its calls taken together."""
        groups: dict[tuple[str, Kind], list[OperatorExactness]] = {}
        for one in self.operators:
            groups.setdefault((one.operator, one.kind), []).append(one)
        return tuple(_together(members) for members in groups.values())

    def __str__(self) -> str:
        more = f", {self.left_out} alike left out" if self.left_out else ""
        head = f"{len(self.operators)} operators, {self.samples} samples, {self.where}{more}"
        return "\n".join(
            [f"{head}: {len(self.faults)} not as the reference", *map(str, self.faults)]
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns all of it as plain JSON types."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {**plain, "ok": self.ok}


def check_exactness(
    program: Program,
    backend: Backend,
    target: Target,
    samples: Sequence[Arrays],
    *,
    alike: int | None = None,
    bound: float = FLOAT_BOUND,
) -> Exactness:
    """Returns how each operator that ``backend`` makes of ``program`` compares with the reference.

    What surrounds an operator in the model does not surround it here: a kernel into which the
    runtime folds several operators is run operator by operator.

    Args:
        program: Before the backend's target passes.
        backend: What compiles and runs it, on this machine.
        target: What it is compiled for; this machine must be able to run that.
        samples: Inputs of the program, one tuple of arrays each.
        alike: How many to run of operators that differ in constants and parameters alone; None for
            all of them.
        bound: What a float operator may err, beside the size of what it adds up.
    """
    with progress_to(silent):  # what is told of are operators
        lowered = backend.lower(program, target).program
    chosen, left_out = _chosen(lowered, alike)
    bench = OperatorBench(lowered, backend, target, bound)
    batches = list(_batches(lowered, chosen))
    done = 0
    for batch in batches:
        with progress_to(silent):
            bench.run(batch, samples)
        done += len(batch)
        report_progress("operators", done, len(chosen))
    return Exactness(f"{backend.name} on this machine", bench.operators, len(samples), left_out)


def _chosen(program: Program, alike: int | None) -> tuple[list[Unit], int]:
    """Returns the operators to run, and how many are left out."""
    every = list(units(program))
    if alike is None:
        return every, 0
    seen: Counter[Hashable] = Counter()
    chosen = []
    for unit in every:
        key = _likeness(program, unit)
        seen[key] += 1
        if seen[key] <= alike:
            chosen.append(unit)
    return chosen, len(every) - len(chosen)


def _likeness(program: Program, unit: Unit) -> Hashable:
    """Returns what operators have in common that differ in constants and parameters alone."""

    def described(value: torch.fx.Node) -> Any:
        spec = program.quant.get(value.name)
        tensor = value.meta["val"]
        shape = tuple(tensor.shape) if isinstance(tensor, torch.Tensor) else ()
        storage = None if spec is None else spec.storage.name
        return (value.name in program.constants, shape, str(getattr(tensor, "dtype", "")), storage)

    parts = []
    for node in unit:
        arguments = torch.fx.node.map_arg((node.args, node.kwargs), described)
        parts.append((str(node.target), repr(arguments), described(node)))
    return tuple(parts)


def _batches(program: Program, chosen: Sequence[Unit]) -> Iterator[list[Unit]]:
    batch: list[Unit] = []
    used = 0
    for unit in chosen:
        bytes_ = sum(_bytes(n) for n in (*inputs_of(program, unit), *outputs_of(unit)))
        if batch and (len(batch) == AT_ONCE or used + bytes_ > AT_ONCE_BYTES):
            yield batch
            batch, used = [], 0
        batch.append(unit)
        used += bytes_
    if batch:
        yield batch


def _bytes(node: torch.fx.Node) -> int:
    value = node.meta.get("val")
    return value.numel() * value.element_size() if isinstance(value, torch.Tensor) else 0


def _together(members: Sequence[OperatorExactness]) -> OperatorExactness:
    failures = [one.failure for one in members if one.failure]
    return OperatorExactness(
        node=f"{len(members)} calls",
        operator=members[0].operator,
        kind=members[0].kind,
        values=sum(one.values for one in members),
        differing=sum(one.differing for one in members),
        max_steps=max(one.max_steps for one in members),
        max_error=max(one.max_error for one in members),
        bound=members[0].bound,
        failure=failures[0] if failures else "",
    )
