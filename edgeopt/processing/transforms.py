"""Transforms of torchvision (v1 and v2) and timm, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.processing.configs import class_name, numbers
from edgeopt.processing.refusal import refuse_step

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["interpolation_name", "transform_fields"]

_PIXELS = {"float32": True, "float16": True, "bfloat16": True, "uint8": False}
"""What pixels can be stored in, to whether these are floats."""

_PILLOW = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box"}
_KNOWN = ("nearest", "bilinear", "bicubic", "lanczos", "box")


def transform_fields(transform: Any, replaced: Collection[str] = ()) -> dict[str, Any]:
    """Returns fields of `edgeopt.Preprocess` that do what ``transform`` does.

    Raises:
        InputError: A step has no counterpart, or is at a place where it has none.
    """
    reader = _Reader(replaced)
    for step in _steps(transform):
        reader.take(step)
    return reader.fields


def interpolation_name(given: Any) -> str:
    """Returns the name of an interpolation: of torchvision's enumeration, or Pillow's number."""
    value = getattr(given, "value", given)
    if isinstance(value, int):
        return _PILLOW.get(value, str(value))
    return str(value)


def _steps(transform: Any) -> list[Any]:
    """Returns the single steps of a composition, or of what ``weights.transforms()`` gives."""
    name = type(transform).__name__
    if name in {"Compose", "Sequential"}:
        inner = getattr(transform, "transforms", None)
        inner = list(transform) if inner is None else inner
        return [step for one in inner for step in _steps(one)]
    return [transform]


class _Reader:
    """Follows a picture through steps: first pixels, then a tensor of uint8, then one of floats.

    Attributes:
        fields: What was read so far.
    """

    def __init__(self, replaced: Collection[str]) -> None:
        self.fields: dict[str, Any] = {"scale": 1.0}
        self._replaced = replaced
        self._stage = "picture"

    def take(self, step: Any) -> None:
        name, module = type(step).__name__, type(step).__module__
        is_known = module.partition(".")[0] in {"torchvision", "timm"}
        read = _READERS.get(name) if is_known else None
        if read is None:
            refuse_step(_shown(step), "this step has no field")
        else:
            read(self, step)

    def refuse(self, step: Any, why: str, field: str = "") -> None:
        refuse_step(_shown(step), why, replaced=self._replaced, field=field)

    def resize(self, step: Any) -> None:
        if "resize" in self.fields or "crop" in self.fields or "mean" in self.fields:
            self.refuse(step, "a resize comes first, and once")
        size = [step.size] if isinstance(step.size, int) else list(step.size or ())
        if getattr(step, "max_size", None) is not None or not size:
            self.refuse(step, "the size depends on the picture (max_size)", "resize")
        self.fields["resize"] = tuple(int(one) for one in size)
        self.resample(step, step.interpolation, antialias=getattr(step, "antialias", True))

    def resample(self, step: Any, interpolation: Any, *, antialias: Any = True) -> None:
        """Notes the interpolation: Pillow's of a picture, torch's of a tensor."""
        name = interpolation_name(interpolation)
        is_tensor = self._stage != "picture"
        plain = is_tensor and (
            name == "nearest" or (antialias is False and name != "nearest-exact")
        )
        name = name.removesuffix("-exact")
        if name not in _KNOWN:
            self.refuse(step, f"interpolation {name} is not known", "interpolation")
        self.fields["interpolation"] = name
        if plain:
            self.fields["antialias"] = False
        if self._stage == "float":
            self.fields["whole"] = False

    def crop(self, step: Any) -> None:
        if "crop" in self.fields:
            self.refuse(step, "a crop comes once")
        size = [step.size] if isinstance(step.size, int) else list(step.size)
        self.fields["crop"] = tuple(int(one) for one in (size * 2 if len(size) == 1 else size))

    def keep_ratio(self, step: Any) -> None:
        """Timm's resize to the shorter side; of a square it is torchvision's but for the rounding."""
        if step.longest or len(set(step.size)) != 1:
            self.refuse(step, "it fits the picture into a rectangle", "resize")
        if step.random_scale_prob or step.random_aspect_prob:
            self.refuse(step, "it is random: pass the transform of evaluation")
        self.fields["resize"] = (int(step.size[0]),)
        self.resample(step, step.interpolation)

    def to_tensor(self, _step: Any) -> None:
        if self._stage != "float":
            self.fields["scale"], self._stage = 1.0 / 255.0, "float"

    def to_pixels(self, _step: Any) -> None:
        self._stage = "uint8" if self._stage == "picture" else self._stage

    def to_dtype(self, step: Any) -> None:
        dtype = step.dtype
        if isinstance(dtype, dict):
            dtype = next(
                (v for k, v in dtype.items() if getattr(k, "__name__", k) == "Image"), None
            )
        name = str(dtype).removeprefix("torch.")
        is_float = _PIXELS.get(name)
        if is_float is None:
            self.refuse(step, f"pixels of {name} are not known")
        if not is_float and self._stage == "float":
            self.refuse(step, "floats become pixels again")
        if is_float and self._stage != "float":
            scales = getattr(step, "scale", True)  # ConvertImageDtype always does
            self.fields["scale"], self._stage = 1.0 / 255.0 if scales else 1.0, "float"

    def normalize(self, step: Any) -> None:
        if self._stage != "float" or "mean" in self.fields:
            self.refuse(step, "floats are normalized, once")
        self.fields |= {"mean": numbers(step.mean), "std": numbers(step.std)}

    def grey(self, step: Any) -> None:
        if "mean" in self.fields:
            self.refuse(step, "grey is made before numbers are normalized")
        self.fields["color"] = "L" if step.num_output_channels == 1 else "LLL"

    def same(self, _step: Any) -> None:
        """Does nothing to a picture in RGB."""

    def preset(self, step: Any) -> None:
        """What ``weights.transforms()`` of classifiers and segmentations gives."""
        if list(step.resize_size or ()):
            self.fields["resize"] = tuple(int(one) for one in step.resize_size)
            self.resample(step, step.interpolation, antialias=step.antialias)
        crop = [int(one) for one in getattr(step, "crop_size", ())]
        if crop:
            self.fields["crop"] = tuple(crop * 2 if len(crop) == 1 else crop)
        self.fields |= {"scale": 1.0 / 255.0, "mean": numbers(step.mean), "std": numbers(step.std)}
        self._stage = "float"


_READERS: dict[str, Callable[[_Reader, Any], None]] = {
    "Resize": _Reader.resize,
    "ResizeKeepRatio": _Reader.keep_ratio,
    "CenterCrop": _Reader.crop,
    "ToTensor": _Reader.to_tensor,
    "MaybeToTensor": _Reader.to_tensor,
    "ConvertImageDtype": _Reader.to_dtype,
    "ToDtype": _Reader.to_dtype,
    "PILToTensor": _Reader.to_pixels,
    "MaybePILToTensor": _Reader.to_pixels,
    "ToImage": _Reader.to_pixels,
    "ToImageTensor": _Reader.to_pixels,
    "ToPureTensor": _Reader.same,
    "Identity": _Reader.same,
    "RGB": _Reader.same,
    "Normalize": _Reader.normalize,
    "Grayscale": _Reader.grey,
    "ImageClassification": _Reader.preset,
    "SemanticSegmentation": _Reader.preset,
    "ObjectDetection": _Reader.to_tensor,
}
"""Class name of a step to what reads it."""


def _shown(step: Any) -> str:
    text = repr(step)
    return text if "\n" not in text and len(text) <= 120 else class_name(step)  # noqa: PLR2004 (one line)
