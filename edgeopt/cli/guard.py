"""Turns errors into messages and exit statuses."""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from edgeopt import errors

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEBUG", "EXIT_CODES", "exit_code", "guarded"]

DEBUG = "EDGEOPT_DEBUG"
"""With this environment variable (or ``--debug``), errors come with their traceback."""

EXIT_CODES: dict[int, str] = {
    0: "done",
    1: "a gate or a verification failed, or nothing keeps to the budget or fits",
    2: "wrong usage or input",
    3: "a plugin or a tool is missing",
    4: "a toolchain or a device failed",
    70: "a defect of edgeopt",
    130: "stopped with Ctrl-C",
}
"""Exit status to what it means."""

_BY_TYPE: tuple[tuple[type[errors.EdgeoptError], int], ...] = (
    (errors.GateError, 1),
    (errors.BudgetError, 1),
    (errors.MemoryLimitError, 1),
    (errors.BundleError, 1),
    (errors.PluginError, 3),
    (errors.CompileError, 4),
    (errors.DeviceError, 4),
)


def exit_code(error: BaseException) -> int:
    """Returns the exit status for ``error``."""
    for kind, code in _BY_TYPE:
        if isinstance(error, kind):
            return code
    return 2 if isinstance(error, errors.EdgeoptError) else 70


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Returns ``command`` so that an error is printed as its message and ends with its status."""

    @functools.wraps(command)
    def run(**given: Any) -> None:
        try:
            command(**given)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)
            raise typer.Exit(130) from None
        except BrokenPipeError:  # the reader went away, as in `edgeopt targets | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except Exception as error:  # noqa: BLE001 (the one place that reports what is left)
            _fail(error, as_json=bool(given.get("json")))

    return run


def _fail(error: Exception, *, as_json: bool) -> NoReturn:
    from edgeopt.cli.show import print_json, printable  # noqa: PLC0415 (imports this package)
    from edgeopt.cli.words import in_flags  # noqa: PLC0415

    if os.environ.get(DEBUG):
        raise error
    code = 2 if _is_the_users(error) else exit_code(error)
    if as_json:
        print_json({"error": _as_dict(error, code)})
    typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
    if isinstance(error, errors.EdgeoptError):
        typer.echo(printable(in_flags(str(error))), err=True)
        for note in getattr(error, "__notes__", []):
            typer.echo(printable(f"  {note}"), err=True)
    elif _is_the_users(error):
        typer.echo(printable(f"{error.__notes__[0]}: {type(error).__name__}: {error}"), err=True)
        typer.echo("  -> --debug shows its traceback", err=True)
    else:
        typer.echo(printable(f"{type(error).__name__}: {error}"), err=True)
        typer.echo(
            "  -> this is a defect of edgeopt: report it with the output of --debug", err=True
        )
    raise typer.Exit(code)


def _is_the_users(error: BaseException) -> bool:
    """Returns whether a function of the user's raised it."""
    notes = getattr(error, "__notes__", [])
    return not isinstance(error, errors.EdgeoptError) and any(
        note.startswith("evaluate raised this") for note in notes
    )


def _as_dict(error: Exception, code: int) -> dict[str, Any]:
    fields = {"type": type(error).__name__, "exit_code": code, "what": str(error)}
    for name in ("what", "where", "hint"):
        if getattr(error, name, None) is not None:
            fields[name] = getattr(error, name)
    deployment = getattr(error, "deployment", None)
    if deployment is not None:
        fields["deployment"] = deployment.to_dict()
    result = getattr(error, "result", None)
    if result is not None:
        fields["search"] = result.to_dict()
    report = getattr(error, "report", None)
    if report is not None:
        import msgspec  # noqa: PLC0415 (only here)

        fields["report"] = msgspec.to_builtins(report)
    return fields
