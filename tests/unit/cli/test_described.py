"""``--preprocess`` and ``--postprocess``: words, files of ours, and files of Hugging Face."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from edgeopt import Classification, Preprocess
from edgeopt.bundles import read_bundle
from edgeopt.cli.read import described
from edgeopt.errors import InputError

pytestmark = pytest.mark.slow
DEPLOY = ("deploy", "toy_models:make", "-t", "host", "-b", "reference", "-o", "b", "--no-speed")


@pytest.fixture
def shape():
    from edgeopt.testing.specimens import specimen

    return tuple(specimen("residual").example[0].shape)


def test_files_reach_the_bundle_and_run_takes_a_picture(edgeopt, folder, shape):
    (folder / "pre.toml").write_text(
        f"resize = {list(shape[2:])}\nmean = 0.5\n".replace("0.5", "[0.5]")
    )
    (folder / "post.json").write_text(json.dumps({"kind": "classification", "top": 2}))
    done = edgeopt(*DEPLOY, "--preprocess", "pre.toml", "--postprocess", "post.json")
    assert done.returncode == 0, done.stderr
    manifest = read_bundle(folder / "b").manifest
    assert manifest.preprocess.resize == shape[2:]
    assert manifest.preprocess.mean == (0.5,)
    assert manifest.postprocess == Classification(output=manifest.signature.outputs[0].name, top=2)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "p.png")
    done = edgeopt("run", "b", "--image", "p.png", "--draw", "out.png", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["prediction"]
    assert len(told["rows"][0]) == 2
    with Image.open(folder / "out.png") as drawn:
        assert drawn.size == (30, 20)
    done = edgeopt("run", "b", "--image", "p.png")
    assert done.stdout.splitlines()[0].split()[0] == "1"


def test_words_and_files_of_others(tmp_path, monkeypatch):
    import transformers

    monkeypatch.chdir(tmp_path)
    assert described("imagenet", ("imagenet",)) == "imagenet"
    one = transformers.CLIPImageProcessorPil()
    one.save_pretrained(tmp_path)
    assert Preprocess(**described("preprocessor_config.json", ())) == Preprocess.of(one)
    transformers.WhisperFeatureExtractor().save_pretrained(tmp_path)
    assert described("preprocessor_config.json", ())["mel"]["bands"] == 80
    (tmp_path / "tokenizer.json").write_text("{}")
    assert described("tokenizer.json", ()) == {"kind": "text", "tokenizer": "tokenizer.json"}
    (tmp_path / "text.toml").write_text('kind = "text"\nmask = "m"\n')
    assert described(str(tmp_path / "text.toml"), ())["tokenizer"] == str(
        tmp_path / "tokenizer.json"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--preprocess", "imagenett"), "cannot be read"),
        (("--preprocess", "bad.toml"), "bad.toml"),
        (("--preprocess", "wrong.toml"), "--preprocess.crop"),
        (("--postprocess", "detection"), "cannot be read"),
        (("--preprocess", "imagenet"), "it makes (1, 3, 224, 224), but input"),
        (("--postprocess", "segmentation"), "postprocess"),
    ],
)
def test_what_is_wrong_is_told(edgeopt, folder, words, says):
    (folder / "bad.toml").write_text("a = [")
    (folder / "wrong.toml").write_text("crop = [0]\n")
    done = edgeopt(*DEPLOY, *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert not (folder / "b").exists()


def test_run_takes_one_thing(edgeopt, folder):
    assert edgeopt(*DEPLOY).returncode == 0
    done = edgeopt("run", "b", "--image", "a.png", "--text", "b")
    assert "--image and --text: one of them" in done.stderr
    done = edgeopt("run", "b", "--text", "b")
    assert "--text: the bundle does not say how it is prepared" in done.stderr
    assert "no picture to draw on" in edgeopt("run", "b", "--draw", "a.png").stderr
    assert "expected .png or .jpg" in edgeopt("run", "b", "--draw", "a.gif").stderr
    with pytest.raises(InputError, match="cannot be read"):
        described("nowhere.json", ())
