"""What is wrong with a recipe, in a person's words: every field, before any work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.errors import ConfigError
from edgeopt.recipes.steps import STEPS
from edgeopt.registry.schema import Problem, shown
from edgeopt.registry.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["wrong_fields"]

FIELDS = ("format", "name", "description", "steps")


def wrong_fields(table: Any) -> list[Problem]:
    """Returns everything that is wrong with ``table``, the content of a recipe's file."""
    if not isinstance(table, dict):
        return [Problem("recipe", f"expected a table, got {shown(table)}")]
    return list(_head(table)) or list(_steps(table["steps"]))


def _head(table: dict[str, Any]) -> Iterator[Problem]:
    if table.get("format", 1) != 1:
        hint = "update edgeopt, or write the recipe in a format that it knows"
        yield Problem("format", f"expected a known format (1), got {shown(table['format'])}", hint)
        return
    for name in ("name", "description"):
        if not isinstance(table.get(name, ""), str):
            yield Problem(name, f"expected a string, got {shown(table[name])}")
    for name in table:
        if name not in FIELDS:
            what = f'expected one of the fields {", ".join(FIELDS)}, got "{name}"'
            yield Problem(name, what, did_you_mean(name, FIELDS))
    steps = table.get("steps")
    if not isinstance(steps, list | tuple) or not steps:
        actual = "nothing" if not steps else shown(steps)
        hint = '[[steps]] begins one; its first line is step = "prune", for example'
        yield Problem("steps", f"expected at least one step, got {actual}", hint)


def _steps(steps: Sequence[Any]) -> Iterator[Problem]:
    has_problems = False
    for place, step in enumerate(steps):
        for problem in _step(step):
            has_problems = True
            path = f"steps[{place}]{f'.{problem.path}' if problem.path else ''}"
            yield problem._replace(path=path)
    if not has_problems:
        yield from _order([str(step["step"]) for step in steps])


def _step(step: Any) -> Iterator[Problem]:
    if not isinstance(step, dict):
        yield Problem("", f"expected a table, got {shown(step)}")
        return
    name, every = step.get("step"), ", ".join(STEPS)
    if not isinstance(name, str) or name not in STEPS:
        actual = "nothing" if name is None else shown(name)
        near = did_you_mean(name, list(STEPS)) if isinstance(name, str) else None
        yield Problem("step", f"expected one of {every}, got {actual}", near)
        return
    try:
        STEPS[name].from_dict({k: v for k, v in step.items() if k != "step"})
    except ConfigError as error:
        yield from error.problems


def _order(names: list[str]) -> Iterator[Problem]:
    """Yields what cannot follow what."""
    program = sparse = trained = ""
    for place, name in enumerate(names):
        path = f"steps[{place}].step"
        level = STEPS[name].level
        if program and level == "module":
            what = f"{name} works on the module, and {program} has made a Program of it"
            yield Problem(path, what, f"put it before {program}")
        elif trained or (name == "quantize" and program):
            what = f"nothing is left to do for {name} after {trained or program}"
            yield Problem(path, what, "leave one of them out")
        elif sparse and name in {"finetune", "distill", "prune", "train_quantized"}:
            what = f"{name} would fill the zeros that sparsify has made"
            yield Problem(path, what, "put sparsify after what trains")
        program = name if level == "program" else program
        trained = name if name == "train_quantized" else trained
        sparse = name if name == "sparsify" else sparse
