"""`edgeopt export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeopt.cli import options as opt
from edgeopt.cli.derive import Answers, Source, taking
from edgeopt.contracts.storage import Precision
from edgeopt.options import CommonOptions

__all__ = ["export"]


@taking(
    Source(CommonOptions, only=("calibration_data", "quantization"), names={"quantization": "set"})
)
def export(
    *,
    model: opt.Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    format: Annotated[  # noqa: A002 (the word that users know)
        str, typer.Option("--format", "-f", help="onnx, or program (an archive).")
    ] = "onnx",
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            "-p",
            help="float32, int8, int16x8, int8-dynamic, int4-dynamic or float16.",
        ),
    ] = "float32",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    answers: Answers,
) -> None:
    """Write a model, quantized or not, in an interchange format or as a program archive."""
    from edgeopt.cli.show import print_json, print_rows, progress_bars  # noqa: PLC0415
    from edgeopt.cli.sources import load_source  # noqa: PLC0415
    from edgeopt.errors import InputError  # noqa: PLC0415

    if format not in {"onnx", "program"}:
        hint = "formats: onnx, program"
        raise InputError(f'there is no format "{format}"', where="--format", hint=hint)
    if output.exists() and not overwrite:
        raise InputError("it exists", where=str(output), hint="--overwrite replaces it")
    from edgeopt import api  # noqa: PLC0415 (only here)

    source = load_source(model, answers)
    program = api.capture(source.model, source.example_inputs)
    if precision != Precision.FLOAT32:
        settings = {**answers.plain.get("quantization", {}), "precision": precision}
        with progress_bars(quiet=quiet):
            program = api.quantize(program, source.calibration_data, **settings)
    if format == "onnx":
        api.export(program, output)
    else:
        from edgeopt.ir import save_program  # noqa: PLC0415 (torch)

        save_program(program, output)
    result = {"file": str(output), "format": format, "precision": program.precision}
    result["digest"] = program.digest
    print_json(result) if json else print_rows(list(result.items()))
