"""`edgeopt explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeopt.cli import options as opt
from edgeopt.cli.derive import Answers, Source, taking
from edgeopt.options import DeployOptions

if TYPE_CHECKING:
    from edgeopt.cli.sources import Source as Loaded
    from edgeopt.explaining import Explanation

__all__ = ["explain"]

ASKED = ("calibration_data", "precision", "backend", "quantization", "calibration")
_BUNDLE_ONLY = "for a bundle only: a model is its own float model"
_MODEL_ONLY = "for a model only: a bundle is what it is"


@taking(Source(DeployOptions, only=ASKED, names={"quantization": "set"}))
def explain(
    *,
    what: Annotated[
        str, typer.Argument(help="A bundle (folder or .zip), or a model as for deploy.")
    ],
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="As for deploy; a bundle knows its own.")
    ] = None,
    float_model: Annotated[
        str | None,
        typer.Option("--float", help="Of a bundle: the model it was made of, or a float32 bundle."),
    ] = None,
    inputs: Annotated[
        str | None,
        typer.Option(
            "--input", "-i", help="Of a bundle: inputs to compare, as --calibration-data."
        ),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", "-d", help="Where operators are timed.")
    ] = "local",
    attributions: Annotated[
        int, typer.Option(min=0, help="On how many inputs to ask what it looks at; 0: not at all.")
    ] = 4,
    method: Annotated[
        str, typer.Option(help="Of attributions: ablation, or integrated-gradients.")
    ] = "ablation",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for explanation.json and pictures."),
    ] = None,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    answers: Answers,
) -> None:
    """Say why a model is as it is on a device: what is float, slow or lossy, and what it looks at."""
    from edgeopt.cli.show import print_json, progress_bars  # noqa: PLC0415

    options = {"device": device, "attributions": attributions, "output": output}
    options["method"] = _method(method)
    with progress_bars(quiet=quiet):
        if _is_bundle(what):
            _refuse({"--target": target, **_typed(answers)}, _MODEL_ONLY)
            explanation = _of_bundle(what, float_model, inputs, answers, options)
        else:
            _refuse({"--float": float_model, "--input": inputs}, _BUNDLE_ONLY)
            explanation = _of_model(what, target, answers, options)
    if json:
        print_json(explanation.to_dict())
    else:
        _print(explanation)


def _is_bundle(what: str) -> bool:
    from edgeopt.cli.inspecting import is_bundle  # noqa: PLC0415

    return is_bundle(Path(what))


def _method(method: str) -> str:
    from edgeopt.errors import InputError  # noqa: PLC0415
    from edgeopt.explaining.attribution import METHODS  # noqa: PLC0415
    from edgeopt.registry.suggest import did_you_mean  # noqa: PLC0415

    if method not in METHODS:
        hint = did_you_mean(method, list(METHODS)) or f"one of {', '.join(METHODS)}"
        raise InputError(f"there is no method {method}", where="--method", hint=hint)
    return method


def _typed(answers: Answers) -> dict[str, Any]:
    names = {"quantization": "--set"}
    arguments = {**answers.plain, **answers.later}
    return {names.get(key, f"--{key.replace('_', '-')}"): value for key, value in arguments.items()}


def _refuse(given: dict[str, Any], why: str) -> None:
    from edgeopt.errors import InputError  # noqa: PLC0415

    flags = [flag for flag, value in given.items() if value is not None]
    if flags:
        raise InputError(why, where=", ".join(flags), hint="leave it out")


def _of_bundle(
    path: str,
    float_model: str | None,
    inputs: str | None,
    answers: Answers,
    options: dict[str, Any],
) -> Explanation:
    from edgeopt.api import explain as ask  # noqa: PLC0415 (torch)
    from edgeopt.bundles import read_bundle  # noqa: PLC0415
    from edgeopt.cli.sources import PictureFolder, load_data, load_source  # noqa: PLC0415

    bundle, example = read_bundle(path), None
    beside: Any = None
    if float_model is not None and _is_bundle(float_model):
        beside = read_bundle(float_model)
    elif float_model is not None:
        source = load_source(float_model, answers)
        beside, example = source.model, source.example_inputs
    data = None if inputs is None else load_data(inputs)
    if isinstance(data, PictureFolder):
        data = data.prepared(bundle.manifest.preprocess)
    return ask(
        bundle, beside_float=beside, example_inputs=example, calibration_data=data, **options
    )


def _of_model(
    spec: str, target: str | None, answers: Answers, options: dict[str, Any]
) -> Explanation:
    from edgeopt.api import explain as ask  # noqa: PLC0415 (torch)
    from edgeopt.cli.sources import load_source  # noqa: PLC0415
    from edgeopt.errors import InputError  # noqa: PLC0415

    if target is None:
        raise InputError("for which device?", where="--target", hint="--target host, or rpi4 …")
    source: Loaded = load_source(spec, answers)
    arguments: dict[str, Any] = {**answers.plain, **options}
    if source.bundle:
        arguments["bundle"] = source.bundle
    return ask(
        source.model,
        target,
        example_inputs=source.example_inputs,
        calibration_data=source.calibration_data,
        **arguments,
    )


_STYLES = {
    "question": "bold cyan",
    "title": "bold",
    "evidence": "dim",
    "remedy": "green",
    "typed": "bold green",
    "note": "yellow",
}


def _print(explanation: Explanation) -> None:
    """Prints the answers: wrapped to the terminal, coloured where there is one."""
    from rich.console import Console  # noqa: PLC0415 (only here)
    from rich.text import Text  # noqa: PLC0415

    from edgeopt.cli.show import printable  # noqa: PLC0415
    from edgeopt.explaining import explanation_lines  # noqa: PLC0415
    from edgeopt.explaining.text import WIDTH, wrapped  # noqa: PLC0415

    console = Console()
    head = f"{explanation.backend} {explanation.precision} on {explanation.target}"
    console.print(Text(printable(head), style="bold"))
    for line in explanation_lines(explanation, typed="flags"):
        if line.role == "question":
            console.print()
        text = printable(wrapped(line, min(console.width, WIDTH)))
        console.print(Text(text, style=_STYLES.get(line.role, "")), soft_wrap=True)
