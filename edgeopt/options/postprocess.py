"""What the outputs mean: classes, boxes, areas or vectors. Part of the bundle's contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from msgspec import Meta

from edgeopt.options.base import Options
from edgeopt.options.kinds import Count, Share, Whole, accepting
from edgeopt.options.preprocess import of_kind
from edgeopt.registry.schema import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Classification",
    "Columns",
    "Detection",
    "Embedding",
    "Postprocess",
    "PostprocessChoice",
    "Segmentation",
]

Activation = Literal["none", "sigmoid", "softmax"]
Axis = Annotated[int, Meta(ge=-8, le=7)]


class Classification(Options, frozen=True, tag_field="kind", tag="classification"):
    """One score for each class.

    Attributes:
        output: Name of the output; empty for the first.
        activation: From output to probabilities: ``softmax`` of one class out of many, ``sigmoid`` of
            classes that do not exclude each other, ``none`` where the model has it.
        top: How many classes are told.
        threshold: Probability below which a class is not told.
    """

    output: str = ""
    activation: Activation = "softmax"
    top: Count = 5
    threshold: Share = 0.0


class Columns(Options, frozen=True):
    """Where something lies: some channels of an output.

    Attributes:
        output: Name of the output; empty for the first.
        start: First channel.
        count: How many channels; 0 for all from ``start`` on.
        axis: Axis of the channels. The other axes count boxes; the batch must be 1. An output with
            one axis less than the others has one channel.
    """

    output: str = ""
    start: Whole = 0
    count: Whole = 0
    axis: Axis = -1


class Detection(Options, frozen=True, tag_field="kind", tag="detection"):
    """Boxes, with masks, keypoints or angles where the model finds them.

    Attributes:
        boxes: Four channels.
        scores: One channel for each class, or one where ``classes`` is given.
        classes: One channel with the number of the class; where the model chose it.
        angles: One channel, in radians: boxes are then rotated around their middle, ``cxcywh``.
        masks: Coefficients of the prototypes, as many as there are prototypes.
        prototypes: Name of the output of mask prototypes, (1, prototypes, height, width).
        keypoints: ``keypoint_size`` channels for each keypoint: x, y and, where it is 3, how surely it is
            seen.
        keypoint_size: 2 or 3.
        skeleton: Pairs of keypoints that a drawing joins.
        box_format: ``xyxy`` (two corners), ``xywh`` (upper left corner and size), ``cxcywh`` (middle
            and size) or ``yxyx``.
        units: Of boxes and keypoints: ``pixels`` of the input, or ``normalized`` to 0 to 1.
        activation: From channel to score.
        background: Which score is of no object and left out: ``none``, ``first`` or ``last``.
        nms: Whether boxes that overlap are thinned out (non-maximum suppression); no where the model does.
        confidence: Score that a box must exceed.
        iou: Overlap, as intersection over union, above which the lower score is left out.
        max_detections: How many boxes at most.
        agnostic: Whether boxes of one class suppress those of another.
    """

    boxes: Columns
    scores: Columns
    classes: Columns | None = None
    angles: Columns | None = None
    masks: Columns | None = None
    prototypes: str = ""
    keypoints: Columns | None = None
    keypoint_size: Literal[2, 3] = 3
    skeleton: tuple[Annotated[tuple[Whole, ...], Meta(min_length=2, max_length=2)], ...] = ()
    box_format: Literal["xyxy", "xywh", "cxcywh", "yxyx"] = "xyxy"
    units: Literal["pixels", "normalized"] = "pixels"
    activation: Activation = "none"
    background: Literal["none", "first", "last"] = "none"
    nms: bool = True
    confidence: Share = 0.25
    iou: Share = 0.7
    max_detections: Count = 300
    agnostic: bool = False

    def conflicts(self) -> Iterable[Problem]:
        """Returns what is there by half: masks without prototypes, rotated boxes by their corners."""
        if (self.masks is None) != (not self.prototypes):
            yield Problem("prototypes", "masks are coefficients of prototypes: pass both")
        if self.angles is not None and self.box_format != "cxcywh":
            what = f"a rotated box is a middle, a size and an angle, not {self.box_format}"
            yield Problem("box_format", what, 'pass box_format="cxcywh"')
        if self.classes is not None and self.background != "none":
            yield Problem("background", "the model chose the classes already", 'pass "none"')

    @classmethod
    def yolo(  # noqa: PLR0913 (what a head may have, by name)
        cls,
        classes: int,
        *,
        output: str = "",
        masks: int = 0,
        prototypes: str = "",
        keypoints: tuple[int, int] | None = None,
        rotated: bool = False,
        end_to_end: bool = False,
        **fields: Any,
    ) -> Self:
        """Returns where ultralytics' heads have what, of the exported model's outputs.

        The head gives (1, 4 + classes + extra, boxes), of middles and sizes; with ``end_to_end``
        (1, boxes, 6 + extra): corners (or middle and size of rotated boxes), score, class, extra.

        Args:
            classes: Number of classes.
            output: Name of the head's output; empty for the first.
            masks: Number of mask coefficients.
            prototypes: Name of the output of prototypes, with ``masks``.
            keypoints: Number of keypoints, and of numbers for each.
            rotated: Whether boxes have an angle.
            end_to_end: Whether the head thins boxes out itself.
            **fields: Fields of this type, which win.
        """
        axis, extra = (-1, 6) if end_to_end else (1, 4 + classes)

        def part(start: int, count: int) -> Columns:
            return Columns(output=output, start=start, count=count, axis=axis)

        usual: dict[str, Any] = {
            "boxes": part(0, 4),
            "scores": part(4, 1 if end_to_end else classes),
            "box_format": "cxcywh" if rotated or not end_to_end else "xyxy",
            "nms": not end_to_end,
        }
        if end_to_end:
            usual["classes"] = part(5, 1)
        if masks:
            usual |= {"masks": part(extra, masks), "prototypes": prototypes}
        if keypoints is not None:
            count, size = keypoints
            usual |= {"keypoints": part(extra, count * size), "keypoint_size": size}
        if rotated:
            usual["angles"] = part(extra, 1)
        return cls(**{**usual, **fields})


class Segmentation(Options, frozen=True, tag_field="kind", tag="segmentation"):
    """A class for each pixel.

    Attributes:
        output: Name of the output; empty for the first. Its last two axes, the classes' aside, are height and
            width.
        values: What the output holds: ``scores`` of each class, ``classes`` (their numbers), or
            ``binary``, one score of one class.
        axis: Axis of the classes, for ``scores``.
        activation: From output to score, for ``binary``.
        threshold: Score that a pixel must exceed, for ``binary``.
        upsample: How areas are brought to the picture's size: ``bilinear`` of scores, or ``nearest``.
    """

    output: str = ""
    values: Literal["scores", "classes", "binary"] = "scores"
    axis: Axis = 1
    activation: Literal["none", "sigmoid"] = "sigmoid"
    threshold: Share = 0.5
    upsample: Literal["bilinear", "nearest"] = "bilinear"


class Embedding(Options, frozen=True, tag_field="kind", tag="embedding"):
    """A vector that stands for the input.

    Attributes:
        output: Name of the output; empty for the first.
        pooling: ``none`` where there is one vector, ``mean`` of the tokens that the mask has, or of
            all; ``first`` token.
        axis: Axis of the tokens, for pooling.
        normalize: Whether the vector gets length 1.
    """

    output: str = ""
    pooling: Literal["none", "mean", "first"] = "none"
    axis: Axis = 1
    normalize: bool = True


Postprocess = Classification | Detection | Segmentation | Embedding
_KINDS: dict[str, type[Classification | Detection | Segmentation | Embedding]] = {
    "classification": Classification,
    "detection": Detection,
    "segmentation": Segmentation,
    "embedding": Embedding,
}


def _postprocess(given: Any) -> Any:
    if isinstance(given, str):
        return _KINDS[given].from_dict({})
    return of_kind(given, _KINDS, "") if isinstance(given, Mapping) else given


if TYPE_CHECKING:
    PostprocessChoice = Classification | Detection | Segmentation | Embedding
else:
    PostprocessChoice = Annotated[
        Any,
        accepting(
            "a Classification, Detection, Segmentation or Embedding, or its fields and kind",
            Mapping,
            *_KINDS.values(),
            choices=("classification", "segmentation", "embedding"),
            convert=_postprocess,
        ),
    ]
