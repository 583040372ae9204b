"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeopt.cli.complete import target_names

__all__ = [
    "Cores",
    "Json",
    "MinSeconds",
    "Model",
    "Quiet",
    "Runs",
    "Target",
    "Targets",
    "Threads",
    "TrainData",
]

Model = Annotated[
    str,
    typer.Argument(
        help="A name (timm:…, torchvision:…, ultralytics:…, hf:…), package.module:function, a .pt2 file, "
        "or a program archive."
    ),
]
Target = Annotated[
    str,
    typer.Option(
        "--target",
        "-t",
        help="Name or alias of a device, host, or a .toml file.",
        autocompletion=target_names,
    ),
]
Targets = Annotated[
    list[str],
    typer.Option(
        "--target",
        "-t",
        help="Name or alias of a device, host, or a .toml file; may be repeated.",
        autocompletion=target_names,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]

TrainData = Annotated[
    str | None,
    typer.Option(help="package.module:function that returns training batches, for a recipe."),
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
