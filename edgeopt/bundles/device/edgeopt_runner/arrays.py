"""Arrays in, arrays out: files, names, shapes and dtypes, all checked."""

from __future__ import annotations

import os
import sys
import zipfile
from typing import Any

import numpy as np

from .bundle import USAGE, WRONG, Stop, open_plain

__all__ = [
    "call",
    "check_output",
    "fit_inputs",
    "read_arrays",
    "read_inputs",
    "write_output",
]


def read_arrays(path: str) -> dict[str, Any]:
    """Returns the arrays of a .npy (under the name '') or .npz file. Nothing is unpickled."""
    try:
        open_plain(path, follow=True).close()  # a pipe would hang, a device has no end
        archive = np.load(path, allow_pickle=False, mmap_mode="r")
        if not hasattr(archive, "files"):
            return {"": archive}
        with archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # numpy raises many kinds here: zip, header, memory, value
        raise Stop(USAGE, f"{path}: not a .npy or .npz file: {error}") from error


def read_inputs(given: list[str], prepared: dict[str, Any], manifest: dict[str, Any]) -> list[Any]:
    """Returns one array for each input, in order, as the command line names them.

    Args:
        given: ``FILE`` or ``NAME=FILE``; a .npz file brings names of its own.
        prepared: Name to array of inputs that are there already: of a picture, a text or a sound.
        manifest: The bundle's manifest.
    """
    names = [spec["name"] for spec in manifest["signature"]["inputs"]]
    arrays = dict(prepared)
    unnamed = []
    for word in given:
        for key, array in _named_arrays(word, names):
            if key in names and key not in arrays:
                arrays[key] = array
            elif key == "" or key.startswith("arr_"):  # numpy's own names for arrays without one
                unnamed.append(array)
            else:
                wrong = f"{word}: input {key!r} is unknown, or given twice"
                raise Stop(USAGE, wrong, f"the inputs are: {', '.join(names)}")
    rest = [name for name in names if name not in arrays]
    if len(unnamed) != len(rest):
        wrong = f"{len(arrays) + len(unnamed)} inputs given, {len(names)} needed"
        raise Stop(USAGE, wrong, f"the inputs are: {', '.join(names)}")
    arrays.update(zip(rest, unnamed))
    return [arrays[name] for name in names]


def _named_arrays(word: str, names: list[str]) -> list[tuple[str, Any]]:
    name, equals, path = word.partition("=")
    if not equals or name not in names:
        return list(read_arrays(word).items())
    return [(name, array) for array in read_arrays(path).values()]


def fit_inputs(arrays: list[Any], manifest: dict[str, Any], *, cast: bool = False) -> list[Any]:
    """Returns the arrays, dense, after checking dtypes and shapes. Casts only where asked."""
    specs = manifest["signature"]["inputs"]
    fitting = [_fit(array, spec, cast=cast) for array, spec in zip(arrays, specs)]
    if manifest["precision"].startswith("int"):
        for array, spec in zip(fitting, specs):
            _require_finite(array, spec["name"])
    return fitting


def _require_finite(array: Any, name: str) -> None:
    """Integers have no NaN: the model would answer as if it had seen a number."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = array.size - int(np.isfinite(array).sum())
        wrong = f"input {name}: {bad} of {array.size} values are NaN or infinite"
        raise Stop(
            USAGE, wrong, "a model on integers has no such numbers: look at what makes the input"
        )


def _fit(array: Any, spec: dict[str, Any], *, cast: bool) -> Any:
    name, dtype, shape = spec["name"], np.dtype(spec["dtype"]), tuple(spec["shape"])
    if array.shape != shape:
        hint = "add the batch axis: x[None]" if (1, *array.shape) == shape else ""
        raise Stop(USAGE, f"input {name}: shape {array.shape}, expected {shape}", hint)
    if array.dtype != dtype:
        possible = np.can_cast(array.dtype, dtype, "same_kind")
        if not (cast and possible):
            hint = f"--cast converts it to {dtype}" if possible else f"save it as {dtype}"
            raise Stop(USAGE, f"input {name}: dtype {array.dtype}, expected {dtype}", hint)
        print(f"input {name}: {array.dtype} converted to {dtype}", file=sys.stderr)
    return np.asarray(array, dtype, order="C")


def call(model: Any, inputs: list[Any], manifest: dict[str, Any]) -> list[Any]:
    """Returns the outputs of one run, checked against the signature."""
    try:
        outputs = model(*inputs)
    except Exception as error:
        hint = getattr(error, "hint", "")  # a runtime's own error may say what to do
        raise Stop(WRONG, f"the model failed: {error if hint else repr(error)}", hint) from error
    several = isinstance(outputs, (list, tuple))
    outputs = [np.asarray(output) for output in (outputs if several else [outputs])]
    specs = manifest["signature"]["outputs"]
    if len(outputs) != len(specs) or not all(map(_is_like, outputs, specs)):
        actual = [(tuple(out.shape), str(out.dtype)) for out in outputs]
        want = [(tuple(spec["shape"]), spec["dtype"]) for spec in specs]
        raise Stop(WRONG, f"the model returned {actual}, expected {want}")
    return outputs


def _is_like(output: Any, spec: dict[str, Any]) -> bool:
    return bool(output.shape == tuple(spec["shape"]) and output.dtype == np.dtype(spec["dtype"]))


def check_output(path: str, manifest: dict[str, Any]) -> None:
    """Raises Stop where outputs cannot be written to ``path``, before any work is done."""
    several = len(manifest["signature"]["outputs"]) > 1
    if not path.endswith(".npz" if several else (".npy", ".npz")):
        expected = "several outputs need .npz" if several else ".npy or .npz expected"
        raise Stop(USAGE, f"{path}: {expected}")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise Stop(USAGE, f"{path}: the folder {folder} does not exist")


def write_output(path: str, outputs: list[Any], manifest: dict[str, Any]) -> None:
    """Writes the outputs, whole or not at all."""
    draft = f"{path}.{os.getpid()}.tmp"
    try:
        with open(draft, "wb") as stream:
            if path.endswith(".npz"):
                names = [spec["name"] for spec in manifest["signature"]["outputs"]]
                _write_npz(stream, names, outputs)
            else:
                np.save(stream, outputs[0], allow_pickle=False)
        os.replace(draft, path)
    except OSError as error:
        if os.path.exists(draft):
            os.remove(draft)
        raise Stop(USAGE, f"{path}: cannot be written: {error}") from error


def _write_npz(stream: Any, names: list[str], arrays: list[Any]) -> None:
    """Writes what numpy.savez would, which takes some names as its options."""
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in zip(names, arrays):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
