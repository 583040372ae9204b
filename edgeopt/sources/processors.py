"""What a folder of Hugging Face says of pictures and texts, for the one size that is compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.errors import InputError
from edgeopt.options import Preprocess, TextPreprocess

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

__all__ = ["picture_of", "text_of"]

_USUAL = 224


def picture_of(
    folder: Path, asked: tuple[int, int] | None, config: dict[str, Any]
) -> tuple[tuple[int, int], Preprocess | None]:
    """Returns height and width of a model's pictures, and how they are prepared.

    Args:
        folder: The model's; ``preprocessor_config.json`` is in it, or nothing is known.
        asked: Height and width that a user wants; None for the model's own.
        config: The content of ``config.json``.
    """
    usual = _sides(config.get("image_size")) or (_USUAL, _USUAL)
    if not (folder / "preprocessor_config.json").is_file():
        return asked or usual, None
    own = _prepared(folder)
    if own is None or len(own.size) != 2:  # noqa: PLR2004 (the picture decides: it is stretched to one size)
        sides = asked or usual
        return sides, _colored(_prepared(folder, resize=sides), config)
    sides = asked or (own.size[0], own.size[1])
    if sides != own.size:
        share = min(sides) / min(own.size)
        fields: dict[str, Any] = {"resize": sides}
        if own.crop:
            scaled = tuple(round(one * share) for one in own.resize)
            fields = {"crop": sides, "resize": scaled if len(scaled) == 1 else sides}
        own = own.replace(**fields)
    return sides, _colored(own, config)


def _prepared(folder: Path, **fields: Any) -> Preprocess | None:
    try:
        return Preprocess.of(folder, **fields)
    except InputError:  # it does something that has no field: nothing is guessed
        return None


def _colored(own: Preprocess | None, config: dict[str, Any]) -> Preprocess | None:
    """Returns the same for a model's channels; None where they are no picture's."""
    channels = config.get("num_channels", 3)
    if own is None or channels == own.channels:
        return own
    return own.replace(color="L") if channels == 1 and len(own.mean) == 1 else None


def _sides(size: Any) -> tuple[int, int] | None:
    if type(size) is int:
        return size, size
    is_pair = isinstance(size, list) and len(size) == 2 and all(type(one) is int for one in size)  # noqa: PLR2004
    return (size[0], size[1]) if is_pair else None


def text_of(
    folder: Path, inputs: Collection[str], length: int, config: dict[str, Any]
) -> TextPreprocess | None:
    """Returns how a text becomes tokens; None where the folder has no ``tokenizer.json``.

    Args:
        folder: The model's.
        inputs: Names of what it takes.
        length: Tokens of one text.
        config: The content of ``config.json``.
    """
    if not (folder / "tokenizer.json").is_file():
        return None
    pad, size = config.get("pad_token_id"), config.get("vocab_size")
    own = TextPreprocess.of(
        folder,
        ids="input_ids",
        mask="attention_mask" if "attention_mask" in inputs else "",
        types="token_type_ids" if "token_type_ids" in inputs else "",
        max_length=length,
        vocabulary=size if type(size) is int and size > 0 else 0,
    )
    return own.replace(pad_id=pad) if type(pad) is int and pad > 0 and not own.pad_id else own
