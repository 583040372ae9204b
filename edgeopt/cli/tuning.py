"""`edgeopt tune`, and `edgeopt tuning` for its database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeopt.cli import options as opt
from edgeopt.cli.derive import Answers, Source, taking
from edgeopt.cli.guard import guarded
from edgeopt.options import DeployOptions, TuneOptions

if TYPE_CHECKING:
    from edgeopt.contracts import TuningReport
    from edgeopt.tuning import Record

__all__ = ["tune", "tuning"]

USUAL_TRIALS = 256
"""Trials where neither trials nor minutes are given."""

Database = Annotated[
    Path | None,
    typer.Option("--database", help="The tuning database; in the cache folder where left out."),
]

tuning = typer.Typer(name="tuning", help="Look at, merge and share tuning databases.")


@taking(
    Source(TuneOptions, under="tuning"),
    Source(
        DeployOptions,
        only=("calibration_data", "calibration", "precision", "backend", "quantization", "device"),
        names={"quantization": "set"},
    ),
)
def tune(
    *,
    model: opt.Model,
    target: opt.Target = "host",
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    answers: Answers,
) -> None:
    """Look for faster kernels for a model; deploy then takes them from the database."""
    from edgeopt.cli.deploying import check_options, make_request  # noqa: PLC0415
    from edgeopt.cli.show import print_json, print_rows, tuning_bars  # noqa: PLC0415
    from edgeopt.cli.sources import load_source  # noqa: PLC0415

    budget = answers.plain.setdefault("tuning", {})
    if not budget.get("trials") and not budget.get("minutes"):
        budget["trials"] = USUAL_TRIALS
    check_options(answers, data=None)
    source = load_source(model, answers)
    from edgeopt.deployment.tune_model import tune_model  # noqa: PLC0415 (torch)

    with tuning_bars(quiet=quiet) as watch:
        request = make_request(source, answers).replace(watch=watch)
        report = tune_model(source.model, target, request)
    if json:
        import msgspec  # noqa: PLC0415 (only here)

        print_json({**msgspec.to_builtins(report), "gain": _gain(report)})
    else:
        print_rows(_rows(report))
    if report.stopped == "interrupted":
        typer.echo("stopped; run it again to go on from here", err=True)
        raise typer.Exit(130)


def _gain(report: TuningReport) -> float:
    return report.default_ms / report.best_ms if report.best_ms else 1.0


def _rows(report: TuningReport) -> list[tuple[str, str]]:
    from edgeopt.deployment.result_text import tuning_lines  # noqa: PLC0415 (only here)

    head = [("target", report.target), ("backend", report.backend)]
    kernels = [
        (
            "kernel",
            f"{k.name} ({k.count} x): {k.default_ms:.4f} -> {k.best_ms:.4f} ms, {k.trials} trials",
        )
        for k in report.kernels
        if not k.note
    ]
    return [*head, *kernels, *(("tuning", line) for line in tuning_lines(report))]


@tuning.command(name="list")
@guarded
def list_records(*, database: Database = None, json: opt.Json = False) -> None:
    """List the kernels that a database knows, with the best of each."""
    from edgeopt.cli.show import print_columns, print_json  # noqa: PLC0415 (only here)

    rows = _summary(_all_of(database))
    if json:
        print_json(rows)
        return
    header = ("kernel", "workload", "trials", "times as fast", "ms", "machine", "version")
    print_columns(header, [[str(row[name]) for name in header] for row in rows])


@tuning.command()
@guarded
def merge(
    *,
    others: Annotated[list[Path], typer.Argument(help="Databases, or exports of some.")],
    database: Database = None,
) -> None:
    """Put the trials of other databases into one; of the same trial the younger one stays."""
    from edgeopt.tuning import TuningDatabase, default_database, read_records  # noqa: PLC0415 (only here)

    sources = [
        (path, read_records(path)) for path in others
    ]  # all are sound, or nothing is written
    with TuningDatabase(database or default_database()) as goal:
        for path, records in sources:
            added = goal.add(records)
            typer.echo(f"{path}: {added} of {len(records)} trials are new in {goal.path}")


@tuning.command()
@guarded
def export(
    *,
    output: Annotated[Path, typer.Argument(help="The file: one JSON object a line.")],
    database: Database = None,
) -> None:
    """Write a database as text, for other machines and other eyes."""
    from edgeopt.tuning import export_records  # noqa: PLC0415 (only here)

    count = export_records(_all_of(database), output)
    typer.echo(f"{output}: {count} trials")


def _all_of(path: Path | None) -> list[Record]:
    from edgeopt.errors import InputError  # noqa: PLC0415 (only here)
    from edgeopt.tuning import default_database, open_database  # noqa: PLC0415

    database = open_database(path or "")
    if database is None:
        where = str(path or default_database())
        raise InputError("there is no tuning database", where=where, hint="edgeopt tune makes one")
    with database:
        return list(database.records())


def _summary(records: list[Record]) -> list[dict[str, Any]]:
    groups: dict[Any, list[Record]] = {}
    for record in records:
        groups.setdefault(record.key, []).append(record)
    return [_group(group) for group in groups.values()]


def _group(held: list[Record]) -> dict[str, Any]:
    from edgeopt.boundary import decode_json  # noqa: PLC0415 (only here)
    from edgeopt.errors import InputError  # noqa: PLC0415

    right = [r for r in held if r.status == "ok"]
    best = max(right, key=lambda r: r.gain, default=held[0])
    try:
        facts = decode_json(best.key.machine, dict[str, Any], where="machine")
        machine = f"{facts.get('mcpu') or facts.get('arch')}, {facts.get('cores')} cores"
    except InputError:
        machine = best.key.machine[:40]
    return {
        "kernel": best.name,
        "workload": best.key.workload[:12],
        "trials": len([r for r in held if r.choices != "default"]),
        "times as fast": f"{max(best.gain, 1.0):.2f}" if right else "-",
        "ms": f"{1e3 * best.seconds:.4f}" if best.seconds else "-",
        "machine": machine,
        "version": best.key.version,
    }
