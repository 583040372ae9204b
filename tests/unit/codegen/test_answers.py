"""Outputs mean what run.py says they mean, in C, in C++ and in Kotlin."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest

from edgeopt import Classification, Detection, Embedding, Preprocess, Segmentation
from edgeopt.bundles.application import Interpreter
from edgeopt.options import Columns

from .conftest import built_c, built_kotlin, done, photograph

pytestmark = pytest.mark.slow
LETTERBOX = Preprocess(resize=(32, 32), fit="letterbox", antialias=False)
X = {"x": np.zeros((1, 3, 32, 32), np.float32)}
rng = np.random.default_rng(3)


def scores(*shape):
    return rng.normal(0, 2, shape).astype(np.float32)


def head(axis):
    """Returns 60 boxes with 3 scores, many of which overlap."""
    boxes = np.abs(rng.normal(16, 6, (1, 60, 4))).astype(np.float32)
    array = np.concatenate([boxes, rng.random((1, 60, 3), np.float32)], 2)
    return np.ascontiguousarray(np.moveaxis(array, 2, axis))


CORNERS = np.sort(rng.random((2, 20, 2), np.float32) * 32, 0).transpose(1, 0, 2).reshape(1, 20, 4)
LABELS = ["cat", 'a"%s', "größe"]
CASES = {
    "softmax": ({"y": scores(1, 3)}, Classification(top=2), LABELS),
    "rows": ({"z": scores(2, 4), "y": scores(2, 3)}, Classification(output="y", activation="sigmoid"), None),
    "threshold": ({"y": np.float32([[0.2, 0.9, 0.2]])}, Classification(activation="none", threshold=0.2), None),
    "yolo": ({"y": head(1)}, Detection.yolo(3, confidence=0.5, iou=0.4), LABELS),
    "agnostic": ({"y": head(2)}, Detection(
        boxes=Columns(count=4), scores=Columns(start=4), box_format="xywh", agnostic=True, max_detections=7,
        iou=0.3, background="last"), None),
    "parts": ({"b": CORNERS, "s": rng.random((1, 20), np.float32), "c": rng.integers(0, 3, (1, 20)).astype(np.int64)},
        Detection(boxes=Columns(output="b"), scores=Columns(output="s"), classes=Columns(output="c"),
            nms=False, box_format="yxyx", confidence=0.5), LABELS),
    "shares": ({"y": np.concatenate([CORNERS / 32, scores(1, 20, 4)], 2)}, Detection(
        boxes=Columns(count=4), scores=Columns(start=4), units="normalized", activation="softmax",
        background="first", confidence=0.3), LABELS),
    "areas": ({"y": scores(1, 3, 8, 8)}, Segmentation(), LABELS),
    "areas-last": ({"y": scores(1, 8, 8, 3)}, Segmentation(axis=-1, upsample="nearest"), LABELS),
    "binary": ({"y": scores(1, 1, 8, 8)}, Segmentation(values="binary"), ["cat"]),
    "numbers": ({"y": rng.integers(0, 3, (1, 8, 8)).astype(np.int64)}, Segmentation(values="classes"), LABELS),
    "mean": ({"y": scores(1, 6, 4)}, Embedding(pooling="mean"), None),
    "first": ({"y": scores(1, 6, 4)}, Embedding(pooling="first", normalize=False), None),
    "vector": ({"y": scores(2, 4)}, Embedding(), None),
}  # fmt: skip


def numbers(text):
    return [
        float(word) for word in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.])", text)
    ]


def words(text):
    return re.findall(r"[^\W\d_]\S*|\"\S*", text)


def told(bundle, path, outputs):
    """Returns what run.py prints; of an embedding all numbers, as the application prints them."""
    interpreter = Interpreter(bundle)
    prediction = interpreter.tell(list(outputs.values()), interpreter.prepare(path))
    if prediction.kind == "embedding":
        return " ".join(f"{v:.7g}" for v in np.ravel(prediction.answer.value))
    return str(prediction)


def agree(kind, got, wanted):
    if kind.startswith(("areas", "binary", "numbers")):  # of equal shares the order is another
        assert sorted(numbers(got)) == pytest.approx(sorted(numbers(wanted)), abs=0.02)
        assert sorted(words(got)) == sorted(words(wanted))
        return
    np.testing.assert_allclose(numbers(got), numbers(wanted), rtol=2e-5, atol=2e-6)
    assert words(got) == words(wanted)


@pytest.mark.parametrize("kind", CASES)
def test_c_says_what_run_py_says(kind, replay, tmp_path):
    outputs, after, labels = CASES[kind]
    bundle = replay(X, outputs, preprocess=LETTERBOX, postprocess=after, labels=labels)
    path = photograph(tmp_path / "p.ppm", (61, 47))
    for n, array in enumerate(outputs.values()):
        array.tofile(tmp_path / f"out_{n}.bin")
    wanted = told(bundle, path, outputs)
    for language in ("c", "cpp"):
        program = built_c(bundle, tmp_path / language, language)
        agree(kind, done(program, tmp_path, path), wanted)


@pytest.mark.parametrize("kind", ["softmax", "yolo", "areas"])
def test_scores_that_are_nan_end_with_an_error(kind, replay, tmp_path):
    outputs, after, labels = CASES[kind]
    bundle = replay(X, outputs, preprocess=LETTERBOX, postprocess=after, labels=labels)
    array = outputs["y"].copy()
    array.flat[-1] = np.nan
    array.tofile(tmp_path / "out_0.bin")
    program = built_c(bundle, tmp_path / "c")
    path = photograph(tmp_path / "p.ppm", (61, 47))
    result = subprocess.run([str(program), str(tmp_path), str(path)], check=False, timeout=60)
    assert result.returncode == 1


KOTLIN = {
    "classification": 'for (row in classes(r)) row.forEach { println("1 ${it.probability} ${it.number} ${labelOf(it.number)}") }',
    "detection": 'objects(r, place).forEach { println("1 ${it.score} ${it.number} ${labelOf(it.number)} " + it.box.joinToString(" ")) }',
    "segmentation": 'print(areas(r, place).joinToString(" "))',
    "embedding": 'vectors(r).forEach { println(it.joinToString(" ")) }',
}


@pytest.mark.parametrize("kind", ["softmax", "yolo", "areas", "mean"])
def test_kotlin_says_what_run_py_says(kind, replay, tmp_path):
    outputs, after, labels = CASES[kind]
    bundle = replay(X, outputs, preprocess=LETTERBOX, postprocess=after, labels=labels)
    path = photograph(tmp_path / "p.ppm", (61, 47))
    for n, array in enumerate(outputs.values()):
        array.tofile(tmp_path / f"out_{n}.bin")
    (tmp_path / "p.raw").write_bytes(path.read_bytes().split(b"\n255\n", 1)[1])
    interpreter = Interpreter(bundle)
    prediction = interpreter.tell(list(outputs.values()), interpreter.prepare(path))
    main = f"""
fun main(words: Array<String>) {{
    val place = Picture.prepare(java.io.File(words[0]).readBytes(), 47, 61, inputs[0].room())
    val r = outputs.indices.map {{ bytesOf(words[it + 1]) }}
    {KOTLIN[prediction.kind]}
}}
"""
    jar = built_kotlin(bundle, tmp_path / "kotlin", main)
    files = [tmp_path / f"out_{n}.bin" for n in range(len(outputs))]
    said = done("java", "-cp", jar, "edgeopt.application.MainKt", tmp_path / "p.raw", *files)
    if prediction.kind == "segmentation":
        np.testing.assert_array_equal(np.array(said.split(), int), prediction.areas.ravel())
    elif prediction.kind == "detection":
        found = prediction.detections
        rows = np.array(
            [
                [float(v) for v in re.sub(r' (cat|a"%s|größe) ', " ", line).split()]
                for line in said.splitlines()
            ]
        )
        np.testing.assert_allclose(rows[:, 1], found.scores, rtol=2e-6)
        np.testing.assert_array_equal(rows[:, 2], found.classes)
        np.testing.assert_allclose(rows[:, 3:], found.boxes, rtol=2e-6, atol=1e-5)
    else:
        agree(
            kind,
            said,
            told(bundle, path, outputs)
            if kind == "mean"
            else re.sub(r"^ +\d+", "1", str(prediction), flags=re.MULTILINE),
        )
