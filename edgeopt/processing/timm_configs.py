"""timm's data config, as `timm.data.resolve_data_config` and ``model.pretrained_cfg`` have it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from edgeopt.processing.configs import numbers
from edgeopt.processing.refusal import refuse_step

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["config_fields"]


def config_fields(config: Mapping[str, Any], replaced: Collection[str] = ()) -> dict[str, Any]:
    """Returns fields of `edgeopt.Preprocess` that do what timm's evaluation does with ``config``.

    Raises:
        InputError: Its ``crop_mode`` has no counterpart.
    """
    channels, height, width = (int(one) for one in config["input_size"])
    percent = float(config.get("crop_pct") or 0.875)
    mode = str(config.get("crop_mode") or "center")
    scaled = tuple(math.floor(side / percent) for side in (height, width))
    fields: dict[str, Any] = {
        "resize": scaled[:1],
        "crop": (height, width),
        "interpolation": str(config.get("interpolation") or "bilinear"),
        "mean": numbers(config["mean"]),
        "std": numbers(config["std"]),
    }
    if channels == 1:
        fields["color"] = "L"
    if mode == "squash":
        fields["resize"] = scaled
    elif mode == "border" or height != width:
        step = f"crop_mode {mode} of {height} x {width}"
        refuse_step(step, "it fits the picture into a rectangle", replaced=replaced, field="resize")
    return fields
