"""What a folder of Hugging Face says of pictures and texts, as `edgeopt.Preprocess` and `edgeopt.TextPreprocess`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.errors import InputError
from edgeopt.options import Preprocess, TextPreprocess

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["picture_of", "sides_of", "text_of"]

_RESAMPLE = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box"}
"""Pillow's numbers."""
_CROPPED_BELOW = 384
"""Processors of ConvNeXt crop smaller pictures only: `ConvNextImageProcessor`."""
_USUAL = 224


def sides_of(processor: dict[str, Any], config: dict[str, Any]) -> tuple[int, int]:
    """Returns height and width of the pictures that a model is given."""
    for kept in (
        processor.get("crop_size") if processor.get("do_center_crop") else None,
        processor.get("size"),
        config.get("image_size"),
    ):
        found = _sides(kept)
        if found is not None:
            return found
    return _USUAL, _USUAL


def _sides(kept: Any) -> tuple[int, int] | None:
    if isinstance(kept, dict):
        both = (kept.get("height"), kept.get("width"))
        kept = list(both) if None not in both else kept.get("shortest_edge")
    if isinstance(kept, int) and not isinstance(kept, bool):
        return kept, kept
    if isinstance(kept, list) and len(kept) == 2 and all(type(one) is int for one in kept):  # noqa: PLR2004
        return kept[0], kept[1]
    return None


def picture_of(
    processor: dict[str, Any], sides: tuple[int, int], channels: int
) -> Preprocess | None:
    """Returns what an image processor does; None where it has no number for that.

    Args:
        processor: The content of ``preprocessor_config.json``.
        sides: Height and width of the input.
        channels: Of the input.
    """
    if channels not in {1, 3}:
        return None
    resize, crop = _resize(processor, sides)
    normalizes = processor.get("do_normalize", True)
    mean, std = processor.get("image_mean") or [0.0], processor.get("image_std") or [1.0]
    try:
        return Preprocess(
            resize=resize,
            crop=crop,
            crop_rounding="down",
            scale=float(processor.get("rescale_factor", 1 / 255))
            if processor.get("do_rescale", True)
            else 1.0,
            mean=tuple(map(float, mean)) if normalizes else (0.0,),
            std=tuple(map(float, std)) if normalizes else (1.0,),
            color="L"
            if channels == 1
            else "BGR"
            if processor.get("do_flip_channel_order")
            else "RGB",
            interpolation=_RESAMPLE[processor.get("resample", 2)],  # type: ignore[arg-type]  # one of them
        )
    except (
        InputError,
        TypeError,
        ValueError,
        KeyError,
    ):  # of a kind that is not known: nothing is guessed
        return None


def _resize(
    processor: dict[str, Any], sides: tuple[int, int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns resize and crop. What keeps the ratio of the sides without a crop has no one size: it is stretched."""
    if not processor.get("do_resize", True):
        return (), sides
    share, size = processor.get("crop_pct"), processor.get("size")
    edge = size.get("shortest_edge") if isinstance(size, dict) else None
    if share and isinstance(edge, int) and edge < _CROPPED_BELOW:
        return (int(min(sides) / float(share)),), sides
    if not processor.get("do_center_crop"):
        return sides, ()
    usual, own = edge, _sides(processor.get("crop_size"))
    if isinstance(usual, int) and own is not None:
        return (round(usual * min(sides) / min(own)),), sides
    return _sides(size) or sides, sides


def text_of(
    folder: Path, inputs: Iterable[str], length: int, config: dict[str, Any]
) -> TextPreprocess | None:
    """Returns how a text becomes tokens; None where the folder has no ``tokenizer.json``.

    Args:
        folder: The model's.
        inputs: Names of what it takes.
        length: Tokens of one text.
        config: The content of ``config.json``.
    """
    path, names = folder / "tokenizer.json", set(inputs)
    if not path.is_file():
        return None
    pad = config.get("pad_token_id")
    return TextPreprocess(
        tokenizer=str(path),
        ids="input_ids",
        mask="attention_mask" if "attention_mask" in names else "",
        types="token_type_ids" if "token_type_ids" in names else "",
        max_length=length,
        pad_id=pad if isinstance(pad, int) and pad >= 0 else 0,
        vocabulary=int(config.get("vocab_size") or 0),
    )
