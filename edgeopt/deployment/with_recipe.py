"""Deploys what a recipe makes of a model, compared with the model as it was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgeopt.deployment.deploy import plan_deployment, run_deployment
from edgeopt.errors import InputError
from edgeopt.recipes import Compressed, find_recipe, with_overrides
from edgeopt.registry import find_target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgeopt.contracts import Target
    from edgeopt.deployment.request import Request
    from edgeopt.deployment.result import Deployment
    from edgeopt.recipes import Recipe

__all__ = ["Cooking", "deploy_with_recipe"]


@dataclass(frozen=True)
class Cooking:
    """A recipe and what only its steps need; `edgeopt.deploy` and `edgeopt.compress` document it.

    Attributes:
        recipe: A name, a path, a table, a `Recipe`, or what `edgeopt.compress` returned.
        train_data: Training batches.
        loss: ``loss(output, target)``.
        teacher: What students learn from.
        work: Folder of finished steps.
        resume: Whether to go on there.
        overrides: Options that are different.
    """

    recipe: Any
    train_data: Any = None
    loss: Any = None
    teacher: Any = None
    work: Path | str | None = None
    resume: bool = True
    overrides: Mapping[str, Any] | None = None

    def chosen(self) -> Recipe:
        """Returns the recipe, with the overrides.

        Raises:
            InputError: There is none, or it is wrong.
        """
        if isinstance(self.recipe, Compressed):
            return self.recipe.recipe
        return with_overrides(find_recipe(self.recipe), self.overrides or {})


def deploy_with_recipe(
    model: Any, target: str | Path | Target, request: Request, cooking: Cooking
) -> Deployment:
    """Returns the deployment of what a recipe makes of ``model``.

    What can be known to fail before is found out before: the recipe, the options, the target and
    the operators of the model.

    Raises:
        EdgeoptError: As `edgeopt.compress` and `edgeopt.deploy`.
    """
    held = cooking.recipe
    if isinstance(held, Compressed):
        made = held
    else:
        request = _with_data(request, cooking)
        made = _compressed(model, target, request, cooking)
    request = replace(request, original=(model, made.original))
    if made.program.precision != "float32":
        request = replace(request, quantization=None)
    done = run_deployment(made.program, target, request)
    return replace(done, compressed=made)


def _compressed(
    model: Any, target: str | Path | Target, request: Request, cooking: Cooking
) -> Compressed:
    from edgeopt.recipes.compress import compress_model  # noqa: PLC0415 (torch)
    from edgeopt.recipes.given import Given  # noqa: PLC0415 (torch)

    recipe = cooking.chosen()
    if recipe.makes_integers and request.quantization is not None:
        what = "the recipe quantizes, and quantization was given too"
        raise InputError(what, where="quantization", hint="pass overrides= for the recipe's step")
    plan_deployment(model, target, request)
    given = Given(
        example_inputs=request.example_inputs,
        data=cooking.train_data,
        loss=cooking.loss,
        calibration_data=request.calibration_data,
        evaluate=request.evaluate,
        target=find_target(target),
        teacher=cooking.teacher,
        progress=request.progress,
    )
    return compress_model(model, recipe, given, work=cooking.work, resume=cooking.resume)


def _with_data(request: Request, cooking: Cooking) -> Request:
    from edgeopt.recipes.given import Given, readable_again  # noqa: PLC0415 (torch)

    data = readable_again(cooking.train_data, "train_data")
    held = readable_again(request.calibration_data, "calibration_data")
    inputs = Given(None, data=data, calibration_data=held).inputs()
    return replace(request, calibration_data=inputs)
