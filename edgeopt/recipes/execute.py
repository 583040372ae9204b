"""Carries out one step of a recipe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgeopt.data.batches import split_batch
from edgeopt.data.calls import call_model
from edgeopt.errors import EdgeoptError
from edgeopt.ir import Program, capture_module
from edgeopt.ir.record import amend_step
from edgeopt.options import Distillation, PruningOptions, Training
from edgeopt.passes import run_core
from edgeopt.pruning import prune, sparsify
from edgeopt.quantization import quantize_program
from edgeopt.recipes.options import for_target, own_options, training_options
from edgeopt.recipes.steps import (
    AnyStep,
    Distill,
    Finetune,
    Prune,
    Quantize,
    Sparsify,
    TrainQuantized,
    plain,
    step_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

    from edgeopt.pruning.run import Rounds
    from edgeopt.recipes.step_inputs import Resources

__all__ = ["Scratch", "State", "as_canonical", "carry_out"]


@dataclass(frozen=True)
class State:
    """Where a model is on its way.

    Attributes:
        module: The module, None where a Program was given.
        program: The Program; None as long as only the module was changed.
    """

    module: torch.nn.Module | None
    program: Program | None = None

    def as_program(self, example_inputs: Any) -> Program:
        """Returns the Program, captured from the module where there is none yet."""
        return self.program or as_canonical(self.module, example_inputs)


@dataclass(frozen=True)
class Scratch:
    """Where a step keeps what it needs to go on after a kill.

    Attributes:
        checkpoint: Folder for the checkpoints of a training by its name; None for none.
        rounds: Keeps the module after each of several steps of pruning.
    """

    checkpoint: Callable[[str], Path | None] = lambda _: None
    rounds: Rounds | None = None


def as_canonical(model: Any, example_inputs: Any) -> Program:
    """Returns the canonical Program of a model; a Program as it is."""
    return model if isinstance(model, Program) else run_core(capture_module(model, example_inputs))


def carry_out(
    place: int, step: AnyStep, state: State, resources: Resources, scratch: Scratch
) -> State:
    """Returns the state after ``step``, the one at ``place`` of the recipe.

    Raises:
        EdgeoptError: What the step's function raises; the step is named.
    """
    try:
        return _BY_KIND[type(step)](step, state, resources, scratch)
    except EdgeoptError as error:
        here = f"steps[{place}] ({step_name(step)})"
        error.where = f"{here}: {error.where}" if error.where else here
        raise


def _prune(step: Prune, state: State, resources: Resources, scratch: Scratch) -> State:
    data = resources.data if step.importance == "taylor" else resources.inputs()
    result = prune(
        _module(state),
        resources.example_inputs,
        own_options(step, PruningOptions),
        calibration_data=data,
        target=resources.target,
        finetune=_between(step.finetune, resources, scratch),
        loss=_taylor(resources.loss),
        rounds=scratch.rounds,
    )
    if step.finetune is not None:
        amend_step(result.module, finetune=plain(step.finetune))
    return replace(state, module=result.module)


def _between(
    training: Training | None, resources: Resources, scratch: Scratch
) -> Callable[[torch.nn.Module, int], None] | None:
    """Returns what trains a module in place after each step of pruning."""
    if training is None:
        return None
    taught = Distillation(**training.to_fields())

    def finetune(module: torch.nn.Module, round_: int) -> None:
        trained = _taught(taught, module, resources, scratch, f"round-{round_}")
        module.load_state_dict(trained.state_dict())

    return finetune


def _taylor(loss: Any) -> Callable[[torch.nn.Module, Any], Any] | None:
    if loss is None:
        return None

    def of_batch(model: torch.nn.Module, batch: Any) -> Any:
        inputs, target = split_batch(batch)
        output = call_model(model, inputs, named=model)
        return loss(output, target if target is not None else batch)

    return of_batch


def _sparsify(step: Sparsify, state: State, _resources: Resources, _scratch: Scratch) -> State:
    module = sparsify(_module(state), ratio=step.ratio, pattern=step.pattern, keep=step.keep)
    return replace(state, module=module)


def _finetune(step: Finetune, state: State, resources: Resources, scratch: Scratch) -> State:
    alone = Distillation(**step.to_fields(), logits_weight=0.0)
    return replace(state, module=_taught(alone, _module(state), resources, scratch, "training"))


def _distill(step: Distill, state: State, resources: Resources, scratch: Scratch) -> State:
    return replace(state, module=_taught(step, _module(state), resources, scratch, "training"))


def _taught(
    step: Distillation, student: torch.nn.Module, resources: Resources, scratch: Scratch, name: str
) -> torch.nn.Module:
    from edgeopt.distillation import distill_student  # noqa: PLC0415 (heavy)

    options = training_options(
        step,
        evaluate=resources.evaluate,
        checkpoint=scratch.checkpoint(name),
    )
    teacher = resources.teacher or student
    return distill_student(
        student, teacher, resources.data or (), step, options, resources.loss
    ).student


def _quantize(step: Quantize, state: State, resources: Resources, _scratch: Scratch) -> State:
    program = state.as_program(resources.example_inputs)
    config = for_target(step, resources.target)
    others = () if state.module is None else resources.others(state.module)
    result = quantize_program(program, resources.inputs(), config, others)
    return replace(state, program=result)


def _train_quantized(
    step: TrainQuantized, state: State, resources: Resources, scratch: Scratch
) -> State:
    from edgeopt.qat import train_program  # noqa: PLC0415 (heavy)
    from edgeopt.recipes.imitate import imitating  # noqa: PLC0415 (heavy)

    data, loss = resources.data or (), resources.loss
    if loss is None and resources.teacher is not None:
        data, loss = imitating(resources.teacher, data)
    training = training_options(
        step,
        evaluate=resources.evaluate,
        checkpoint=scratch.checkpoint("training"),
    )
    options = step.replace(quantization=for_target(step.quantization, resources.target))
    program = state.as_program(resources.example_inputs)
    result = train_program(program, data, loss, options, training, resources.inputs())  # type: ignore[arg-type]
    return replace(state, program=result)


def _module(state: State) -> torch.nn.Module:
    if state.module is None:
        raise TypeError("no module")  # `require_all` has refused it
    return state.module


_BY_KIND: dict[type, Callable[[Any, State, Any, Scratch], State]] = {
    Prune: _prune,
    Sparsify: _sparsify,
    Finetune: _finetune,
    Distill: _distill,
    Quantize: _quantize,
    TrainQuantized: _train_quantized,
}
