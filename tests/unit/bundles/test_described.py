"""What is said of inputs and outputs is held against the signature when a bundle is written."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

import edgeopt
from edgeopt import (
    AudioPreprocess,
    Classification,
    Columns,
    Detection,
    Embedding,
    LogMel,
    Preprocess,
    Segmentation,
    TextPreprocess,
)
from edgeopt.bundles import read_bundle
from edgeopt.errors import ConfigError, InputError
from edgeopt.options import BundleOptions

VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "a": 2, "cat": 3}
TOKENIZER = json.dumps({
    "version": "1.0",
    "added_tokens": [{"id": 4, "content": "[NEW]", "single_word": False, "lstrip": False,
                      "rstrip": False, "normalized": False, "special": True}],
    "pre_tokenizer": {"type": "Whitespace"},
    "model": {"type": "WordLevel", "vocab": VOCABULARY, "unk_token": "[UNK]"},
})  # fmt: skip


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


IMAGE = {"x": zeros(1, 3, 8, 8)}
WAVE = {"x": zeros(1, 80, 20)}
IDS = {"ids": zeros(1, 6, dtype=np.int64), "mask": zeros(1, 6, dtype=np.int64)}
HEAD = {"y": zeros(1, 7, 40), "p": zeros(1, 2, 4, 4)}


def parts(**columns):
    return Detection(**{"boxes": Columns(start=0, count=4), "scores": Columns(start=4), **columns})


WRONG = [
    (IMAGE, HEAD, {"preprocess": Preprocess(input="z")}, "input 'z' is not among"),
    (IMAGE, HEAD, {"preprocess": Preprocess(crop=(8, 9))}, r"it makes \(1, 3, 8, 9\), but input x"),
    (IMAGE, HEAD, {"preprocess": Preprocess(crop=(8, 8), color="L")}, r"it makes \(1, 1, 8, 8\)"),
    (IMAGE, HEAD, {"preprocess": Preprocess(crop=(8, 8), layout="NHWC")}, r"\(1, 8, 8, 3\)"),
    (IMAGE, HEAD, {"preprocess": Preprocess(inside=True)}, "the model takes uint8"),
    (WAVE, HEAD, {"preprocess": AudioPreprocess(mel=LogMel(bands=64))}, "64 mel bands"),
    (WAVE, HEAD, {"preprocess": AudioPreprocess(frame=512)}, "frames of 512"),
    (IDS, HEAD, {"preprocess": AudioPreprocess()}, "input '' is not among"),
    (IDS, HEAD, {"preprocess": TextPreprocess(tokenizer="no/file.json")}, "there is no such file"),
    (IDS, HEAD, {"preprocess": TextPreprocess(tokenizer="{}")}, "it has no vocabulary"),
    (IDS, HEAD, {"preprocess": TextPreprocess(tokenizer=TOKENIZER, types="t")}, "input 't'"),
    (
        IDS,
        HEAD,
        {"preprocess": TextPreprocess(tokenizer=TOKENIZER, max_length=7)},
        "max_length is 7, but input ids holds 6",
    ),
    (
        IDS,
        HEAD,
        {"preprocess": TextPreprocess(tokenizer=TOKENIZER, vocabulary=4)},
        "the tokenizer has 5 tokens, the model 4",
    ),
    (IMAGE, HEAD, {"postprocess": Classification(output="z")}, "output 'z' is not among"),
    (
        IMAGE,
        {"y": zeros(1, 7)},
        {"postprocess": Classification(), "labels": ["a"]},
        "1 labels for 7 classes",
    ),
    (IMAGE, HEAD, {"postprocess": Detection.yolo(4)}, "channels 4 to 7, but output y"),
    (IMAGE, HEAD, {"postprocess": parts(scores=Columns(output="p"))}, "not of the same boxes"),
    (
        IMAGE,
        HEAD,
        {"postprocess": Detection.yolo(3), "labels": ["a", "b"]},
        "2 labels for 3 classes",
    ),
    (
        IMAGE,
        HEAD,
        {"postprocess": Detection.yolo(2, masks=1, prototypes="p")},
        r"prototypes: output p is \(1, 2, 4, 4\), expected \(1, 1, height, width\)",
    ),
    (IMAGE, HEAD, {"postprocess": Detection.yolo(2, keypoints=(1, 2))}, "channels 6 to 7"),
    (IMAGE, HEAD, {"postprocess": Segmentation()}, "expected one area"),
    (
        IMAGE,
        {"y": zeros(1, 4, 8, 8)},
        {"postprocess": Segmentation(), "labels": ["a"]},
        "1 labels for 4 classes",
    ),
    (IMAGE, {"y": zeros(1, 8)}, {"postprocess": Embedding(pooling="mean", axis=3)}, "axis 3, but"),
]


@pytest.mark.parametrize(("inputs", "outputs", "options", "says"), WRONG)
def test_what_does_not_fit_is_refused(replay, inputs, outputs, options, says):
    with pytest.raises(InputError, match=says):
        replay(inputs, outputs, **options)


def test_names_and_counts_are_filled_in_and_read_again(replay):
    bundle = replay(
        IMAGE,
        {**HEAD, "y": zeros(1, 9, 40)},
        preprocess=Preprocess(resize=(8, 8), fit="letterbox"),
        postprocess=Detection.yolo(3, masks=2, prototypes="p"),
        labels=["a", "b", "c"],
    )
    manifest = read_bundle(bundle.path).manifest
    assert manifest == bundle.manifest
    assert manifest.preprocess.input == "x"
    assert manifest.postprocess.boxes == Columns(output="y", count=4, axis=1)
    assert manifest.postprocess.masks == Columns(output="y", start=7, count=2, axis=1)


def test_the_bundle_holds_the_tokenizer(replay, tmp_path):
    (tmp_path / "t.json").write_text(TOKENIZER)
    for given in (TOKENIZER, str(tmp_path / "t.json")):
        bundle = replay(
            IDS,
            {"y": zeros(1, 8)},
            name=f"b{len(given)}",
            preprocess=TextPreprocess(tokenizer=given, mask="mask", vocabulary=5),
            postprocess=Embedding(),
        )
        assert bundle.read("tokenizer.json") == TOKENIZER.encode()
        assert bundle.manifest.preprocess.tokenizer == "tokenizer.json"
        assert bundle.manifest.preprocess.ids == "ids"


def test_tables_become_options():
    options = BundleOptions(preprocess={"crop": [8, 8]}, postprocess={"kind": "segmentation"})
    assert options.preprocess == Preprocess(crop=(8, 8))
    assert options.postprocess == Segmentation()
    audio = BundleOptions(preprocess={"kind": "audio", "mel": {"bands": 40}})
    assert audio.preprocess == AudioPreprocess(mel=LogMel(bands=40))
    named = BundleOptions(preprocess="imagenet", postprocess="classification")
    assert named.preprocess.crop == (224, 224)
    assert named.postprocess == Classification()
    again = BundleOptions.from_dict(msgspec.to_builtins(options))
    assert again == options


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"preprocess": {"kind": "audoi"}}, 'did you mean "audio"'),
        ({"preprocess": {"crop": [0]}}, "preprocess.crop"),
        ({"preprocess": {"kind": "text"}}, "preprocess.tokenizer"),
        ({"preprocess": "imagenett"}, 'did you mean "imagenet"'),
        ({"postprocess": {}}, "kind: expected one of classification"),
        ({"postprocess": {"kind": "detection"}}, "postprocess.boxes"),
        ({"preprocess": {"fit": "letterbox", "resize": [8]}}, "a letterbox needs height and width"),
        ({"preprocess": {"mean": [0.1, 0.2]}}, "2 numbers for 3 channels"),
        ({"preprocess": {"antialias": False, "interpolation": "lanczos"}}, "with antialias only"),
        ({"preprocess": {"kind": "audio", "hop": 4}}, "there are no frames"),
        (
            {"postprocess": {"kind": "detection", "boxes": {}, "scores": {}, "prototypes": "p"}},
            "masks are coefficients of prototypes",
        ),
        (
            {"postprocess": {"kind": "detection", "boxes": {}, "scores": {}, "angles": {}}},
            "a rotated box is a middle",
        ),
    ],
)
def test_wrong_tables_say_where(fields, says):
    with pytest.raises(ConfigError) as caught:
        BundleOptions(**fields)
    assert says in str(caught.value)


def test_the_models_embedding_is_found_behind_casts():
    import torch

    from edgeopt.deployment.described import vocabulary, with_vocabulary

    class Words(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words = torch.nn.Embedding(5, 4)

        def forward(self, ids, mask):
            return (self.words(ids.to(torch.int64)) * mask[..., None]).sum(1)

    ids = torch.zeros(1, 6, dtype=torch.int32)
    program = edgeopt.capture(Words().eval(), (ids, torch.ones(1, 6)))
    assert vocabulary(program, program.input_names[0]) == 5
    assert vocabulary(program, program.input_names[1]) == 0
    given = TextPreprocess(tokenizer=TOKENIZER, ids="ids")
    assert with_vocabulary(given, program).vocabulary == 5
    assert with_vocabulary(given.replace(vocabulary=9), program).vocabulary == 9
