"""Deploys what a recipe makes of a model, compared with the model as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgeopt.contracts.storage import Precision
from edgeopt.data.batches import require_reiterable, rereadable
from edgeopt.data.binder import Binder
from edgeopt.deployment import steps
from edgeopt.deployment.deploy import deploy_beside, run_deployment
from edgeopt.deployment.method_family import has_methods
from edgeopt.deployment.pixels import refuse_pixels
from edgeopt.deployment.samples import FittingItems
from edgeopt.deployment.shape_family import captured_once, shape_relatives
from edgeopt.errors import InputError
from edgeopt.gate.metrics import MAX_SNR_DB
from edgeopt.options import (
    Calibration,
    FidelityLimits,
    QuantizationConfig,
    RecipeTraining,
    refuse,
)
from edgeopt.progress import progress_to
from edgeopt.recipes import Compressed, find_recipe, with_overrides
from edgeopt.recipes.options import own_options
from edgeopt.recipes.step_inputs import Resources
from edgeopt.recipes.steps import Quantize, step_name
from edgeopt.registry import find_target
from edgeopt.registry.schema import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

    from edgeopt.contracts import Target
    from edgeopt.data.dataset import Dataset
    from edgeopt.deployment.request import Request
    from edgeopt.deployment.result import Deployment
    from edgeopt.deployment.shape_family import Capture
    from edgeopt.ir import Program
    from edgeopt.recipes import Recipe

__all__ = ["RecipeRun", "deploy_with_recipe", "recipe_run"]

_METHODS_HINT = (
    "compress each module first, without the step quantize, and deploy what comes of it with that: "
    "Method(edgeopt.compress(module, recipe, …).module, …)"
)


class RecipeRun(RecipeTraining, frozen=True, kw_only=True):
    """A recipe and what only its steps need.

    Attributes:
        recipe: A name, a path, a table, a `Recipe`, or what `edgeopt.compress` returned.
        train_data: Training batches.
    """

    recipe: Any
    train_data: Any = None

    def chosen(self) -> Recipe:
        """Returns the recipe, with the overrides.

        Raises:
            InputError: There is none, or it is wrong.
        """
        if isinstance(self.recipe, Compressed):
            return self.recipe.recipe
        return with_overrides(find_recipe(self.recipe), self.overrides)


def recipe_run(recipe: Any, train_data: Any, training: Any) -> RecipeRun | None:
    """Returns the recipe with what its steps need; None where there is no recipe.

    Raises:
        ConfigError: Something is wrong, or was given though there is no recipe.
    """
    options = RecipeTraining.from_dict(training, where="training")
    if recipe is not None:
        return RecipeRun(recipe=recipe, train_data=train_data, **options.to_fields())
    values = {"train_data": train_data, "training": options.changes() or None}
    what, hint = "is for the steps of a recipe", 'pass recipe= too, for example recipe="cnn"'
    refuse([Problem(name, what, hint) for name, value in values.items() if value is not None])
    return None


def deploy_with_recipe(
    model: Any, target: str | Path | Target, request: Request, run: RecipeRun
) -> Deployment:
    """Returns the deployment of what a recipe makes of ``model``.

    What can be known to fail before is found out before: the recipe, the options, the target and
    the operators of the model.

    Raises:
        EdgeoptError: As `edgeopt.compress` and `edgeopt.deploy`.
    """
    recipe = run.recipe
    if has_methods(model):
        return run_deployment(model, target, _quantized_as(request, run))
    refuse_pixels(request)
    capture = captured_once()
    with progress_to(request.progress):
        if isinstance(recipe, Compressed):
            compressed = recipe
        else:
            request = _with_data(request, run)
            compressed = _compressed(model, target, request, run, capture)
        if compressed.program.precision != Precision.FLOAT32:
            request = request.replace(quantization=None, calibration=Calibration())
        job = steps.plan(compressed.program, target, _without_floor(request))
        baseline = steps.baseline(model, job, compressed.original)
        relatives = shape_relatives(job, baseline, compressed.module, capture)
        deployment = deploy_beside(job, baseline, relatives)
    return replace(deployment, compressed=compressed)


def _quantized_as(request: Request, run: RecipeRun) -> Request:
    """Returns the request for a `Method`, or several, with what the recipe's step ``quantize`` says.

    Each method is quantized on the calls of the sessions. The other steps work on one module, and call it with training
    batches: what they made of the modules can be given as methods.

    Raises:
        InputError: The recipe has other steps, or a quantization was given too.
    """
    if isinstance(run.recipe, Compressed):
        what = "what was compressed is one program, and its methods are not known"
        raise InputError(what, where="recipe", hint=_METHODS_HINT)
    recipe = run.chosen()
    others = [
        f"steps[{place}] ({step_name(step)})"
        for place, step in enumerate(recipe.steps)
        if not isinstance(step, Quantize)
    ]
    if others:
        what = f"{', '.join(others)}: on a module, not on methods with their state"
        raise InputError(what, where="recipe", hint=_METHODS_HINT)
    if run.train_data is not None:
        what = "methods are quantized on sessions, calls one after the other"
        raise InputError(what, where="train_data", hint="pass calibration_data=[session, …]")
    for step in (step for step in recipe.steps if isinstance(step, Quantize)):
        _refuse_two_quantizations(request)
        fields = own_options(step, QuantizationConfig).changes()
        precision = fields.pop("precision", step.precision)
        if request.precision not in {"auto", precision}:
            what = f'the recipe quantizes to {precision}, and precision="{request.precision}" was given'
            raise InputError(what, where="precision", hint="leave one of them out")
        request = request.replace(precision=precision, quantization=fields or None)
    return request


def _refuse_two_quantizations(request: Request) -> None:
    if request.settings():
        what = "the recipe quantizes, and quantization was given too"
        hint = "pass training=RecipeTraining(overrides={…})"
        raise InputError(what, where="quantization", hint=hint)


def _without_floor(request: Request) -> Request:
    """Returns ``request`` with a warning in place of fidelity's floor, where the user chose none.

    A recipe trains another network on purpose: outputs far from the model's may be as right as its.
    """
    if request.checks.fidelity != FidelityLimits():
        return request
    limits = FidelityLimits(min_snr_db=-MAX_SNR_DB)
    return request.replace(checks=request.checks.replace(fidelity=limits))


def _compressed(
    model: Any, target: str | Path | Target, request: Request, run: RecipeRun, capture: Capture
) -> Compressed:
    from edgeopt.recipes.compress import compress_model  # noqa: PLC0415 (torch)

    recipe = run.chosen()
    if recipe.makes_integers:
        _refuse_two_quantizations(request)
    job = steps.plan(model, target, request, fitting=False)
    resources = Resources(
        example_inputs=request.example_inputs,
        data=run.train_data,
        loss=run.loss,
        calibration_data=_first_shape(model, job),
        evaluate=request.evaluate,
        target=find_target(target),
        teacher=run.teacher,
        others=lambda module: _other_shapes(model, job, module, capture),
    )
    return compress_model(model, recipe, resources, work=run.work, resume=run.resume)


def _first_shape(model: Any, job: steps.Job) -> Any:
    """Returns the calibration data of the example's shape."""
    data = job.request.calibration_data
    if data is None or not job.request.shapes.are_any:
        return data
    return FittingItems(data, Binder.of_program(job.program, model))


def _other_shapes(
    model: Any, job: steps.Job, module: torch.nn.Module, capture: Capture
) -> Sequence[tuple[Program, Dataset]]:
    """Returns ``module`` at the further shapes, with the data of each, for a step that quantizes it."""
    return shape_relatives(job, steps.baseline(model, job), module, capture).calibration


def _with_data(request: Request, run: RecipeRun) -> Request:
    if run.train_data is not None:
        require_reiterable(run.train_data, "train_data")
    calibration = rereadable(request.calibration_data, "calibration_data")
    inputs = Resources(None, data=run.train_data, calibration_data=calibration).inputs()
    return request.replace(calibration_data=inputs)
