"""What a user says of the outputs, held against the signature when a bundle is written."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgeopt.errors import InputError
from edgeopt.options import Classification, Columns, Detection, Embedding, Segmentation

if TYPE_CHECKING:
    from edgeopt.contracts import Signature
    from edgeopt.contracts.signature import TensorSpec
    from edgeopt.options import Postprocess

__all__ = ["check_labels", "settled_postprocess"]

WHERE = "postprocess"


def settled_postprocess(
    given: Postprocess | None,
    signature: Signature,
    labels: int | None,
) -> Postprocess | None:
    """Returns ``given`` with the names of outputs and the counts of channels filled in.

    Args:
        given: What a user says of the outputs.
        signature: Of the artefact.
        labels: How many classes have names, where they have.

    Raises:
        InputError: An output has another name, rank or number of channels, or there are fewer labels
            than classes.
    """
    if isinstance(given, Detection):
        return _detection(given, signature, labels)
    if isinstance(given, Classification):
        spec = _output(given.output, signature)
        _check_labels(labels, spec.shape[-1] if spec.shape else 1)
        return given.replace(output=spec.name)
    if isinstance(given, Segmentation):
        return _segmentation(given, signature, labels)
    if isinstance(given, Embedding):
        spec = _output(given.output, signature)
        if given.pooling != "none":
            _axis(given.axis, spec)
        return given.replace(output=spec.name)
    return None


def check_labels(signature: Signature, labels: int) -> None:
    """Checks labels where nobody says what the outputs mean: one output must have as many scores.

    Raises:
        InputError: None has.
    """
    counts = [spec.shape[1:] or spec.shape for spec in signature.outputs]
    if not any(labels in shape for shape in counts):
        _check_labels(labels, next((shape[-1] for shape in counts if shape), 1))


def _segmentation(given: Segmentation, signature: Signature, labels: int | None) -> Segmentation:
    spec = _output(given.output, signature)
    rank = len(spec.shape)
    sizes = list(spec.shape)
    if given.values == "scores":
        axis = _axis(given.axis, spec)
        _check_labels(labels, sizes.pop(axis))
        if axis == rank - 2:  # height and width lie beside each other
            sizes = []
    if len(sizes) < 2 or math.prod(sizes[:-2]) != 1:  # noqa: PLR2004 (height and width)
        what = f"output {spec.name} has {rank} axes {tuple(spec.shape)}"
        raise InputError(what, where=WHERE, hint="expected one area: height and width, batch of 1")
    return given.replace(output=spec.name)


def _detection(given: Detection, signature: Signature, labels: int | None) -> Detection:
    """Returns the columns with their outputs and counts, all of the same boxes."""
    settled = {
        name: _columns(getattr(given, name), name, signature)
        for name in ("boxes", "scores", "classes", "angles", "masks", "keypoints")
        if getattr(given, name) is not None
    }
    counts = {name: _boxes(columns, signature) for name, columns in settled.items()}
    if len(set(counts.values())) > 1:
        rows = ", ".join(f"{name} of {count}" for name, count in counts.items())
        raise InputError(f"not of the same boxes: {rows}", where=WHERE)
    columns_of = {"boxes": 4, "classes": 1, "angles": 1} | ({"scores": 1} if given.classes else {})
    for name, count in columns_of.items():
        if name in settled and settled[name].count != count:
            what = f"{name}: {settled[name].count} channels, expected {count}"
            raise InputError(what, where=WHERE)
    if given.keypoints is not None and settled["keypoints"].count % given.keypoint_size:
        what = f"keypoints: {settled['keypoints'].count} channels are no multiple of {given.keypoint_size}"
        raise InputError(what, where=WHERE)
    if given.masks is not None:
        _check_prototypes(given.prototypes, settled["masks"].count, signature)
    if given.classes is None:
        _check_labels(labels, settled["scores"].count - (given.background != "none"))
    return given.replace(**settled)


def _columns(given: Columns, name: str, signature: Signature) -> Columns:
    spec = _output(given.output, signature)
    if not spec.shape:
        raise InputError(f"{name}: output {spec.name} is one number", where=WHERE)
    if _is_flat(given, name, spec):
        return given.replace(output=spec.name, count=1)
    axis = _axis(given.axis, spec)
    there = spec.shape[axis]
    count = given.count or there - given.start
    if count < 1 or given.start + count > there:
        what = (
            f"{name}: channels {given.start} to {given.start + count - 1}, but output {spec.name}"
        )
        raise InputError(f"{what} {tuple(spec.shape)} has {there}", where=WHERE)
    return given.replace(output=spec.name, count=count)


def _is_flat(given: Columns, name: str, spec: TensorSpec) -> bool:
    """Returns whether an output has no axis of channels: scores (N,) or (1, N) beside boxes (1, N, 4)."""
    if given.start or given.count > 1 or name not in {"scores", "classes", "angles"}:
        return False
    return len(spec.shape) == 1 or (len(spec.shape) == 2 and spec.shape[0] == 1)  # noqa: PLR2004


def _boxes(columns: Columns, signature: Signature) -> int:
    spec = _output(columns.output, signature)
    whole = math.prod(spec.shape)
    if columns.count == 1 and (len(spec.shape) == 1 or spec.shape[:-1] == (1,)):
        return whole
    return whole // max(spec.shape[columns.axis], 1)


def _check_prototypes(name: str, count: int, signature: Signature) -> None:
    spec = _output(name, signature)
    if len(spec.shape) != 4 or spec.shape[:2] != (1, count):  # noqa: PLR2004 (batch, prototypes, height, width)
        what = f"prototypes: output {name} is {tuple(spec.shape)}, expected (1, {count}, height, width)"
        raise InputError(what, where=WHERE)


def _check_labels(labels: int | None, classes: int) -> None:
    if labels is not None and labels != classes:
        hint = "pass one label for each class, in the order of the outputs"
        raise InputError(f"{labels} labels for {classes} classes", where="labels", hint=hint)


def _axis(axis: int, spec: TensorSpec) -> int:
    rank = len(spec.shape)
    if not -rank <= axis < rank:
        what = f"axis {axis}, but output {spec.name} is {tuple(spec.shape)}"
        raise InputError(what, where=WHERE)
    return axis % rank


def _output(name: str, signature: Signature) -> TensorSpec:
    """Returns the output that is meant; an empty name means the first."""
    specs = {spec.name: spec for spec in signature.outputs}
    if not name and specs:
        return next(iter(specs.values()))
    if name not in specs:
        what = f"output {name!r} is not among {sorted(specs)}"
        raise InputError(what, where=WHERE)
    return specs[name]
