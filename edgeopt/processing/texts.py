"""Tokenizers of Hugging Face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeopt.errors import InputError
from edgeopt.processing.configs import class_name, read_json
from edgeopt.processing.refusal import refuse_step

__all__ = ["text_fields"]

_INPUTS = {"ids": "input_ids", "mask": "attention_mask", "types": "token_type_ids"}


def text_fields(tokenizer: Any) -> dict[str, Any]:
    """Returns fields of `edgeopt.TextPreprocess` that do what a tokenizer does.

    Args:
        tokenizer: A ``PreTrainedTokenizerFast``, a ``tokenizers.Tokenizer``, or the folder that one
            was saved to.

    Raises:
        InputError: It has no ``tokenizer.json``; only fast tokenizers have one.
    """
    if isinstance(tokenizer, (str, Path)):
        return _of_folder(Path(tokenizer))
    inner = getattr(tokenizer, "backend_tokenizer", tokenizer)
    write = getattr(inner, "to_str", None)
    if not callable(write):
        what = f"a {class_name(tokenizer)} has no tokenizer.json"
        hint = "load the fast one: AutoTokenizer.from_pretrained(PATH, use_fast=True)"
        raise InputError(what, where="preprocess", hint=hint)
    if getattr(tokenizer, "truncation_side", "right") == "left":
        refuse_step("truncation_side left", "a text is cut at its end")
    fields: dict[str, Any] = {"tokenizer": str(write())}
    if inner is not tokenizer:
        names = getattr(tokenizer, "model_input_names", ())
        fields |= {field: name for field, name in _INPUTS.items() if name in names}
        fields["padding"] = str(tokenizer.padding_side)
        fields["pad_id"] = int(tokenizer.pad_token_id or 0)
        fields["pad_type"] = int(getattr(tokenizer, "pad_token_type_id", 0) or 0)
    return fields


def _of_folder(path: Path) -> dict[str, Any]:
    """Returns what the files say that ``save_pretrained`` wrote; of a file, that it is the tokenizer."""
    if not path.is_dir():
        return {"tokenizer": str(path)}
    file = path / "tokenizer.json"
    if not file.is_file():
        hint = "load the fast tokenizer and save it: tokenizer.save_pretrained(FOLDER)"
        raise InputError("there is no tokenizer.json", where=str(path), hint=hint)
    fields: dict[str, Any] = {"tokenizer": str(file)}
    config = path / "tokenizer_config.json"
    settings = read_json(config) if config.is_file() else {}
    if settings.get("truncation_side") == "left":
        refuse_step("truncation_side left", "a text is cut at its end")
    if settings.get("padding_side"):
        fields["padding"] = str(settings["padding_side"])
    pad = settings.get("pad_token")
    name = pad.get("content") if isinstance(pad, dict) else pad
    added = settings.get("added_tokens_decoder") or {}
    for number, token in added.items():
        if isinstance(token, dict) and token.get("content") == name and str(number).isdigit():
            fields["pad_id"] = int(number)
    return fields
