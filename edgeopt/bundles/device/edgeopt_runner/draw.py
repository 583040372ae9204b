"""Draws answers on the picture: boxes, names, masks, keypoints, areas."""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np

from .bundle import USAGE, Stop
from .masks import picture_mask
from .segmentation import UNSEEN
from .tell import label_of, lines

if TYPE_CHECKING:
    from .answers import Answer

__all__ = ["corners", "draw", "draw_outline", "pen_of", "save_drawing"]

_COLORS = (
    (230, 25, 75), (60, 180, 75), (67, 99, 216), (245, 130, 49), (145, 30, 180), (66, 212, 244),
    (240, 50, 230), (191, 239, 69), (70, 153, 144), (154, 99, 36), (128, 0, 0), (0, 0, 117),
)  # fmt: skip
_SURE = 0.5  # a keypoint that is seen less surely is not drawn
_SHARE = 0.45  # of an area's colour
_FARTHEST = 1 << 20  # pixels from the picture's corner


def draw(picture: Any, answer: Answer, skeleton: list[Any] | None = None) -> Any:
    """Returns a copy of the picture with the answer on it.

    Args:
        picture: As Pillow has it.
        answer: What was found in it.
        skeleton: Pairs of keypoints to join.
    """
    picture = picture.convert("RGB")
    if answer.kind == "detection":
        return _objects(picture, answer, skeleton or [])
    if answer.kind == "segmentation":
        return _areas(picture, answer)
    return _words(picture, lines(answer))


def _objects(picture: Any, answer: Answer, skeleton: list[Any]) -> Any:
    detections = answer.value
    if detections.masks is not None:
        pixels = np.array(picture)
        for number in range(len(detections)):
            mask = picture_mask(detections.masks[number], answer.placement)
            _tint(pixels, mask, _color(detections.classes[number]))
        picture = _image(pixels)
    pen, width = pen_of(picture)
    for number in reversed(range(len(detections))):  # the surest lies on top
        if not _is_near(corners(detections, number)).all():
            continue
        color = _color(detections.classes[number])
        outline = draw_outline(pen, detections, number, width)
        _keypoints(pen, detections, number, skeleton, width)
        label = f"{label_of(answer, detections.classes[number])} {detections.scores[number]:.2f}"
        _label(pen, outline, label, color, picture.size)
    return picture


def _is_near(points: Any) -> Any:
    """Returns which points (…, 2) can be drawn: not those that are NaN, infinite or far away."""
    return (np.abs(points) < _FARTHEST).all(-1)


def draw_outline(pen: Any, found: Any, number: int, width: int) -> list[tuple[float, ...]]:
    """Returns the corners of a box, whose sides it draws."""
    outline = [tuple(map(float, point)) for point in corners(found, number)]
    pen.line([*outline, outline[0]], fill=_color(found.classes[number]), width=width)
    return outline


def corners(found: Any, number: int) -> Any:
    """Returns the four corners of a box, (4, 2), in pixels of the picture."""
    box = found.boxes[number]
    if found.angles is None:
        left, top, right, bottom = box
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    with np.errstate(invalid="ignore"):
        cos, sin = np.cos(found.angles[number]), np.sin(found.angles[number])
    along, across = np.array([cos, sin]) * box[2] / 2, np.array([-sin, cos]) * box[3] / 2
    signs = ((1, 1), (1, -1), (-1, -1), (-1, 1))
    return np.array([box[:2] + a * along + b * across for a, b in signs])


def _keypoints(pen: Any, found: Any, number: int, skeleton: list[Any], width: int) -> None:
    if found.keypoints is None:
        return
    points = found.keypoints[number]
    sure = _is_near(points[:, :2])
    if points.shape[1] > len("xy"):
        sure &= points[:, 2] > _SURE
    for first, second in skeleton:
        if max(first, second) < len(points) and sure[first] and sure[second]:
            ends = [tuple(map(float, points[n, :2])) for n in (first, second)]
            pen.line(ends, fill=(255, 255, 255), width=width)
    for n in np.flatnonzero(sure):
        x, y = map(float, points[n, :2])
        pen.ellipse([x - width, y - width, x + width, y + width], fill=_color(n))


def _areas(picture: Any, answer: Answer) -> Any:
    pixels = np.array(picture)
    for number in np.unique(answer.value):
        if number not in {UNSEEN, 0}:  # 0 is the background, nearly always
            _tint(pixels, answer.value == number, _color(number))
    return _words(_image(pixels), lines(answer)[:12])


def _tint(pixels: Any, mask: Any, color: tuple[int, int, int]) -> None:
    pixels[mask] = (pixels[mask] * (1 - _SHARE) + np.array(color) * _SHARE).astype(np.uint8)


def _words(picture: Any, rows: list[str]) -> Any:
    pen, _ = pen_of(picture)
    font, top = _font(picture.size), 4
    for row in rows:
        box = _text_box(pen, (4, top), row, font)
        pen.rectangle([box[0] - 2, box[1] - 1, box[2] + 2, box[3] + 1], fill=(0, 0, 0))
        pen.text((4, top), _plain_text(row), fill=(255, 255, 255), font=font)
        top = box[3] + 3
    return picture


def _label(pen: Any, outline: Any, text: str, color: Any, size: tuple[int, int]) -> None:
    font = _font(size)
    left, top = min(outline, key=lambda point: (point[1], point[0]))
    box = _text_box(pen, (0, 0), text, font)
    width, height = box[2] - box[0] + 4, box[3] - box[1] + 4
    left = min(max(left, 0), max(size[0] - width, 0))
    top = top - height if top >= height else top
    pen.rectangle([left, top, left + width, top + height], fill=color)
    place = (left + 2 - box[0], top + 2 - box[1])
    pen.text(place, _plain_text(text), fill=(255, 255, 255), font=font)


def _font(size: tuple[int, int]) -> Any:
    from PIL import ImageFont

    try:
        return ImageFont.load_default(max(12, min(size) // 40))
    except TypeError:  # before Pillow 10.1 it had one size
        return ImageFont.load_default()


def _plain_text(text: str) -> str:
    """Returns what the built-in font can show: letters without their accents, ``?`` for the rest."""
    parts = unicodedata.normalize("NFKD", text)
    plain = "".join(one for one in parts if not unicodedata.combining(one))
    return plain.encode("ascii", "replace").decode("ascii")


def _text_box(pen: Any, place: tuple[int, int], text: str, font: Any) -> tuple[int, ...]:
    return tuple(int(v) for v in pen.textbbox(place, _plain_text(text), font=font))


def pen_of(picture: Any) -> tuple[Any, int]:
    """Returns what draws on a picture, and how wide its lines are."""
    from PIL import ImageDraw

    return ImageDraw.Draw(picture), max(2, min(picture.size) // 250)


def _image(pixels: Any) -> Any:
    from PIL import Image

    return Image.fromarray(pixels)


def _color(number: Any) -> tuple[int, int, int]:
    return _COLORS[int(number) % len(_COLORS)]


def save_drawing(path: str, picture: Any) -> None:
    """Writes a picture, whole or not at all."""
    draft = f"{path}.{os.getpid()}.tmp"
    try:
        with open(draft, "wb") as stream:
            picture.save(stream, "PNG" if path.lower().endswith(".png") else "JPEG")
        os.replace(draft, path)
    except OSError as error:
        if os.path.exists(draft):
            os.remove(draft)
        raise Stop(USAGE, f"{path}: cannot be written: {error}") from error
