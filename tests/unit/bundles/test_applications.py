"""A picture, a text or a sound in, an answer out: by ``run.py``, and by the same modules on the host."""

from __future__ import annotations

import json
import subprocess
import sys
import wave

import msgspec
import numpy as np
import pytest
from PIL import Image

import edgeopt
from edgeopt import (
    AudioPreprocess,
    Classification,
    Detection,
    Embedding,
    LogMel,
    Preprocess,
    Segmentation,
    TextPreprocess,
)
from edgeopt.bundles.application import Interpreter
from edgeopt.bundles.device.edgeopt_runner import audio
from edgeopt.bundles.device.edgeopt_runner.bundle import Stop, canonical, digest
from edgeopt.bundles.device.edgeopt_runner.mel import mel_filters
from edgeopt.bundles.device.edgeopt_runner.text import Tokens, make_tokenizer
from edgeopt.errors import InputError

pytestmark = pytest.mark.slow
rng = np.random.default_rng(0)
X = {"x": np.zeros((1, 3, 64, 64), np.float32)}
LETTERBOX = Preprocess(resize=(64, 64), fit="letterbox", antialias=False)
IDS = {name: np.zeros((1, 6), np.int64) for name in ("ids", "mask")}
TOKENIZER = json.dumps({
    "version": "1.0",
    "added_tokens": [],
    "pre_tokenizer": {"type": "Whitespace"},
    "model": {
        "type": "WordLevel",
        "vocab": {"[PAD]": 0, "[UNK]": 1, "a": 2, "cat": 3},
        "unk_token": "[UNK]",
    },
})  # fmt: skip


def head(boxes, extra=()):
    """Returns a head's output of boxes (middle and size), each of its own class."""
    values = np.zeros(
        (1, 4 + len(boxes) + (len(extra[0]) if len(extra) else 0), len(boxes)), np.float32
    )
    values[0, :4] = np.array(boxes, np.float32).T
    for n in range(len(boxes)):
        values[0, 4 + n, n] = 0.9 - 0.1 * n
    if len(extra):
        values[0, 4 + len(boxes) :] = np.array(extra, np.float32).T
    return values


def run(bundle, *words, code=0, python=sys.executable):
    command = [python, str(bundle.path / "run.py"), *map(str, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/", timeout=60)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def opened(path):
    with Image.open(path) as picture:
        picture.load()
        return picture.copy()


@pytest.fixture
def photograph(tmp_path):
    """A picture of 128 × 96, grey but for a red field at 40, 30 to 80, 70."""
    pixels = np.full((96, 128, 3), 120, np.uint8)
    pixels[30:70, 40:80] = 200, 10, 10
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


BOXES = head([(30, 33, 20, 20), (50, 40, 10, 10)])  # in the letterbox: half the size, 8 rows lower


@pytest.fixture
def detector(replay):
    return replay(
        X,
        {"y": BOXES},
        preprocess=LETTERBOX,
        postprocess=Detection.yolo(2),
        labels=["cat", "größe"],
    )


def test_boxes_are_told_and_drawn(detector, photograph, tmp_path):
    text = run(detector, "--image", photograph, "--draw", tmp_path / "out.png")
    assert text.splitlines()[0] == "  1  0.900000  0  cat  40.0 30.0 80.0 70.0"
    drawn = np.asarray(opened(tmp_path / "out.png"))
    before = np.asarray(opened(photograph))
    assert drawn.shape == before.shape
    changed = (drawn != before).any(-1)
    assert changed[30, 50:70].all()  # the upper edge
    assert changed[40:60, 40].all()
    assert not changed[56:66, 46:74].any()  # inside nothing is drawn
    plain = json.loads(run(detector, "--image", photograph, "--json", "-"))
    assert plain["width"], plain["height"] == (128, 96)
    assert plain["objects"][0]["label"] == "cat"
    np.testing.assert_allclose(plain["objects"][0]["box"], [40, 30, 80, 70])
    run(detector, "--image", photograph, "--json", tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == plain


def test_the_host_says_what_the_device_says(detector, photograph, tmp_path, monkeypatch):
    interpreter = Interpreter(detector)
    for value in (
        photograph,
        str(photograph),
        opened(photograph),
        np.asarray(opened(photograph)),
    ):
        prepared = interpreter.prepare(value)
        told = interpreter.tell((BOXES,), prepared)
        assert told.to_dict() == json.loads(run(detector, "--image", photograph, "--json", "-"))
        assert str(told) + "\n" == run(detector, "--image", photograph)
    run(detector, "--image", photograph, "--draw", tmp_path / "out.png")
    np.testing.assert_array_equal(np.asarray(told.draw()), np.asarray(opened(tmp_path / "out.png")))
    assert len(told.detections) == 2
    with pytest.raises(InputError, match="it is a detection"):
        told.classes  # noqa: B018 (it raises)
    with pytest.raises(InputError, match="expected uint8 pixels"):
        interpreter.prepare(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(InputError, match="expected a path"):
        interpreter.prepare(3)
    with pytest.raises(InputError, match="not a picture"):
        interpreter.prepare("no such file")


def test_an_old_python_and_pillow_say_the_same(detector, python39_pillow, photograph, tmp_path):
    told = run(
        detector, "--image", photograph, "--draw", tmp_path / "old.png", python=python39_pillow
    )
    assert told == run(detector, "--image", photograph)
    drawn, before = (np.asarray(opened(path)) for path in (tmp_path / "old.png", photograph))
    assert (drawn != before).any(-1)[30, 50:70].all()
    plain = [
        json.loads(run(detector, "--image", photograph, "--json", "-", python=one))
        for one in (python39_pillow, sys.executable)
    ]
    assert plain[0] == plain[1]


def test_keypoints_masks_and_rotated_boxes_are_drawn(replay, photograph, tmp_path):
    boxes = [(30, 33, 20, 20)]
    points = replay(
        X,
        {"y": head(boxes, [[25, 30, 0.9, 35, 38, 0.9, 50, 50, 0.1]])},
        name="points",
        preprocess=LETTERBOX,
        postprocess=Detection.yolo(1, keypoints=(3, 3), skeleton=((0, 1), (1, 2))),
    )
    text = run(points, "--image", photograph, "--draw", tmp_path / "points.png")
    assert text.splitlines()[1].split() == ["50:44:0.9", "70:60:0.9", "100:84:0.1"]
    drawn = np.asarray(opened(tmp_path / "points.png"))
    assert (drawn[52, 60] == 255).all()  # the joint between the two that are seen
    assert (drawn[84, 100] == 120).all()  # the third is not
    turned = replay(
        X,
        {"y": head(boxes, [[0.5]])},
        name="turned",
        preprocess=LETTERBOX,
        postprocess=Detection.yolo(1, rotated=True),
    )
    text = run(turned, "--image", photograph, "--draw", tmp_path / "turned.png")
    assert text.split()[-6:] == ["60.0", "50.0", "40.0", "40.0", "28.6", "degrees"]
    prototypes = np.full((1, 1, 16, 16), 2, np.float32)
    mask = replay(
        X,
        {"y": head(boxes, [[1]]), "p": prototypes},
        name="mask",
        preprocess=LETTERBOX,
        postprocess=Detection.yolo(1, masks=1, prototypes="p"),
    )
    run(mask, "--image", photograph, "--draw", tmp_path / "mask.png")
    drawn, before = (np.asarray(opened(p)) for p in (tmp_path / "mask.png", photograph))
    assert (drawn[55:65, 50:70] != before[55:65, 50:70]).any(-1).all()
    plain = json.loads(run(mask, "--image", photograph, "--json", "-"))
    counts = plain["objects"][0]["mask"]["counts"]
    assert sum(counts) == 96 * 128
    assert sum(counts[1::2]) == 40 * 40


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_what_is_no_place_is_told_and_not_drawn(replay, photograph, tmp_path, value):
    spec = Detection.yolo(1, rotated=True)
    y = head([(value, 33, 20, 20)], [[0.5]])
    odd = replay(X, {"y": y}, preprocess=LETTERBOX, postprocess=spec)
    assert "degrees" in run(odd, "--image", photograph, "--draw", tmp_path / "odd.png")
    drawn, before = (np.asarray(opened(p)) for p in (tmp_path / "odd.png", photograph))
    np.testing.assert_array_equal(drawn, before)


def test_areas_are_told_and_drawn(replay, photograph, tmp_path):
    scores = np.zeros((1, 2, 8, 8), np.float32)
    scores[0, 1, :, :4] = 5
    bundle = replay(
        X,
        {"y": scores},
        preprocess=Preprocess(resize=(64, 64)),
        postprocess=Segmentation(),
        labels=["ground", "road"],
    )
    text = run(bundle, "--image", photograph, "--draw", tmp_path / "out.jpg")
    shares = {line.split()[2]: float(line.split()[0].rstrip("%")) for line in text.splitlines()}
    assert sum(shares.values()) == pytest.approx(100, abs=0.1)
    assert shares["road"] == pytest.approx(50, abs=7)
    assert opened(tmp_path / "out.jpg").size == (128, 96)


def test_classes_are_told_without_a_flag_and_as_many_as_asked(make, tmp_path):
    artifact_labels = ["a", "b", "c", "d"]
    bundle = make(postprocess=Classification(top=3), labels=artifact_labels)
    np.save(tmp_path / "x.npy", np.array([[0, 2, 1, 0]], np.float32))
    lines = run(bundle, "--input", tmp_path / "x.npy").splitlines()
    assert [line.split()[3] for line in lines] == ["b", "c", "a"]
    lines = run(bundle, "--input", tmp_path / "x.npy", "--top", 1).splitlines()
    assert float(lines[0].split()[1]) == pytest.approx(np.exp(4) / np.exp([0, 4, 2, 0]).sum())
    assert len(lines) == 1
    np.save(tmp_path / "many.npy", np.zeros((2, 1, 4), np.float32))
    lines = run(bundle, "--input", tmp_path / "many.npy", "--each").splitlines()
    assert [line for line in lines if line.startswith("run")] == ["run 0", "run 1"]
    assert not run(bundle, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy")


def test_texts_become_vectors(replay, capsys):
    values = rng.normal(size=(1, 6, 4)).astype(np.float32)
    bundle = replay(
        IDS,
        {"y": values},
        preprocess=TextPreprocess(tokenizer=TOKENIZER, mask="mask", vocabulary=4),
        postprocess=Embedding(pooling="mean"),
    )
    plain = json.loads(run(bundle, "--text", "a cat", "--text", "a a cat", "--json", "-"))
    for count, one in zip((2, 3), plain["runs"], strict=True):
        expected = values[0, :count].mean(0)
        np.testing.assert_allclose(one["rows"][0], expected / np.linalg.norm(expected), rtol=1e-5)
    interpreter = Interpreter(bundle)
    prepared = interpreter.prepare("a cat")
    np.testing.assert_array_equal(prepared.arrays[0], [[2, 3, 0, 0, 0, 0]])
    told = interpreter.tell((values,), prepared)
    np.testing.assert_allclose(told.embedding, plain["runs"][0]["rows"][0])
    interpreter.prepare("a cat " * 9)
    assert "18 tokens, 6 are taken" in capsys.readouterr().err


def test_a_token_that_the_model_does_not_know_ends_the_run(replay):
    bundle = replay(
        IDS,
        {"y": np.zeros((1, 6, 4), np.float32)},
        preprocess=TextPreprocess(tokenizer=TOKENIZER, vocabulary=4),
        postprocess=Embedding(pooling="mean"),
    )
    spec = {**msgspec.to_builtins(bundle.manifest.preprocess), "vocabulary": 3}
    specs = msgspec.to_builtins(bundle.manifest.signature.inputs)
    with pytest.raises(Stop, match="token 3, but the model knows 3 tokens"):
        Tokens(make_tokenizer(TOKENIZER.encode()), spec, [specs])("a cat")
    with pytest.raises(Stop, match="not a tokenizer"):
        make_tokenizer(b"{}")


def write_wave(path, samples, rate, width=2):
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(samples.shape[0])
        sound.setsampwidth(width)
        sound.setframerate(rate)
        whole = np.rint(samples.T * (2 ** (8 * width - 1) - 1)).astype("<i8")
        whole += 128 if width == 1 else 0
        raw = whole.reshape(-1, 1).view(np.uint8).reshape(-1, 8)[:, :width]
        sound.writeframes(raw.tobytes())


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_sounds_of_every_width_are_read(tmp_path, width):
    samples = np.stack([np.sin(np.arange(400) / 9), np.cos(np.arange(400) / 9)]) * 0.9
    write_wave(tmp_path / "a.wav", samples, 8000, width)
    read, rate = audio.read_wave(str(tmp_path / "a.wav"))
    assert rate == 8000
    np.testing.assert_allclose(read, samples, atol=2.0 / 2 ** (8 * width - 1) + 1e-6)


@pytest.mark.parametrize(
    ("old", "new"), [(44100, 16000), (8000, 16000), (16000, 16000), (48000, 8000)]
)
def test_a_tone_is_the_same_tone_at_another_rate(old, new):
    seconds = np.arange(old) / old
    tone = np.sin(2 * np.pi * 440 * seconds)[None].astype(np.float32)
    made = audio.resample(tone, old, new)
    assert made.shape == (1, new)
    expected = np.sin(2 * np.pi * 440 * np.arange(new) / new)
    np.testing.assert_allclose(made[0, 200:-200], expected[200:-200], atol=5e-3)


def test_what_the_new_rate_cannot_hold_is_gone():
    tone = np.sin(2 * np.pi * 7000 * np.arange(16000) / 16000)[None].astype(np.float32)
    assert np.abs(audio.resample(tone, 16000, 8000)[0, 100:-100]).max() < 0.02


def test_a_sound_is_run_whole_or_frame_by_frame(replay, tmp_path):
    samples = np.sin(np.arange(8000) / 5)[None] * 0.5
    write_wave(tmp_path / "a.wav", samples, 8000)
    whole = replay(
        {"x": np.zeros((1, 12000), np.float32)},
        {"y": np.array([[0.0, 1.0]], np.float32)},
        name="whole",
        preprocess=AudioPreprocess(sample_rate=8000),
        postprocess=Classification(),
    )
    assert run(whole, "--audio", tmp_path / "a.wav").splitlines()[0].split()[2] == "1"
    prepared = Interpreter(whole).prepare(tmp_path / "a.wav").arrays[0]
    np.testing.assert_allclose(prepared[0, :8000], samples[0], atol=1e-4)
    assert not prepared[0, 8000:].any()
    frames = replay(
        {"x": np.zeros((1, 512), np.float32)},
        {"y": np.array([[0.0, 1.0]], np.float32)},
        name="frames",
        preprocess=AudioPreprocess(sample_rate=8000, frame=512),
        postprocess=Classification(activation="none", top=1),
    )
    lines = run(frames, "--audio", tmp_path / "a.wav").splitlines()
    assert lines.count("run 15") == 1
    assert len(lines) == 2 * 16
    run(frames, "--audio", tmp_path / "a.wav", "--output", tmp_path / "y.npy")
    assert np.load(tmp_path / "y.npy").shape == (16, 1, 2)


def test_mel_bands_of_a_tone_are_where_the_tone_is(tmp_path):
    spec = msgspec.to_builtins(AudioPreprocess(mel=LogMel(bands=40, layout="frames-bands")))
    for hertz in (300, 1000, 4000):
        tone = np.sin(2 * np.pi * hertz * np.arange(16000) / 16000)[None].astype(np.float32)
        bands = audio.prepare_audio(tone, 16000, spec, [1, 50, 40])
        assert bands.shape == (1, 50, 40)
        strongest = bands[0, 10:40].mean(0).argmax()
        filters = mel_filters(16000, spec["mel"])
        peak = np.linspace(0, 8000, 201)[filters[:, strongest].argmax()]
        assert abs(peak - hertz) < 0.15 * hertz + 40


def test_bad_sounds(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF....WAVE")
    with pytest.raises(Stop, match=r"not a \.wav file"):
        audio.read_wave(str(tmp_path / "a.wav"))
    write_wave(tmp_path / "b.wav", np.zeros((1, 0)), 8000)
    with pytest.raises(Stop, match="the sound is empty"):
        audio.read_wave(str(tmp_path / "b.wav"))
    write_wave(tmp_path / "c.wav", np.zeros((1, 400)), 8000)
    content = (tmp_path / "c.wav").read_bytes()
    (tmp_path / "d.wav").write_bytes(content[:-333])  # an odd byte is left
    assert audio.read_wave(str(tmp_path / "d.wav"))[0].shape == (1, 400 - 167)


def test_wrong_usage_is_told(detector, make, photograph, tmp_path):
    plain = make("plain")
    words = ("--image", photograph, "--draw", "a.png")
    assert "does not say what its outputs mean" in run(plain, *words, code=2)
    assert "one of them" in run(detector, "--image", photograph, "--text", "a", code=2)
    assert "--draw draws on a picture" in run(detector, "--draw", "a.png", code=2)
    assert ".png or .jpg expected" in run(
        detector, "--image", photograph, "--draw", tmp_path / "a.gif", code=2
    )
    assert "does not say how a text" in run(detector, "--text", "a", code=2)
    assert "does not say how a sound" in run(detector, "--audio", photograph, code=2)
    with pytest.raises(InputError, match="does not say what its outputs mean"):
        edgeopt.predict(plain, photograph)


def test_a_manifest_that_cannot_be_followed_ends_the_run(replay, photograph):
    bundle = replay(X, {"y": BOXES}, preprocess=LETTERBOX, postprocess=Detection.yolo(2))
    path = bundle.path / "manifest.json"
    for part, field, value in (
        ("postprocess", "boxes", {"output": "y", "axis": 9, "start": 0, "count": 4}),
        ("postprocess", "kind", []),
        ("preprocess", "resize", ["a", 1]),
        ("preprocess", "interpolation", None),
    ):
        manifest = json.loads(path.read_bytes())
        whole = {**manifest, part: {**manifest[part], field: value}}
        changed = {**whole, "digest": digest(canonical({**whole, "digest": ""}))}
        path.write_bytes(canonical(changed))
        assert "cannot be followed" in run(bundle, "--image", photograph, code=1)
        path.write_bytes(canonical(manifest))
