"""`edgeopt run`: one answer from a device, and its time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeopt.cli import options as opt

if TYPE_CHECKING:
    import numpy as np

    from edgeopt.bundles import Bundle
    from edgeopt.bundles.application import Interpreter, Prediction, Prepared
    from edgeopt.bundles.manifest import Manifest
    from edgeopt.contracts import Signature
    from edgeopt.measure import Profile

__all__ = ["run_bundle"]

_RUNS = 20
_MAX_SECONDS = 10.0


def run_bundle(
    *,
    bundle: Annotated[Path, typer.Argument(help="The bundle: a folder or a .zip.")],
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="[NAME=]FILE", help=".npy, or .npz by names."),
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="A picture, prepared as the bundle says.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="A text, likewise.")] = None,
    audio: Annotated[Path | None, typer.Option(help="A .wav file, likewise.")] = None,
    draw: Annotated[
        Path | None, typer.Option(help="Draw what was found on the picture: .png or .jpg.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help=".npy, or .npz for several outputs.")
    ] = None,
    device: Annotated[
        str, typer.Option("--device", "-d", help="local, emulated, ssh://user@host, or a name.")
    ] = "local",
    threads: opt.Threads = 0,
    public_key: opt.PublicKey = None,
    json: opt.Json = False,
) -> None:
    """Run a bundle once on a device: its answer, and the time that a run takes there."""
    from edgeopt.bundles import read_bundle  # noqa: PLC0415 (only here)
    from edgeopt.cli.show import print_json, print_rows  # noqa: PLC0415
    from edgeopt.deployment.on_device import placed  # noqa: PLC0415

    loaded_bundle = read_bundle(bundle, public_key=public_key)
    inputs, image, audio = _sorted(loaded_bundle, inputs or [], image, audio)
    signature = loaded_bundle.manifest.interface()
    value = _value(loaded_bundle, image, text, audio)
    question = Question.of(loaded_bundle, inputs, value, draw)
    if output is not None:
        _check_output(output, signature)
    with placed(loaded_bundle, device) as there:
        (outputs,) = there.play([question.arrays], threads=threads)
        program, arrays = _timed(loaded_bundle.manifest, question.arrays)
        profile = there.profile(
            runs=_RUNS, threads=threads, max_seconds=_MAX_SECONDS, inputs=arrays, program=program
        )
    if output is not None:
        _write(output, outputs, signature)
    prediction = question.prediction(outputs)
    rows = _rows(outputs, signature, profile, output)
    if json:
        told = {} if prediction is None else {"prediction": prediction.to_dict()}
        print_json({"outputs": dict(rows[:-2]), **told, **_times(profile)})
        return
    if prediction is not None:
        typer.echo(str(prediction))
    print_rows(rows)


def _timed(manifest: Manifest, arrays: list[np.ndarray]) -> tuple[int, list[np.ndarray] | None]:
    """Returns which program is timed, and on what: with state, and filled up, on its own samples.

    It is the one for inputs of these shapes, else the smallest of the method that is not smaller.
    """
    if not (manifest.variants or manifest.states):
        return 0, arrays
    size = sum(array.size for array in arrays)
    sizes = {
        number: sum(math.prod(s.shape) for s in own.signature.inputs if s.name not in own.reads)
        for number, own in enumerate(manifest.programs, 1)
        if own.method == manifest.method
    }
    larger = [number for number in sizes if sizes[number] >= size]
    number = min(larger, key=sizes.__getitem__) if larger else max(sizes, key=sizes.__getitem__)
    return number, None


def _sorted(
    bundle: Bundle, inputs: list[str], image: Path | None, audio: Path | None
) -> tuple[list[str], Path | None, Path | None]:
    """Returns what was given, a picture or a sound among ``--input`` in its own place.

    Raises:
        InputError: A file is no array, and the bundle does not say how it becomes one.
    """
    from edgeopt.bundles.files_given import kind_of, require_arrays  # noqa: PLC0415 (only here)
    from edgeopt.options import AudioPreprocess, Preprocess  # noqa: PLC0415

    spec, arrays = bundle.manifest.preprocess, []
    for word in inputs:
        path = Path(word if Path(word).exists() else word.partition("=")[2] or word)
        kind = kind_of(path)
        if kind == "picture" and image is None and isinstance(spec, Preprocess):
            image = path
        elif kind == "sound" and audio is None and isinstance(spec, AudioPreprocess):
            audio = path
        else:
            require_arrays(path, kind)
            arrays.append(word)
    return arrays, image, audio


def _value(
    bundle: Bundle, image: Path | None, text: str | None, audio: Path | None
) -> Path | str | None:
    """Returns the picture, text or sound that was given, if the bundle takes it; at most one is."""
    from edgeopt.errors import InputError  # noqa: PLC0415 (only here)
    from edgeopt.options import AudioPreprocess, Preprocess, TextPreprocess  # noqa: PLC0415

    sources = {"--image": image, "--text": text, "--audio": audio}
    named = {flag: value for flag, value in sources.items() if value is not None}
    if len(named) > 1:
        raise InputError("one of them", where=" and ".join(named))
    kinds = {"--image": Preprocess, "--text": TextPreprocess, "--audio": AudioPreprocess}
    for flag in named:
        if not isinstance(bundle.manifest.preprocess, kinds[flag]):
            hint = "pass arrays with --input, or deploy with --preprocess"
            raise InputError("the bundle does not say how it is prepared", where=flag, hint=hint)
    return next(iter(named.values()), None)


@dataclass(frozen=True)
class Question:
    """What a bundle is asked.

    Attributes:
        arrays: The inputs, in the signature's order.
        interpreter: What knows the outputs' meaning, where the bundle says it.
        prepared: What the inputs were made of.
        drawing: Where the answer is drawn.
    """

    arrays: list[np.ndarray]
    interpreter: Interpreter | None = None
    prepared: Prepared | None = None
    drawing: Path | None = None

    @classmethod
    def of(
        cls, bundle: Bundle, words: list[str], value: Path | str | None, drawing: Path | None
    ) -> Question:
        """Returns the question; a value is for the input that ``preprocess`` names.

        Raises:
            InputError: Something is missing, unknown, or cannot be read.
        """
        from edgeopt.bundles.application import Interpreter  # noqa: PLC0415 (only here)
        from edgeopt.errors import InputError  # noqa: PLC0415

        signature = bundle.manifest.interface()
        if drawing is not None and drawing.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
            raise InputError(f"{drawing.name}: expected .png or .jpg", where="--draw")
        if value is None:
            if drawing is not None:
                raise InputError("there is no picture to draw on", where="--draw", hint="--image")
            return cls(_read(words, signature))
        interpreter = Interpreter(bundle)
        if drawing is not None:
            interpreter.require_meaning()
        others = _named(words, [spec.name for spec in signature.inputs]) if words else {}
        prepared = interpreter.prepare(value, **others)
        return cls(list(prepared.arrays), interpreter, prepared, drawing)

    def prediction(self, outputs: tuple[np.ndarray, ...]) -> Prediction | None:
        """Returns what the outputs mean, drawn where asked; None where the bundle does not say it."""
        if self.interpreter is None or self.prepared is None:
            return None
        if self.interpreter.bundle.manifest.postprocess is None:
            return None
        told = self.interpreter.tell(outputs, self.prepared)
        if self.drawing is not None:
            told.draw().save(self.drawing)
        return told


def _read(words: list[str], signature: Signature) -> list[np.ndarray]:
    """Returns one array for each input, in the signature's order."""
    from edgeopt.errors import InputError  # noqa: PLC0415 (only here)

    names = [spec.name for spec in signature.inputs]
    arrays = _named(words, names)
    lacking, foreign = [n for n in names if n not in arrays], [n for n in arrays if n not in names]
    if lacking or foreign:
        what = f"missing: {', '.join(lacking)}" if lacking else f"unknown: {', '.join(foreign)}"
        raise InputError(what, where="--input", hint=f"inputs: {', '.join(names)}")
    return [arrays[name] for name in names]


def _named(words: list[str], names: list[str]) -> dict[str, np.ndarray]:
    """Returns name of an input to its array; a file without a name is of the next input."""
    arrays: dict[str, np.ndarray] = {}
    for word in words:
        name, mark, file = word.partition("=")
        if not (mark and name in names):
            name, file = next((one for one in names if one not in arrays), ""), word
        arrays |= _arrays(Path(file), name)
    return arrays


def _arrays(path: Path, name: str) -> dict[str, np.ndarray]:
    from edgeopt.boundary import read_arrays  # noqa: PLC0415 (only here)

    arrays = read_arrays(path)
    return {name: arrays[""]} if set(arrays) == {""} else arrays


def _check_output(path: Path, signature: Signature) -> None:
    from edgeopt.errors import InputError  # noqa: PLC0415 (only here)

    several = len(signature.outputs) > 1
    if path.suffix not in {".npz"} | (set() if several else {".npy"}):
        expected = "a .npz file (there are several outputs)" if several else "a .npy or .npz file"
        raise InputError(f"{path.name}: expected {expected}", where="--output")


def _write(path: Path, outputs: tuple[np.ndarray, ...], signature: Signature) -> None:
    from edgeopt.bundles.npy import write_npy, write_npz  # noqa: PLC0415 (only here)
    from edgeopt.errors import InputError  # noqa: PLC0415
    from edgeopt.files import write_file  # noqa: PLC0415

    names = [spec.name for spec in signature.outputs]
    alone = path.suffix == ".npy"
    content = write_npy(outputs[0]) if alone else write_npz(dict(zip(names, outputs, strict=True)))
    try:
        write_file(path, content)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error


def _rows(
    outputs: tuple[np.ndarray, ...], signature: Signature, profile: Profile, path: Path | None
) -> list[tuple[str, str]]:
    rows = [
        (spec.name, _shown(array)) for spec, array in zip(signature.outputs, outputs, strict=True)
    ]
    return [*rows, ("written", str(path or "nowhere: --output FILE")), ("time", str(profile))]


def _shown(array: np.ndarray) -> str:
    import numpy as np  # noqa: PLC0415 (only here)

    return f"{array.dtype}{list(array.shape)} " + np.array2string(
        array.ravel(), threshold=8, precision=4, edgeitems=4
    )


def _times(profile: Profile) -> dict[str, Any]:
    counts = {"instructions": profile.instructions, "cycles": profile.cycles}
    times = {"device": profile.device, "label": profile.label, "latency_ms": profile.latency_ms}
    return times | {unit: count for unit, count in counts.items() if count is not None}
