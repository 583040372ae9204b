"""`edgeopt search`."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeopt.cli import options as opt
from edgeopt.cli.derive import Answers, Source, taking
from edgeopt.options import BundleOptions, SearchOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.searching import SearchEvent, SearchResult
    from edgeopt.searching.trials import Watch

__all__ = ["search"]


@taking(
    Source(
        SearchOptions,
        names={
            "quantization": "set",
            "backends": "backend",
            "precisions": "precision",
            "pruning": "prune",
            "checks.samples": "check-samples",
            "checks.fidelity.": "fidelity-",
        },
    )
)
def search(
    *,
    model: opt.Model,
    target: opt.Target,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Deploy the best: folder or .zip to write."),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw all trials: an .svg file to write.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a bundle that lies there.")
    ] = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    answers: Answers,
) -> None:
    """Look for the best compression under a budget: every trial is compiled, scored and timed."""
    from edgeopt.cli.show import print_json  # noqa: PLC0415
    from edgeopt.deployment.request import Request  # noqa: PLC0415

    SearchOptions(**answers.plain)  # before the model is loaded
    Request(output=output, bundle=BundleOptions(overwrite=overwrite)).check()
    options, known = _with_source(answers, model)
    bundle = BundleOptions(**known, overwrite=overwrite)
    result = _searched(options, target, quiet=quiet, picture=picture)
    deployment = None
    if output is not None and result.best is not None:
        deployment = result.deploy(output=output, bundle=bundle)
    if json:
        deployed = {} if deployment is None else {"deployment": deployment.to_dict()}
        print_json({**result.to_dict(), **deployed})
    else:
        _print(result, deployment)
    if result.stopped == "interrupted":
        typer.echo("stopped; run it again to go on from here", err=True)
        raise typer.Exit(130)


def _with_source(answers: Answers, model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the options of the search, and what is known of the model's bundle."""
    from edgeopt.cli.sources import load_source  # noqa: PLC0415

    source = load_source(model, answers)
    names = ("model", "example_inputs", "calibration_data", "evaluate")
    options = {**answers.loaded(), **{name: getattr(source, name) for name in names}}
    return options, source.bundle


def _searched(
    options: dict[str, Any], target: str, *, quiet: bool, picture: Path | None
) -> SearchResult:
    """Returns the result; the picture is drawn even where nothing keeps to the budget."""
    from edgeopt.api import search as run  # noqa: PLC0415
    from edgeopt.errors import BudgetError  # noqa: PLC0415

    try:
        with _bars(quiet=quiet) as watch:
            result = run(**options, target=target, watch=watch)
    except BudgetError as error:
        _draw(error.result, picture)
        raise
    _draw(result, picture)
    return result


def _draw(result: SearchResult, picture: Path | None) -> None:
    from edgeopt.cli.show import write_picture  # noqa: PLC0415

    if picture is not None:
        write_picture(picture, result.svg())


def _print(result: SearchResult, done: Any) -> None:
    from edgeopt.cli.show import print_columns, print_rows  # noqa: PLC0415

    print_rows([row for row in result.rows() if row[0] != "front"])
    typer.echo("\nWhat no other trial beats in score, latency and size:")
    print_columns(*result.table())
    if done is not None:
        typer.echo()
        print_rows(done.rows())


@contextmanager
def _bars(*, quiet: bool) -> Iterator[Watch | None]:
    """Shows bars, and yields what puts trials, the best so far and the time left beside the search's."""
    from edgeopt.cli.show import progress_bars  # noqa: PLC0415

    with progress_bars(quiet=quiet) as describe:
        yield None if describe is None else lambda event: describe("search", _said(event))


def _said(event: SearchEvent) -> str:
    of = f" of {event.trials}" if event.trials else ""
    minutes, seconds = divmod(round(event.left_s), 60)
    bad = f", {event.failed} failed" if event.failed else ""
    best = "none within the budget yet"
    if event.best is not None and event.best.measured is not None:
        figures = event.best.measured
        latency = "" if figures.latency_ms is None else f", {figures.latency_ms:.3g} ms"
        best = f"best {figures.score:.4f}{latency}, {figures.size_bytes / 1e6:.3g} MB"
    return f"search: trial {event.done}{of}, {best}, {minutes}:{seconds:02d} left{bad}"
