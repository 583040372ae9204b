"""`edgeopt export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeopt.cli import options as opt

__all__ = ["export"]


def export(
    *,
    model: opt.Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    format: Annotated[  # noqa: A002 (the word that users know)
        str, typer.Option("--format", "-f", help="onnx, or program (an archive).")
    ] = "onnx",
    calibration_data: opt.Data = None,
    precision: Annotated[
        str, typer.Option("--precision", "-p", help="float32, int8, int8-dynamic or float16.")
    ] = "float32",
    settings: opt.Settings = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Write a model, quantized or not, in an interchange format or as a program archive."""
    from edgeopt.cli.show import print_json, print_rows, progress_bars  # noqa: PLC0415
    from edgeopt.cli.sources import load_data, load_model  # noqa: PLC0415
    from edgeopt.errors import InputError  # noqa: PLC0415

    if format not in {"onnx", "program"}:
        hint = "formats: onnx, program"
        raise InputError(f'there is no format "{format}"', where="--format", hint=hint)
    if output.exists() and not overwrite:
        raise InputError("it exists", where=str(output), hint="--overwrite replaces it")
    from edgeopt import api  # noqa: PLC0415 (only here)

    source = load_model(model)
    data = source.calibration_data if calibration_data is None else load_data(calibration_data)
    program = api.capture(source.model, source.example_inputs)
    if precision != "float32":
        chosen = {**(opt.parse_settings(settings) or {}), "precision": precision}
        with progress_bars(quiet=quiet) as progress:
            program = api.quantize(program, data, progress=progress, **chosen)
    if format == "onnx":
        api.export(program, output)
    else:
        from edgeopt.ir import save_program  # noqa: PLC0415 (torch)

        save_program(program, output)
    found = {"file": str(output), "format": format, "precision": program.precision}
    found["digest"] = program.digest
    print_json(found) if json else print_rows(list(found.items()))
