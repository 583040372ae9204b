"""Settings of Hugging Face's image processors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgeopt.processing.configs import numbers
from edgeopt.processing.refusal import refuse_step
from edgeopt.processing.transforms import interpolation_name

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["processor_fields"]

_STEPS = frozenset({
    "do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb",
    "do_flip_channel_order", "do_pad",
})  # fmt: skip
_OF_LABELS = frozenset({"do_reduce_labels", "do_convert_annotations"})
_SETTINGS = frozenset({
    "size", "crop_size", "resample", "rescale_factor", "image_mean", "image_std", "crop_pct",
    "rescale_offset", "include_top", "keep_aspect_ratio", "pad_size", "size_divisor",
})  # fmt: skip
_HARMLESS = frozenset({
    "image_processor_type", "feature_extractor_type", "processor_class", "format", "data_format",
    "input_data_format", "return_tensors", "device", "disable_grouping", "default_to_square",
    "model_valid_processing_keys", "valid_processor_keys", "reduce_labels", "ignore_index",
    "num_labels", "class_info_file", "repo_path", "num_text", "metadata", "backend",
    "image_seq_length", "name_or_path", "transformers_version",
})  # fmt: skip
_SHORTER = ("CLIP", "ConvNext", "MobileNet", "MobileViT", "Levit", "PoolFormer", "Bit")
"""Processors whose size, where it is one number, is that of the shorter side."""
_WARPED = 384  # ConvNeXt: pictures of this size and above are not cropped


def processor_fields(
    name: str, settings: Mapping[str, Any], replaced: Collection[str] = ()
) -> dict[str, Any]:
    """Returns fields of `edgeopt.Preprocess` that do what an image processor does.

    Args:
        name: The processor's class; some do more than their settings say.
        settings: As its file has them.
        replaced: Fields that the user passes.

    Raises:
        InputError: A setting has no counterpart; it is named.
    """
    known = _STEPS | _OF_LABELS | _SETTINGS | _HARMLESS
    for key in sorted(settings):
        if settings[key] and key not in known and (key, settings[key]) != ("ensure_multiple_of", 1):
            hint = "take it out of the settings, and pass them as a dict, where it changes nothing"
            refuse_step(f"{name}: {key}", "this step has no field", hint=hint)
    reader = _Settings(name, settings, replaced)
    return {**reader.size(), **reader.crop(), **reader.color(), **reader.numbers()}


class _Settings:
    def __init__(self, name: str, settings: Mapping[str, Any], replaced: Collection[str]) -> None:
        self._name = name
        self._settings = settings
        self._replaced = replaced

    def _does(self, step: str) -> bool:
        return bool(self._settings.get(f"do_{step}"))

    def _refuse(self, what: str, why: str, field: str = "") -> None:
        refuse_step(f"{self._name}: {what}", why, replaced=self._replaced, field=field)

    def size(self) -> dict[str, Any]:
        """Returns the resize."""
        if not self._does("resize"):
            return {}
        size = self._settings.get("size")
        self._check_ratio()
        fields: dict[str, Any] = {"interpolation": "bilinear"}
        if self._settings.get("resample") is not None:
            fields["interpolation"] = interpolation_name(self._settings["resample"])
        table = self._table(size)
        height, shorter = table.get("height"), table.get("shortest_edge")
        if height:
            return {**fields, "resize": (int(height), int(table["width"]))}
        if not shorter or table.get("longest_edge"):
            why = "the size depends on the picture, a compiled model has one"
            self._refuse(f"size {size}", why, "resize")
            return fields
        return {**fields, **self._shorter(int(shorter))}

    def _check_ratio(self) -> None:
        for key in ("keep_aspect_ratio", "size_divisor"):
            if self._settings.get(key):
                self._refuse(key, "the size depends on the picture", "resize")
        if self._does("pad") and self._settings.get("pad_size"):
            self._refuse("do_pad", "what is filled lies behind the normalization", "fit")

    def _table(self, size: Any) -> Mapping[str, Any]:
        if isinstance(size, Mapping):
            return size
        if isinstance(size, (list, tuple)):
            return {"height": size[0], "width": size[-1]}
        edge = self._name.startswith(_SHORTER)
        return {"shortest_edge": size} if edge else {"height": size, "width": size}

    def _shorter(self, edge: int) -> dict[str, Any]:
        """Returns the resize to a shorter side; three processors crop after it by themselves."""
        percent = self._settings.get("crop_pct")
        if self._name.startswith("ConvNext"):
            if edge >= _WARPED:
                return {"resize": (edge, edge)}
            return {"resize": (int(edge / (percent or 0.875)),), "crop": (edge, edge)}
        if self._name.startswith("PoolFormer") and percent:
            return {"resize": (int(edge / percent),)}
        if self._name.startswith("Levit"):
            return {"resize": (int(256 / 224 * edge),)}
        return {"resize": (edge,)}

    def crop(self) -> dict[str, Any]:
        """Returns the crop, rounded as the backend of the processor does."""
        is_tensors = self._name.endswith("Fast") or not self._name.endswith(("Pil", "Processor"))
        rounding = {} if is_tensors else {"crop_rounding": "down"}
        if not self._does("center_crop"):
            return rounding if self._name.startswith("ConvNext") else {}
        size = self._settings.get("crop_size")
        if isinstance(size, Mapping):
            size = (size["height"], size["width"])
        elif isinstance(size, int):
            size = (size, size)
        return {"crop": tuple(int(one) for one in size or ()), **rounding}

    def color(self) -> dict[str, Any]:
        """Returns the order of the channels."""
        return {"color": "BGR"} if self._does("flip_channel_order") else {}

    def numbers(self) -> dict[str, Any]:
        """Returns scale, mean and std."""
        fields: dict[str, Any] = {"scale": 1.0}
        if self._does("rescale"):
            fields["scale"] = float(self._settings.get("rescale_factor") or 1 / 255)
        if self._does("normalize"):
            fields["mean"] = numbers(self._settings["image_mean"])
            fields["std"] = numbers(self._settings["image_std"])
        if self._settings.get("rescale_offset") and self._does("rescale"):
            fields["mean"] = tuple(one + 1.0 for one in fields.get("mean", (0.0,)))
        if self._settings.get("include_top"):  # EfficientNet divides by std once more
            again = numbers(self._settings["image_std"])
            before = fields.get("std", (1.0,) * len(again))
            fields["std"] = tuple(a * b for a, b in zip(before, again, strict=True))
        return fields
