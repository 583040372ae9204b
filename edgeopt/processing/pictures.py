"""What a transform does to a picture: whose it is, and which reader knows it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeopt.errors import InputError
from edgeopt.processing.configs import class_name, settings_of
from edgeopt.processing.image_processors import processor_fields
from edgeopt.processing.timm_configs import config_fields
from edgeopt.processing.transforms import transform_fields

__all__ = ["picture_fields"]


def picture_fields(transform: Any, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns fields of `edgeopt.Preprocess` that do what ``transform`` does.

    Args:
        transform: A transform of torchvision (v1, v2, or of ``weights.transforms()``) or timm, timm's
            data config, an image processor of Hugging Face, its settings, or the path of its
            ``preprocessor_config.json``.
        given: Fields that a user passes beside it: a step that only they replace may be anything.

    Raises:
        InputError: It does something that no field says; the step is named.
    """
    replaced = frozenset(given or ())
    if isinstance(transform, (str, Path)) or callable(getattr(transform, "to_dict", None)):
        name, settings = settings_of(transform, "an image processor")
        return processor_fields(name, settings, replaced)
    if isinstance(transform, Mapping):
        if "input_size" in transform:
            return config_fields(transform, replaced)
        return processor_fields(*settings_of(transform, "settings"), replaced)
    if callable(transform):
        return transform_fields(transform, replaced)
    raise InputError(
        f"expected a transform, a processor or a data config, got a {class_name(transform)}",
        where="preprocess",
        hint="transforms of torchvision and timm, processors of Hugging Face",
    )
