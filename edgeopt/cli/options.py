"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgeopt.errors import InputError

__all__ = [
    "Backend",
    "Cores",
    "Data",
    "Evaluate",
    "Json",
    "Loss",
    "MinSeconds",
    "Model",
    "Overrides",
    "Precision",
    "Quiet",
    "Runs",
    "Settings",
    "Target",
    "Teacher",
    "Threads",
    "TrainData",
    "Work",
    "parse_settings",
]

Model = Annotated[
    str, typer.Argument(help="package.module:function, a .pt2 file, or a program archive.")
]
Target = Annotated[
    str, typer.Option("--target", "-t", help="Name or alias of a device, host, or a .toml file.")
]
Backend = Annotated[str, typer.Option("--backend", "-b", help="auto, or the name of a backend.")]
Precision = Annotated[
    str, typer.Option("--precision", "-p", help="auto, int8, int8-dynamic, float16 or float32.")
]
Data = Annotated[
    str | None,
    typer.Option(
        "--calibration-data",
        "-c",
        help="Real inputs: an .npz or .npy file, a folder of them, or package.module:function.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", metavar="NAME=VALUE", help="A setting of the quantization; may be repeated."
    ),
]
Evaluate = Annotated[
    str | None, typer.Option(help="package.module:function; takes a model, returns a score.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]

TrainData = Annotated[
    str | None,
    typer.Option(help="package.module:function that returns training batches, for a recipe."),
]
Loss = Annotated[
    str | None,
    typer.Option(help="package.module:function of (output, target), for a recipe."),
]
Teacher = Annotated[
    str | None,
    typer.Option(
        help="package.module:function that returns the teacher; else it is the model itself."
    ),
]
Work = Annotated[
    Path | None,
    typer.Option(help="Folder of a recipe's finished steps: a killed run goes on from there."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--override",
        metavar="STEP.OPTION=VALUE",
        help="An option of the recipe that is different; may be repeated.",
    ),
]

PublicKey = Annotated[
    Path | None, typer.Option(help="The signature beside the bundle must be of this key.")
]
Runs = Annotated[int, typer.Option(help="Runs to measure, at least.")]
Threads = Annotated[int, typer.Option(help="Threads of the runtime; 0: as it likes.")]
Cores = Annotated[
    str, typer.Option("--cores", help="Run on these cores of the device only, for example 0-3.")
]
MinSeconds = Annotated[float, typer.Option(help="Go on measuring so long.")]


def parse_settings(given: list[str] | None, where: str = "--set") -> dict[str, Any] | None:
    """Returns ``NAME=VALUE`` settings as a dict; a value may be JSON, else it is text.

    Raises:
        InputError: One has no ``=``.
    """
    import json  # noqa: PLC0415 (only here)

    found: dict[str, Any] = {}
    for text in given or ():
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise InputError(f"{text!r}: expected NAME=VALUE", where=where)
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found or None
