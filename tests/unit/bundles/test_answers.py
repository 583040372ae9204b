"""What outputs mean, held against plain computations of the same."""

from __future__ import annotations

import time

import msgspec
import numpy as np
import pytest
import torch

from edgeopt import Classification, Columns, Detection, Embedding, Segmentation
from edgeopt.bundles.device.edgeopt_runner import answers, suppression, tell
from edgeopt.bundles.device.edgeopt_runner.bundle import WRONG, Stop
from edgeopt.bundles.device.edgeopt_runner.masks import picture_mask, run_lengths
from edgeopt.bundles.device.edgeopt_runner.picture import Placement
from edgeopt.bundles.postprocess import settled_postprocess
from edgeopt.contracts import Signature, TensorSpec

LABELS = [f"class {n}" for n in range(3)]
WHOLE = Placement((64, 64), (64, 64), (1.0, 1.0), (0, 0))
rng = np.random.default_rng(0)


def answered(spec, outputs, labels=None, **more):
    """Returns the answer as a bundle would: the spec settled, the manifest plain."""
    specs = tuple(TensorSpec(n, a.shape, str(a.dtype)) for n, a in outputs.items())
    signature = Signature((TensorSpec("x", (1, 3, 64, 64), "float32"),), specs)
    settled = settled_postprocess(spec, signature, None if labels is None else len(labels))
    manifest = {
        "signature": msgspec.to_builtins(signature),
        "postprocess": msgspec.to_builtins(settled),
        "preprocess": None,
    }
    return answers.answer(list(outputs.values()), manifest, labels or [], **more)


# --- boxes ---------------------------------------------------------------------------------------


def plain_nms(boxes, scores, iou):
    """Returns what stays, one pair after the other, as the definition says."""
    order = sorted(range(len(scores)), key=lambda n: (-scores[n], n))
    stays: list[int] = []
    for n in order:
        if all(plain_iou(boxes[n], boxes[m]) <= iou for m in stays):
            stays.append(n)
    return stays


def plain_iou(a, b):
    sides = [max(min(a[n + 2], b[n + 2]) - max(a[n], b[n]), np.float32(0)) for n in (0, 1)]
    inside = sides[0] * sides[1]
    whole = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside
    return 0.0 if whole == 0 else float(inside / whole)


@pytest.mark.parametrize("count", [0, 1, 2, 60])
@pytest.mark.parametrize("iou", [0.0, 0.3, 0.7, 1.0])
def test_suppression_is_the_definition(count, iou):
    place = rng.uniform(0, 60, (count, 2))
    boxes = np.concatenate([place, place + rng.uniform(0, 30, (count, 2))], 1).astype(np.float32)
    scores = rng.integers(0, 8, count).astype(np.float32)  # with ties
    kept = suppression.suppress(boxes, scores, iou, 1000)
    assert list(kept) == plain_nms(boxes, scores, iou)
    assert list(suppression.suppress(boxes, scores, iou, 5)) == list(kept[:5])


def test_ten_thousand_boxes_take_a_moment():
    place = rng.uniform(0, 600, (10_000, 2))
    boxes = np.concatenate([place, place + rng.uniform(5, 60, (10_000, 2))], 1).astype(np.float32)
    scores = rng.uniform(0, 1, 10_000).astype(np.float32)
    started = time.perf_counter()
    kept = suppression.suppress(boxes, scores, 0.5, 300)
    rotated = np.concatenate([boxes[:, :2], boxes[:, 2:] / 10, scores[:, None]], 1)
    turned = suppression.suppress_rotated(rotated, scores, 0.5, 300)
    assert time.perf_counter() - started < 5
    assert len(kept) == len(turned) == 300
    assert (np.diff(scores[kept]) <= 0).all()


def bhattacharyya(a, b):
    """One minus the Hellinger distance of two Gaussians, from their covariances, in float64."""

    def covariance(box):
        turn = np.array([[np.cos(box[4]), -np.sin(box[4])], [np.sin(box[4]), np.cos(box[4])]])
        return turn @ np.diag(box[2:4] ** 2 / 12) @ turn.T

    first, second = covariance(a), covariance(b)
    middle = (first + second) / 2
    apart = a[:2] - b[:2]
    distance = apart @ np.linalg.solve(middle, apart) / 8
    both = np.linalg.det(first) * np.linalg.det(second)
    distance += np.log(np.linalg.det(middle) / np.sqrt(both)) / 2
    return 1 - np.sqrt(1 - np.exp(-distance))


def test_overlap_of_rotated_boxes_is_the_definition():
    place, size = rng.uniform(0, 60, (20, 2)), rng.uniform(5, 40, (20, 2))
    boxes = np.concatenate([place, size, rng.uniform(-1, 3, (20, 1))], 1).astype(np.float32)
    expected = [[bhattacharyya(a, b) for b in boxes.astype(float)] for a in boxes.astype(float)]
    got = suppression.probabilistic_overlap(boxes, boxes)
    np.testing.assert_allclose(got, expected, atol=2e-3)  # 1 - sqrt(1e-7) where they are equal


def test_a_rotated_box_goes_where_a_better_one_overlaps_it():
    boxes = np.array([[10, 10, 8, 4, 0.1], [10, 10, 8, 4, 0.2], [40, 40, 8, 4, 0]], np.float32)
    scores = np.array([0.5, 0.9, 0.7], np.float32)
    assert list(suppression.suppress_rotated(boxes, scores, 0.5, 10)) == [1, 2]
    none = suppression.suppress_rotated(boxes[:0], scores[:0], 0.5, 10)
    assert none.shape == (0,)


HEAD = np.zeros((1, 7, 4), np.float32)  # 4 boxes, 3 classes
HEAD[0, :4] = np.array([[16, 16, 8, 8], [17, 16, 8, 8], [17, 16, 8, 8], [60, 60, 20, 20]]).T
HEAD[0, 4:] = np.array([[0.9, 0, 0], [0.8, 0, 0], [0, 0.7, 0], [0, 0, 0.6]]).T


def test_a_head_of_yolo_becomes_boxes_of_the_picture():
    place = Placement((100, 200), (64, 64), (0.32, 0.32), (16, 0))
    found = answered(Detection.yolo(3), {"y": HEAD}, LABELS, placement=place).value
    assert list(found.classes) == [0, 1, 2]  # one class does not suppress another
    np.testing.assert_array_equal(found.scores, HEAD[0, 4:].max(0)[[0, 2, 3]])
    expected = (
        np.array([[12, 12, 20, 20], [13, 12, 21, 20], [50, 50, 70, 70]]) - [0, 16, 0, 16]
    ) / 0.32
    expected = expected.clip(0, [200, 100, 200, 100])
    np.testing.assert_allclose(found.boxes, expected, rtol=1e-6)
    agnostic = answered(Detection.yolo(3, agnostic=True), {"y": HEAD}, placement=place).value
    assert list(agnostic.classes) == [0, 2]
    sure = answered(Detection.yolo(3, confidence=0.95), {"y": HEAD}, placement=place)
    assert len(sure.value) == 0
    assert tell.lines(sure) == ["nothing found"]
    assert tell.plain(sure)["objects"] == []


def test_every_form_of_boxes_is_the_same_boxes():
    corners = np.array([[4, 8, 20, 40], [30, 2, 60, 30]], np.float32)
    size = corners[:, 2:] - corners[:, :2]
    forms = {
        "xyxy": corners,
        "yxyx": corners[:, [1, 0, 3, 2]],
        "xywh": np.concatenate([corners[:, :2], size], 1),
        "cxcywh": np.concatenate([corners[:, :2] + size / 2, size], 1),
    }
    scores = np.array([0.9, 0.8], np.float32)
    for form, values in forms.items():
        for units, factor in (("pixels", 1), ("normalized", 1 / 64)):
            outputs = {
                "boxes": (values * factor)[None].astype(np.float32),
                "scores": scores[None],
                "classes": np.array([[2.0, 1.0]], np.float32),
            }
            spec = Detection(
                boxes=Columns(output="boxes"),
                scores=Columns(output="scores"),
                classes=Columns(output="classes"),
                box_format=form,
                units=units,
                nms=False,
            )
            found = answered(spec, outputs, placement=WHOLE).value
            np.testing.assert_allclose(found.boxes, corners, rtol=1e-6)
            assert list(found.classes) == [2, 1]


@pytest.mark.parametrize("background", ["none", "first", "last"])
def test_the_class_of_no_object_is_left_out(background):
    scores = np.array([[[5, 1, 0, 2], [0, 4, 1, 9]]], np.float32)
    outputs = {"boxes": np.zeros((1, 2, 4), np.float32), "scores": scores}
    spec = Detection(
        boxes=Columns(output="boxes"),
        scores=Columns(output="scores"),
        activation="softmax",
        background=background,
        confidence=0.0,
        nms=False,
    )
    found = answered(spec, outputs, placement=WHOLE).value
    expected = torch.from_numpy(scores[0]).softmax(-1).numpy()
    expected = {"none": expected, "first": expected[:, 1:], "last": expected[:, :-1]}[background]
    order = np.argsort(-expected.max(1), kind="stable")
    np.testing.assert_allclose(found.scores, expected.max(1)[order], rtol=1e-6)
    assert list(found.classes) == list(expected.argmax(1)[order])


def test_keypoints_and_angles_come_with_their_boxes():
    extra = rng.normal(size=(1, 6, 4)).astype(np.float32)
    head = np.concatenate([HEAD, extra], 1)
    place = Placement((128, 128), (64, 64), (0.5, 0.5), (0, 0))
    found = answered(Detection.yolo(3, keypoints=(2, 3)), {"y": head}, placement=place).value
    points = extra[0].T[[0, 2, 3]].reshape(3, 2, 3)
    np.testing.assert_allclose(found.keypoints[..., :2], (points[..., :2] * 2).clip(0, 128))
    np.testing.assert_array_equal(found.keypoints[..., 2], points[..., 2])
    head = np.concatenate([HEAD, extra[:, :1]], 1)
    turned = answered(Detection.yolo(3, rotated=True), {"y": head}, placement=place)
    np.testing.assert_array_equal(turned.value.angles, extra[0, 0][[0, 2, 3]])
    np.testing.assert_allclose(turned.value.boxes, HEAD[0, :4].T[[0, 2, 3]] * 2)
    assert "degrees" in tell.lines(turned)[0]
    assert set(tell.plain(turned)["objects"][0]) >= {"middle", "size", "angle"}


def test_masks_are_prototypes_brought_to_the_inputs_size_and_cut_to_the_box():
    prototypes = rng.normal(size=(1, 5, 16, 16)).astype(np.float32)
    head = np.concatenate([HEAD, rng.normal(size=(1, 5, 4)).astype(np.float32)], 1)
    head[0, :4, 0] = 30.5, 31.25, 40.5, 20.75  # a box between pixels
    place = Placement((32, 64), (64, 64), (1.0, 1.0), (16, 0))
    spec = Detection.yolo(3, masks=5, prototypes="p")
    told = answered(spec, {"y": head, "p": prototypes}, LABELS, placement=place)
    found = told.value
    for box, mask, number in zip(found.boxes, found.masks, range(len(found)), strict=True):
        index = int(np.flatnonzero(head[0, 4:7].max(0) == found.scores[number])[0])
        logits = torch.einsum(
            "p,phw->hw", torch.from_numpy(head[0, 7:, index]), torch.from_numpy(prototypes[0])
        )
        whole = (
            torch.nn.functional.interpolate(logits[None, None], (64, 64), mode="bilinear")[0, 0] > 0
        )
        x, y, w, h = head[0, :4, index]
        rows, columns = np.arange(64)[:, None], np.arange(64)[None]
        inside = (
            (rows >= y - h / 2)
            & (rows < y + h / 2)
            & (columns >= x - w / 2)
            & (columns < x + w / 2)
        )
        np.testing.assert_array_equal(mask, whole.numpy() & inside)
        assert mask.any()
        assert box.min() >= 0
    plain = tell.plain(told)["objects"][0]["mask"]
    assert plain["size"] == [32, 64]
    assert sum(plain["counts"]) == 32 * 64
    np.testing.assert_array_equal(picture_mask(found.masks[0], place), found.masks[0][16:48])


def test_run_lengths_go_down_the_columns():
    assert run_lengths(np.array([[0, 1], [1, 1]], bool)) == [1, 3]
    assert run_lengths(np.array([[1, 0], [1, 0]], bool)) == [0, 2, 2]
    assert run_lengths(np.zeros((2, 2), bool)) == [4]


def test_scores_that_are_no_numbers_tell_nothing():
    head = HEAD.copy()
    head[0, 5, 1] = np.nan
    for spec, outputs in (
        (Detection.yolo(3), {"y": head}),
        (Classification(), {"y": head[0, 4:, 1][None]}),
        (Segmentation(), {"y": head[0, 4:, 1].reshape(1, 3, 1, 1)}),
    ):
        with pytest.raises(Stop, match="NaN") as caught:
            answered(spec, outputs, placement=WHOLE)
        assert caught.value.code == WRONG


# --- classes, areas, vectors ---------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2.0**31])
def test_classes_that_are_no_numbers_name_nothing(value):
    boxes = np.zeros((1, 3, 6), np.float32)
    boxes[0, :, 4] = 0.9, 0.8, 0.1
    boxes[0, 2, 5] = value
    spec = Detection.yolo(3, end_to_end=True, confidence=0.25)
    assert len(answered(spec, {"y": boxes}, LABELS).value) == 2  # it is below the threshold
    boxes[0, 2, 4] = 0.7
    areas = np.zeros((1, 4, 4), np.float32)
    areas[0, 2, 1] = value
    for one, outputs in ((spec, {"y": boxes}), (Segmentation(values="classes"), {"y": areas})):
        with pytest.raises(Stop, match="NaN") as caught:
            answered(one, outputs, LABELS)
        assert caught.value.code == WRONG


def test_classes_are_told_with_their_probabilities():
    scores = np.array([[1.0, 3.0, 2.0]], np.float32)
    told = answered(Classification(top=2), {"y": scores}, LABELS)
    expected = torch.from_numpy(scores[0]).softmax(-1)
    assert [n for n, _ in told.value[0]] == [1, 2]
    np.testing.assert_allclose([p for _, p in told.value[0]], expected[[1, 2]], rtol=1e-6)
    assert tell.lines(told)[0].split() == ["1", f"{expected[1]:.6g}", "1", "class", "1"]
    assert tell.plain(told)["rows"][0][0]["label"] == "class 1"
    several = answered(Classification(activation="sigmoid", threshold=0.9), {"y": scores}, LABELS)
    assert [n for n, _ in several.value[0]] == [1]
    raw = answered(Classification(activation="none"), {"y": scores}, top=1)
    assert raw.value == [[(1, 3.0)]]


@pytest.mark.parametrize("picture", [(64, 64), (37, 90), (200, 20)])
def test_areas_are_torchs_interpolation_of_the_scores(picture):
    scores = rng.normal(size=(1, 5, 16, 16)).astype(np.float32)
    place = Placement(picture, (64, 64), (64 / picture[0], 64 / picture[1]), (0, 0))
    told = answered(Segmentation(), {"y": scores}, placement=place)
    values = torch.nn.functional.interpolate(torch.from_numpy(scores), picture, mode="bilinear")
    expected = values[0].argmax(0).numpy()
    assert (told.value != expected).mean() < 1e-3  # where two scores are equal but for rounding
    shares = {row["class"]: row["share"] for row in tell.plain(told)["areas"]}
    assert sum(shares.values()) == pytest.approx(1)
    nearest = answered(Segmentation(upsample="nearest"), {"y": scores}, placement=place)
    values = torch.from_numpy(scores[0].argmax(0)[None, None].astype(np.float32))
    expected = torch.nn.functional.interpolate(values, picture, mode="nearest-exact")[0, 0].numpy()
    np.testing.assert_array_equal(nearest.value, expected)


def test_of_one_class_a_threshold_tells():
    scores = np.array([[[[-1.0, 0.5], [2.0, -0.1]]]], np.float32)
    place = Placement((2, 2), (2, 2), (1.0, 1.0), (0, 0))
    told = answered(Segmentation(values="binary"), {"y": scores}, ["road"], placement=place)
    np.testing.assert_array_equal(told.value, [[0, 1], [1, 0]])
    assert "road" in tell.lines(told)[1]
    whole = np.array([[[2, 0], [1, 1]]], np.int64)
    told = answered(Segmentation(values="classes"), {"y": whole}, LABELS, placement=place)
    np.testing.assert_array_equal(told.value, whole[0])


def test_what_was_cut_off_has_no_class():
    scores = np.ones((1, 1, 4, 4), np.float32)
    place = Placement((4, 10), (4, 4), (1.0, 1.0), (0, -3))
    told = answered(
        Segmentation(values="binary", activation="none"), {"y": scores}, placement=place
    )
    np.testing.assert_array_equal(told.value[0], [-1] * 3 + [1] * 4 + [-1] * 3)
    assert tell.plain(told)["areas"] == [{"class": 1, "share": 1.0}]


def test_vectors_are_pooled_over_the_tokens_that_are_there():
    values = rng.normal(size=(1, 4, 6)).astype(np.float32)
    mask = np.array([[1, 1, 1, 0]])
    told = answered(Embedding(pooling="mean"), {"y": values}, mask=mask).value
    expected = values[0, :3].mean(0)
    np.testing.assert_allclose(told[0], expected / np.linalg.norm(expected), rtol=1e-5)
    first = answered(Embedding(pooling="first", normalize=False), {"y": values}).value
    np.testing.assert_array_equal(first, values[:, 0])
    alone = answered(Embedding(normalize=False), {"y": values[:, 0]})
    assert tell.lines(alone)[0].startswith("6 numbers")


def test_labels_of_another_model_are_noticed():
    spec = Detection(
        boxes=Columns(output="b"),
        scores=Columns(output="s"),
        classes=Columns(output="c"),
        nms=False,
    )
    outputs = {
        "b": np.zeros((1, 1, 4), np.float32),
        "s": np.ones((1, 1), np.float32),
        "c": np.full((1, 1), 7, np.float32),
    }
    with pytest.raises(Stop, match="3 labels, but class 7"):
        answered(spec, outputs, LABELS, placement=WHOLE)
