"""The entry point `edgeopt`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from edgeopt.cli.codegen import codegen
from edgeopt.cli.comparing import compare, history
from edgeopt.cli.compressing import compress, recipes
from edgeopt.cli.deploying import deploy, plan
from edgeopt.cli.devices import devices
from edgeopt.cli.doctor import doctor
from edgeopt.cli.explaining import explain
from edgeopt.cli.exporting import export
from edgeopt.cli.guard import DEBUG, EXIT_CODES, guarded
from edgeopt.cli.inspecting import inspect, verify
from edgeopt.cli.listing import backends, targets
from edgeopt.cli.measuring import profile
from edgeopt.cli.quiet import quieten
from edgeopt.cli.reporting import report
from edgeopt.cli.running import run_bundle
from edgeopt.cli.searching import search
from edgeopt.cli.tuning import tune, tuning

__all__ = ["app", "run"]

_STATUSES = "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())

app = typer.Typer(
    name="edgeopt",
    help="Take a trained PyTorch model to a small, fast, verified artefact on a named device.",
    epilog=f"Exit status: {_STATUSES}.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _command in (
    deploy,
    plan,
    compress,
    recipes,
    search,
    tune,
    targets,
    backends,
    inspect,
    verify,
    profile,
    report,
    explain,
    export,
    codegen,
    doctor,
):
    app.command()(guarded(_command))
app.command("run")(guarded(run_bundle))
app.command()(guarded(compare))
app.command()(guarded(history))
app.add_typer(tuning, no_args_is_help=True)
app.add_typer(devices, no_args_is_help=True)


def _version(asked: bool) -> None:  # noqa: FBT001 (typer's form of a callback)
    if asked:
        from edgeopt import __version__  # noqa: PLC0415 (only here)

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[  # noqa: ARG001 (its callback acts)
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help="Print the version."),
    ] = False,
) -> None:
    """Take a trained PyTorch model to a small, fast, verified artefact on a named device."""
    if debug:
        os.environ[DEBUG] = "1"
    else:
        quieten()


def run() -> None:
    """Runs the command line; ends the process with its exit status."""
    app()
