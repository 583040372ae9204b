"""What a user says of the inputs, held against the signature when a bundle is written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeopt.boundary import decode_json, read_file
from edgeopt.errors import InputError
from edgeopt.options import AudioPreprocess, Preprocess, TextPreprocess

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeopt.contracts import Signature
    from edgeopt.contracts.signature import TensorSpec
    from edgeopt.options import Preprocessing

__all__ = ["TOKENIZER", "settled_preprocess", "tokenizer_size"]

TOKENIZER = "tokenizer.json"
MAX_TOKENIZER_BYTES = 64 << 20
WHERE = "preprocess"


def settled_preprocess(
    given: Preprocessing | None, signature: Signature
) -> tuple[Preprocessing | None, dict[str, bytes]]:
    """Returns ``given`` with the names of inputs filled in, and the files that it needs.

    Raises:
        InputError: An input has another name, shape or dtype than what comes out; or the tokenizer
            makes tokens that the model does not know.
    """
    if isinstance(given, Preprocess):
        return _picture(given, signature), {}
    if isinstance(given, AudioPreprocess):
        return _audio(given, signature), {}
    if isinstance(given, TextPreprocess):
        text = _tokenizer(given.tokenizer)
        return _text(given, signature, text), {TOKENIZER: text}
    return None, {}


def _picture(given: Preprocess, signature: Signature) -> Preprocess:
    spec = _input(given.input, signature)
    size, channels = given.size, given.channels
    shape: tuple[int, ...] = tuple(spec.shape)
    if len(size) == 2:  # noqa: PLR2004 (height and width; one number leaves the width open)
        is_first = given.layout == "NCHW" and not given.inside
        shape = (1, channels, *size) if is_first else (1, *size, channels)
    if shape != tuple(spec.shape):
        what = f"it makes {shape}, but input {spec.name} is {tuple(spec.shape)}"
        raise InputError(what, where=WHERE)
    if given.inside and np.dtype(spec.dtype) != np.uint8:
        what = f"inside: the model takes uint8, but input {spec.name} is {spec.dtype}"
        hint = (
            "the model must be compiled with it: deploy(..., bundle=BundleOptions(preprocess=...))"
        )
        raise InputError(what, where=WHERE, hint=hint)
    return given.replace(input=spec.name)


def _audio(given: AudioPreprocess, signature: Signature) -> AudioPreprocess:
    spec = _input(given.input, signature)
    if not spec.dtype.startswith("float"):
        raise InputError(f"sound is float, but input {spec.name} is {spec.dtype}", where=WHERE)
    if given.mel is not None:
        axis = -2 if given.mel.layout == "bands-frames" else -1
        bands = spec.shape[axis] if len(spec.shape) > 1 else 0
        if bands != given.mel.bands:
            what = f"{given.mel.bands} mel bands, but input {spec.name} is {tuple(spec.shape)}"
            raise InputError(what, where=WHERE)
    elif given.frame and spec.shape[-1:] != (given.frame,):
        what = f"frames of {given.frame} samples, but input {spec.name} is {tuple(spec.shape)}"
        raise InputError(what, where=WHERE)
    return given.replace(input=spec.name)


def _text(given: TextPreprocess, signature: Signature, text: bytes) -> TextPreprocess:
    ids = given.ids or (signature.inputs[0].name if signature.inputs else "")
    for name in filter(None, (ids, given.mask, given.types)):
        spec = _input(name, signature)
        if len(spec.shape) != 2 or not spec.dtype.startswith(("int", "float", "bool")):  # noqa: PLR2004 (batch, tokens)
            what = f"input {name} is {spec.dtype}{list(spec.shape)}, expected (batch, tokens)"
            raise InputError(what, where=WHERE)
    length = _input(ids, signature).shape[-1]
    if given.max_length > length:
        what = f"max_length is {given.max_length}, but input {ids} holds {length} tokens"
        raise InputError(what, where=WHERE)
    size = tokenizer_size(text)
    if given.vocabulary and max(size, given.pad_id + 1) > given.vocabulary:
        what = f"the tokenizer has {size} tokens, the model {given.vocabulary}"
        hint = "it is the tokenizer of another model: pass the one that the model was trained with"
        raise InputError(what, where=WHERE, hint=hint)
    return given.replace(ids=ids, tokenizer=TOKENIZER)


def _input(name: str, signature: Signature) -> TensorSpec:
    """Returns the input that is meant; an empty name means the only one."""
    specs = {spec.name: spec for spec in signature.inputs}
    if not name and len(specs) == 1:
        return next(iter(specs.values()))
    if name not in specs:
        what = f"input {name!r} is not among {sorted(specs)}"
        raise InputError(what, where=WHERE, hint=f"pass input={next(iter(specs), '')!r}")
    return specs[name]


def _tokenizer(given: str) -> bytes:
    """Returns the text of a tokenizer, which is a path or the text itself."""
    if given.lstrip().startswith("{"):
        return given.encode()
    path = Path(given)
    if not path.is_file():
        hint = "save the tokenizer with tokenizer.save_pretrained(FOLDER); it writes tokenizer.json"
        raise InputError("there is no such file", where=given, hint=hint)
    return bytes(read_file(path, most=MAX_TOKENIZER_BYTES, error=InputError))


def tokenizer_size(text: bytes) -> int:
    """Returns one more than the highest token id that a ``tokenizer.json`` makes.

    Raises:
        InputError: It is no such file.
    """
    plain = decode_json(text, dict[str, Any], where=TOKENIZER, error=InputError)
    model = plain.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(vocabulary, (dict, list)):
        raise InputError("no tokenizer.json: it has no vocabulary", where=TOKENIZER)
    added = plain.get("added_tokens")
    more = added if isinstance(added, list) else []
    ids = [-1, *_ids(vocabulary), *(_id(one) for one in more)]
    return max(ids) + 1


def _ids(vocabulary: Mapping[str, Any] | list[Any]) -> list[int]:
    if isinstance(vocabulary, list):  # of Unigram: [token, score] in the order of ids
        return list(range(len(vocabulary)))
    return [one for one in vocabulary.values() if isinstance(one, int)]


def _id(token: Any) -> int:
    number = token.get("id") if isinstance(token, dict) else None
    return number if isinstance(number, int) else -1
