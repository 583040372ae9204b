"""`edgeopt deploy` and `edgeopt plan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeopt.cli import options as opt

if TYPE_CHECKING:
    from edgeopt.cli.sources import Source
    from edgeopt.deployment.request import Request
    from edgeopt.deployment.with_recipe import Cooking

__all__ = ["check_options", "deploy", "make_request", "plan"]


def deploy(
    *,
    model: opt.Model,
    target: opt.Target,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder or .zip to write [default: ./TARGET-bundle]."),
    ] = None,
    calibration_data: opt.Data = None,
    evaluate: opt.Evaluate = None,
    max_drop: Annotated[
        float | None,
        typer.Option(help="How far the score (or agreement) may fall below float's."),
    ] = None,
    precision: opt.Precision = "auto",
    backend: opt.Backend = "auto",
    device: Annotated[
        str | None,
        typer.Option("--device", "-d", help="Verify and measure there: local, emulated, pi4."),
    ] = None,
    settings: opt.Settings = None,
    threads: Annotated[int, typer.Option(help="Threads of the runtime; 0: as it likes.")] = 0,
    name: Annotated[str | None, typer.Option(help="How people call the bundle.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="The classes' names, one a line, for the bundle's runner.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="A warning fails.")] = False,
    no_speed: Annotated[
        bool, typer.Option("--no-speed", help="Do not measure beside float on this machine.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a bundle that lies there.")
    ] = False,
    with_runtime: Annotated[
        bool,
        typer.Option("--with-runtime", help="Put the device's wheels in: it needs no network."),
    ] = False,
    tune: Annotated[
        int, typer.Option(help="Trials to look for faster kernels with, where a backend does.")
    ] = 0,
    tuning_database: Annotated[
        str, typer.Option(help="Its database, or none; in the cache folder where left out.")
    ] = "",
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", help="Compress before: a name of `edgeopt recipes`, or a .toml."),
    ] = None,
    train_data: opt.TrainData = None,
    loss: opt.Loss = None,
    teacher: opt.Teacher = None,
    work: opt.Work = None,
    override: opt.Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Take a model to a checked bundle for a device."""
    from edgeopt.cli.compressing import cooking_of, with_source  # noqa: PLC0415
    from edgeopt.cli.show import print_json, print_rows, tuning_bars  # noqa: PLC0415
    from edgeopt.cli.sources import make_source  # noqa: PLC0415

    cooking = cooking_of(recipe, train_data, loss, teacher, work, override)
    place = output or Path(f"{Path(target).stem}-bundle")
    wanted: dict[str, Any] = {
        "max_drop": max_drop,
        "precision": precision,
        "backend": backend,
        "device": device,
        "output": place,
        "quantization": opt.parse_settings(settings),
        "threads": threads,
        "name": name,
        "labels": None if labels is None else _lines(labels),
        "strict": strict,
        "check_speed": not no_speed,
        "overwrite": overwrite,
        "with_runtime": with_runtime,
        "tune": tune or None,
        "tuning_database": tuning_database,
    }
    check_options(wanted, calibration_data or train_data)
    source = make_source(model, calibration_data, evaluate)
    if cooking is not None:
        cooking = with_source(cooking, source)
    if dry_run:
        _print_plan(source, target, make_request(source, wanted), as_json=json, cooking=cooking)
        return
    from edgeopt.deployment.deploy import run_deployment  # noqa: PLC0415 (torch)

    with tuning_bars(quiet=quiet) as (progress, watch):
        request = make_request(source, {**wanted, "progress": progress, "watch": watch})
        if cooking is None:
            done = run_deployment(source.model, target, request)
        else:
            from edgeopt.deployment.with_recipe import deploy_with_recipe  # noqa: PLC0415 (torch)

            done = deploy_with_recipe(source.model, target, request, cooking)
    if json:
        print_json(done.to_dict())
    else:
        print_rows(done.rows())


def plan(
    *,
    target: opt.Target,
    model: Annotated[
        str | None,
        typer.Argument(help="As for deploy; without one, its operators are not checked."),
    ] = None,
    calibration_data: opt.Data = None,
    precision: opt.Precision = "auto",
    backend: opt.Backend = "auto",
    settings: opt.Settings = None,
    json: opt.Json = False,
) -> None:
    """Print what deploy would do: backend, precision, passes, gates, and why."""
    wanted: dict[str, Any] = {
        "precision": precision,
        "backend": backend,
        "quantization": opt.parse_settings(settings),
    }
    check_options(wanted, calibration_data or model)
    from edgeopt.cli.sources import make_source  # noqa: PLC0415

    source = None if model is None else make_source(model, calibration_data, None)
    if source is None and calibration_data is not None:
        wanted["calibration_data"] = ()
    _print_plan(source, target, make_request(source, wanted), as_json=json)


def check_options(wanted: dict[str, Any], data: str | None) -> None:
    """Refuses wrong options before the model is loaded, which can take a while."""
    from edgeopt.deployment.request import Request  # noqa: PLC0415 (only here)

    known = () if data or wanted["precision"] == "int8" else None
    Request(**wanted, calibration_data=known).check()


def make_request(source: Source | None, wanted: dict[str, Any]) -> Request:
    """Returns the request with the options ``wanted``."""
    from edgeopt.deployment.request import Request  # noqa: PLC0415 (only here)

    if source is None:
        return Request(**wanted)
    return Request(
        example_inputs=source.example_inputs,
        calibration_data=source.calibration_data,
        evaluate=source.evaluate,
        **wanted,
    )


def _print_plan(
    source: Source | None,
    target: str,
    request: Request,
    *,
    as_json: bool,
    cooking: Cooking | None = None,
) -> None:
    from edgeopt.cli.show import print_json, print_rows  # noqa: PLC0415
    from edgeopt.deployment.deploy import plan_deployment  # noqa: PLC0415 (torch)

    made, _ = plan_deployment(None if source is None else source.model, target, request)
    steps = [] if cooking is None else cooking.chosen().to_dict()["steps"]
    if as_json:
        print_json({**made.to_dict(), "recipe": steps})
    else:
        lines = [("recipe", ", ".join(f"{k}={v}" for k, v in step.items())) for step in steps]
        print_rows([*made.rows(), *lines])


def _lines(path: Path) -> list[str]:
    from edgeopt.errors import InputError  # noqa: PLC0415 (only here)

    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", where=str(path)) from error
