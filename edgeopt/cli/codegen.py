"""`edgeopt codegen`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeopt.cli import options as opt

__all__ = ["codegen"]


def codegen(
    *,
    bundle: Annotated[Path, typer.Argument(help="The bundle: a folder or a .zip.")],
    lang: Annotated[str, typer.Option("--lang", "-l", help="c, cpp, python or kotlin.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A new folder; else NAME-LANG beside you."),
    ] = None,
    program: Annotated[
        int, typer.Option("--program", help="Which program, as `inspect` counts them.")
    ] = 1,
    public_key: opt.PublicKey = None,
    json: opt.Json = False,
) -> None:
    """Write the source of an application around a bundle: pre- and postprocessing, and the call."""
    from edgeopt.bundles import read_bundle  # noqa: PLC0415 (only here)
    from edgeopt.cli.show import print_json, print_rows  # noqa: PLC0415
    from edgeopt.codegen import write_application  # noqa: PLC0415

    loaded = read_bundle(bundle, public_key=public_key)
    folder = output or Path(f"{loaded.name}-{lang}")
    project = write_application(loaded, lang, folder, program=program - 1)
    names = sorted(name for name in project.files if not name.startswith(("model/", "golden/")))
    if json:
        print_json({"folder": str(folder), "files": sorted(project.files), "notes": project.notes})
        return
    shown = [name for name in names if not name.startswith("edgeopt_runner/")]
    print_rows(
        [
            ("written", str(folder)),
            ("files", ", ".join(shown)),
            *(("note", note) for note in project.notes),
            ("next", f"{folder / 'README.md'}"),
        ]
    )
