"""`edgeopt run`: one answer from a device, and its time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeopt.cli import options as opt

if TYPE_CHECKING:
    import numpy as np

    from edgeopt.contracts import Signature
    from edgeopt.measure import Profile

__all__ = ["run_bundle"]

_RUNS = 20
_MAX_SECONDS = 10.0


def run_bundle(
    *,
    bundle: Annotated[Path, typer.Argument(help="The bundle: a folder or a .zip.")],
    inputs: Annotated[
        list[str],
        typer.Option("--input", "-i", metavar="[NAME=]FILE", help=".npy, or .npz by names."),
    ],
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
    signature = loaded_bundle.manifest.signature
    arrays = _read(inputs, signature)
    if output is not None:
        _check_output(output, signature)
    with placed(loaded_bundle, device) as there:
        (outputs,) = there.run([arrays], threads=threads)
        profile = there.profile(
            runs=_RUNS, threads=threads, max_seconds=_MAX_SECONDS, inputs=arrays
        )
    if output is not None:
        _write(output, outputs, signature)
    rows = _rows(outputs, signature, profile, output)
    print_json({"outputs": dict(rows[:-2]), **_times(profile)}) if json else print_rows(rows)


def _read(words: list[str], signature: Signature) -> list[np.ndarray]:
    """Returns one array for each input, in the signature's order."""
    from edgeopt.errors import InputError  # noqa: PLC0415 (only here)

    names = [spec.name for spec in signature.inputs]
    arrays: dict[str, np.ndarray] = {}
    for word in words:
        name, mark, file = word.partition("=")
        if not (mark and name in names):
            name, file = next((one for one in names if one not in arrays), ""), word
        arrays |= _arrays(Path(file), name)
    lacking, foreign = [n for n in names if n not in arrays], [n for n in arrays if n not in names]
    if lacking or foreign:
        what = f"missing: {', '.join(lacking)}" if lacking else f"unknown: {', '.join(foreign)}"
        raise InputError(what, where="--input", hint=f"inputs: {', '.join(names)}")
    return [arrays[name] for name in names]


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
    return {"device": profile.device, "label": profile.label, "latency_ms": profile.latency_ms}
