"""What a file is that was given as an input: seen by its content, and refused in words where it is no array."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["kind_of", "require_arrays"]

_BEGINNINGS = (
    (b"\x93NUMPY", "array"),
    (b"PK", "array"),
    (b"\xff\xd8\xff", "picture"),
    (b"\x89PNG", "picture"),
    (b"GIF8", "picture"),
    (b"BM", "picture"),
    (b"II*\x00", "picture"),
    (b"MM\x00*", "picture"),
)
_CONVERT = "np.save('x.npy', array) writes one"
_HINTS = {
    "picture": f"deploy with preprocess (--preprocess imagenet), or pass the array: {_CONVERT}",
    "sound": f"deploy with preprocess, or pass the samples as an array: {_CONVERT}",
    "text": f"--text takes a text, where the bundle says how; else pass an array: {_CONVERT}",
    "folder": "pass one file; --input may be repeated, once an input",
}


def kind_of(path: Path) -> str:
    """Returns what a file is: ``array``, ``picture``, ``sound``, ``text``, ``folder``, ``nothing``, ``empty`` or ``other``."""
    if not path.exists():
        return "nothing"
    if path.is_dir():
        return "folder"
    try:
        with path.open("rb") as stream:
            begins = stream.read(512)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    if begins[:4] == b"RIFF":
        return {b"WAVE": "sound", b"WEBP": "picture"}.get(begins[8:12], "other")
    known = next((kind for start, kind in _BEGINNINGS if begins.startswith(start)), None)
    if known is not None or not begins:
        return known or "empty"
    return "text" if begins.decode("utf-8", "ignore").isprintable() or _is_text(begins) else "other"


def require_arrays(path: Path, kind: str) -> None:
    """Refuses what is no file of arrays.

    Raises:
        InputError: It is something else; says what, and what to pass.
    """
    if kind == "array":
        return
    what = {"nothing": "no such file", "empty": "the file is empty", "folder": "it is a folder"}
    said = what.get(kind, f"it is a {kind}, not an array" if kind in _HINTS else "not an array")
    hint = _HINTS.get(kind, f"a .npy file, or an .npz of arrays by their inputs' names: {_CONVERT}")
    raise InputError(said, where=str(path), hint=hint)


def _is_text(begins: bytes) -> bool:
    text = begins.decode("utf-8", "ignore")
    return all(letter.isprintable() or letter in "\r\n\t" for letter in text)
