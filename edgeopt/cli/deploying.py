"""`edgeopt deploy` and `edgeopt plan`."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeopt.cli import options as opt
from edgeopt.cli.derive import Answers, Source, taking
from edgeopt.cli.flags import NAMES
from edgeopt.contracts.storage import Precision
from edgeopt.options import DeployOptions, RecipeTraining

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.cli.sources import Source as Loaded
    from edgeopt.deployment.memory import MemoryReport
    from edgeopt.deployment.recipe_deployment import RecipeRun
    from edgeopt.deployment.request import Request
    from edgeopt.deployment.result import Deployment

__all__ = ["NAMES", "check_options", "deploy", "make_request", "plan"]


_Picture = Annotated[
    Path | None,
    typer.Option(
        "--picture", help="Draw a microcontroller's RAM over time: an .svg file to write."
    ),
]


@taking(
    Source(DeployOptions, names=NAMES),
    Source(RecipeTraining, under="training", names={"training.overrides": "override"}),
)
def deploy(
    *,
    model: opt.Model,
    target: opt.Targets,
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", help="Compress before: a name of `edgeopt recipes`, or a .toml."),
    ] = None,
    train_data: opt.TrainData = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    picture: _Picture = None,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    answers: Answers,
) -> None:
    """Take a model to a checked bundle for a device."""
    from edgeopt.cli.compressing import recipe_of  # noqa: PLC0415
    from edgeopt.cli.show import print_json, print_rows, tuning_bars  # noqa: PLC0415
    from edgeopt.cli.sources import load_source  # noqa: PLC0415

    names = [name for word in target for name in word.split(",") if name]
    if len(names) == 1:
        answers.plain.setdefault("output", f"{Path(names[0]).stem}-bundle")
    else:
        answers.plain.setdefault("output", "bundles")
    run = recipe_of(recipe, train_data, answers)
    check_options(answers, data=train_data)
    source = load_source(model, answers)
    request = make_request(source, answers)
    if dry_run:
        for name in names:
            _print_plan(source, name, request, as_json=json, run=run, picture=picture)
        return
    from edgeopt.deployment.deploy import run_deployment  # noqa: PLC0415 (torch)
    from edgeopt.deployment.targets import deploy_each  # noqa: PLC0415 (torch)

    def one(target: Any, request: Request) -> Deployment:
        with _drawn(target, request, picture):
            if run is None:
                return run_deployment(source.model, target, request)
            from edgeopt.cli.compressing import with_source  # noqa: PLC0415
            from edgeopt.deployment.recipe_deployment import deploy_with_recipe  # noqa: PLC0415 (torch)

            return deploy_with_recipe(source.model, target, request, with_source(run, source))

    with tuning_bars(quiet=quiet) as watch:
        request = request.replace(watch=watch)
        results = (
            {names[0]: one(names[0], request)}
            if len(names) == 1
            else deploy_each(names, request, one)
        )
    for result in results.values():
        _draw(result.memory, picture)
    if json:
        told = {name: result.to_dict() for name, result in results.items()}
        print_json(next(iter(told.values())) if len(told) == 1 else told)
        return
    from edgeopt.cli.words import in_flags  # noqa: PLC0415

    for result in results.values():
        advice = {"warning", "diagnosis"}
        rows = [*result.rows(), *_report_row(result)]
        print_rows([(what, in_flags(text) if what in advice else text) for what, text in rows])


def _report_row(result: Deployment) -> list[tuple[str, str]]:
    """Returns how to look at all of it."""
    if result.bundle is None:
        return []
    return [("report", f"edgeopt report {shlex.quote(str(result.bundle.path))} --open")]


PLANNED = (
    *("calibration_data", "precision", "backend", "quantization", "calibration"),
    *("max_drop", "max_flash_kb", "max_ram_kb"),
)


@taking(Source(DeployOptions, only=PLANNED, names=NAMES))
def plan(
    *,
    target: opt.Target,
    model: Annotated[
        str | None,
        typer.Argument(help="As for deploy; without one, its operators are not checked."),
    ] = None,
    picture: _Picture = None,
    json: opt.Json = False,
    answers: Answers,
) -> None:
    """Print what deploy would do: backend, precision, passes, gates, and why."""
    from edgeopt.cli.sources import load_source  # noqa: PLC0415

    check_options(answers, data=model)
    source = None
    if model is not None:
        source = load_source(model, answers)
    elif answers.later:
        answers.plain["calibration_data"] = ()
    _print_plan(source, target, make_request(source, answers), as_json=json, picture=picture)


def check_options(answers: Answers, data: str | None) -> None:
    """Refuses wrong options before the model is loaded, which can take a while.

    Args:
        answers: What was typed.
        data: Other data that may be calibrated on, if any.
    """
    from edgeopt.deployment.request import Request  # noqa: PLC0415 (only here)

    fields = _request_fields(answers.plain)
    # with a model come inputs, perhaps: only when it is loaded can int8 lack any
    promised = (
        data or "calibration_data" in answers.later or fields.get("precision") == Precision.INT8
    )
    Request(**fields, calibration_data=() if promised else None).check()


def make_request(source: Loaded | None, answers: Answers) -> Request:
    """Returns the request with the options that were typed."""
    from edgeopt.deployment.request import Request  # noqa: PLC0415 (only here)

    fields = _request_fields(answers.plain)
    if source is not None:
        names = ("example_inputs", "calibration_data", "evaluate")
        fields |= {name: getattr(source, name) for name in names}
        fields["bundle"] = {**source.bundle, **fields.get("bundle", {})}
    return Request(**fields)


def _request_fields(plain: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in plain.items() if name != "training"}


def _print_plan(
    source: Loaded | None,
    target: str,
    request: Request,
    *,
    as_json: bool,
    run: RecipeRun | None = None,
    picture: Path | None = None,
) -> None:
    from edgeopt.cli.show import print_json, print_rows  # noqa: PLC0415
    from edgeopt.deployment.deploy import plan_deployment  # noqa: PLC0415 (torch)

    model = None if source is None else source.model
    with _drawn(target, request, picture):
        deployment_plan, _ = plan_deployment(model, target, request, fitting=run is None)
    _draw(deployment_plan.memory, picture)
    steps = [] if run is None else run.chosen().to_dict()["steps"]
    if as_json:
        print_json({**deployment_plan.to_dict(), "recipe": steps})
    else:
        lines = [("recipe", ", ".join(f"{k}={v}" for k, v in step.items())) for step in steps]
        print_rows([*deployment_plan.rows(), *lines])


def _draw(memory: MemoryReport | None, picture: Path | None) -> None:
    """Draws RAM over time, where a picture is asked for.

    Raises:
        InputError: It is not known, or cannot be written.
    """
    from edgeopt.cli.show import write_picture  # noqa: PLC0415
    from edgeopt.errors import InputError  # noqa: PLC0415

    if picture is None:
        return
    if memory is None:
        raise InputError("what the model takes of RAM is not known", where="--picture")
    write_picture(picture, memory.svg())


@contextmanager
def _drawn(target: str, request: Request, picture: Path | None) -> Iterator[None]:
    """Draws RAM over time of a model that is refused for it, and lets the error pass."""
    from edgeopt.errors import MemoryLimitError  # noqa: PLC0415

    try:
        yield
    except MemoryLimitError as error:
        from edgeopt.deployment.memory import MemoryReport, limits_of  # noqa: PLC0415
        from edgeopt.registry import find_target  # noqa: PLC0415

        limits = limits_of(find_target(target), request)
        if limits is not None and error.use is not None:
            _draw(MemoryReport(error.use, limits), picture)
        raise
