"""`edgeopt.compress`: carries out a recipe, step by step."""

from __future__ import annotations

import copy
import time
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.data.batches import require_reiterable, rereadable
from edgeopt.data.calls import infer_example_inputs
from edgeopt.errors import InputError
from edgeopt.progress import report_progress
from edgeopt.pruning import record_sparsity
from edgeopt.recipes.execute import Scratch, State, as_canonical, carry_out
from edgeopt.recipes.measure import figures
from edgeopt.recipes.result import Compressed, Figures, StepRecord
from edgeopt.recipes.step_inputs import Resources, require_all
from edgeopt.recipes.steps import AnyStep, Sparsify, plain, step_name
from edgeopt.recipes.work import Work
from edgeopt.training.randomness import random_state, restore_random_state, seed_epoch

if TYPE_CHECKING:
    from pathlib import Path

    from edgeopt.ir import Program
    from edgeopt.recipes.recipe import Recipe

__all__ = ["compress_model"]


def compress_model(
    model: Any,
    recipe: Recipe,
    resources: Resources,
    *,
    work: Path | str | None = None,
    resume: bool = True,
) -> Compressed:
    """Returns what ``recipe`` makes of ``model``; `edgeopt.compress` documents the arguments.

    Raises:
        EdgeoptError: What a step raises; it is named.
    """
    start, resources = _start(model, resources)
    is_module = start.module is not None
    require_all(recipe, resources, is_module=is_module)
    original = start.as_program(resources.example_inputs)  # what cannot be captured fails here
    teacher = resources.teacher
    if teacher is None and is_module:
        resources = replace(resources, teacher=copy.deepcopy(start.module))
    target = "" if resources.target is None else resources.target.name
    source = model if is_module else start.program
    folder = work and Work(work, recipe, source, target=target, teacher=teacher)
    run = _Run(recipe, resources, folder or None)
    with folder.held(resume=resume) if folder else nullcontext():
        records = run.all(start)
    return Compressed(run.program(), run.state.module, original, tuple(records), recipe)


def _start(model: Any, resources: Resources) -> tuple[State, Resources]:
    if isinstance(model, torch.nn.Module):
        example = resources.example_inputs
        example = infer_example_inputs(model) if example is None else example
        state = State(copy.deepcopy(model).eval())
    else:
        example = resources.example_inputs
        state = State(None, as_canonical(model, example))
    if state.module is not None and example is None:
        raise InputError(
            f"{type(model).__name__} does not say what it takes",
            where="example_inputs",
            hint="pass example_inputs=(tensor,) with the shape and dtype it will see on the device",
        )
    if resources.data is not None:
        require_reiterable(resources.data, "data")
    _require_functions(evaluate=resources.evaluate, loss=resources.loss)
    return state, replace(
        resources,
        example_inputs=example,
        calibration_data=rereadable(resources.calibration_data, "calibration_data"),
    )


def _require_functions(**functions: Any) -> None:
    for name, function in functions.items():
        if function is not None and not callable(function):
            what = f"expected a function, got a {type(function).__name__}"
            raise InputError(what, where=name)


class _Run:
    """One recipe under way."""

    def __init__(self, recipe: Recipe, resources: Resources, work: Work | None) -> None:
        self.recipe, self.resources, self.work = recipe, resources, work
        self.state = State(None)

    def all(self, start: State) -> list[StepRecord]:
        self.state = start
        before = self._first()
        records = []
        for place, step in enumerate(self.recipe.steps):
            record = self._finished(place) or self._do(place, step, before)
            records.append(record)
            before = record.after
        return records

    def program(self) -> Program:
        """Returns the Program at the end, with each weight's sparsity where there is some."""
        program = self.state.as_program(self.resources.example_inputs)
        sparse = any(isinstance(step, Sparsify) for step in self.recipe.steps)
        return record_sparsity(program) if sparse else program

    def _first(self) -> Figures:
        record = self.work.start() if self.work else None
        if record is not None:
            return record
        result = figures(self.state, self.resources)
        if self.work:
            self.work.keep_start(result)
        return result

    def _finished(self, place: int) -> StepRecord | None:
        result = self.work.finished(place, self.state) if self.work else None
        if result is None:
            return None
        self.state, record = result
        self._progress(place + 1)
        return record

    def _do(self, place: int, step: AnyStep, before: Figures) -> StepRecord:
        self._progress(place)
        scratch = self.work.scratch(place, self.state.module) if self.work else Scratch()
        began = time.monotonic()
        randomness = random_state()
        try:
            seed_epoch(0, place, 0, self.resources.data)
            self.state = carry_out(place, step, self.state, self.resources, scratch)
        finally:
            restore_random_state(*randomness)
        seconds = time.monotonic() - began
        settings = plain(step)
        after = figures(self.state, self.resources)
        record = StepRecord(step_name(step), settings, before, after, round(seconds, 3))
        if self.work:
            self.work.keep(place, self.state, record)
        self._progress(place + 1)
        return record

    def _progress(self, done: int) -> None:
        report_progress("recipe", done, len(self.recipe.steps))
