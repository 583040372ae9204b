"""What the command line names (a picture, texts, a sound) as inputs, and what is known of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .audio import read_audio
from .bundle import USAGE, WRONG, Stop
from .picture import Placement, read_image
from .programs import interfaces
from .text import Tokens, read_tokenizer

__all__ = ["Prepared", "prepare"]


class Prepared(NamedTuple):
    """Inputs that were prepared.

    Attributes:
        arrays: Name of an input to its array.
        each: Whether axis 0 of the arrays counts runs: of several texts, of a sound's frames.
        placement: Where the picture lies in the input.
        picture: The picture itself, as Pillow has it.
        mask: Name of the input that is 1 where a token is.
    """

    arrays: dict[str, Any]
    each: bool = False
    placement: Placement | None = None
    picture: Any = None
    mask: str = ""


def prepare(args: Any, root: str, manifest: dict[str, Any]) -> Prepared:
    """Returns the inputs of ``--image``, ``--text`` or ``--audio``; none where none is given."""
    sources = [name for name in ("image", "text", "audio") if getattr(args, name, None)]
    if len(sources) > 1:
        raise Stop(USAGE, f"--{sources[0]} and --{sources[1]}: one of them")
    if not sources:
        return Prepared({})
    try:
        return {"image": _image, "text": _texts, "audio": _audio}[sources[0]](args, root, manifest)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        what = f"manifest.json: preprocess cannot be followed: {error!r}"
        raise Stop(WRONG, what, "copy the bundle again") from error


def _image(args: Any, _root: str, manifest: dict[str, Any]) -> Prepared:
    name, array, placement, picture = read_image(args.image, manifest)
    return Prepared({name: _typed(name, array, manifest)}, placement=placement, picture=picture)


def _typed(name: str, array: Any, manifest: dict[str, Any]) -> Any:
    """Returns float values in the input's own precision."""
    specs = {spec["name"]: np.dtype(spec["dtype"]) for spec in manifest["signature"]["inputs"]}
    both = array.dtype.kind == "f" and specs[name].kind == "f"
    return array.astype(specs[name]) if both else array


def _texts(args: Any, root: str, manifest: dict[str, Any]) -> Prepared:
    spec = manifest.get("preprocess")
    if not spec or spec.get("kind") != "text":
        wrong = "this bundle does not say how a text is prepared"
        raise Stop(USAGE, wrong, "prepare it yourself and pass .npy files with --input")
    tokens = Tokens(read_tokenizer(root, spec), spec, interfaces(manifest, args.method))
    length = max(tokens.length(text) for text in args.text)  # one for all, so that they stack
    rows = [tokens(text, length) for text in args.text]
    each = len(rows) > 1
    arrays = {n: np.stack([row[n] for row in rows]) if each else rows[0][n] for n in rows[0]}
    return Prepared(arrays, each, mask=spec["mask"])


def _audio(args: Any, _root: str, manifest: dict[str, Any]) -> Prepared:
    name, array = read_audio(args.audio, manifest)
    return Prepared({name: array}, bool(manifest["preprocess"]["frame"]))
