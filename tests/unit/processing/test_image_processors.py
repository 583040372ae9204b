"""What Hugging Face's processors do to a picture, our options made of them do too."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
import transformers
from PIL import Image

import edgeopt
from edgeopt.bundles.device.edgeopt_runner.picture import prepare_picture
from edgeopt.errors import InputError

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (213, 317, 3), np.uint8))
PROCESSORS = {
    "ViT": {},
    "ViT nearest": {"resample": 0},
    "ViT lanczos": {"resample": 1},
    "ViT pixels": {"do_rescale": False, "do_normalize": False},
    "ConvNext": {},
    "ConvNext small": {"size": {"shortest_edge": 224}, "crop_pct": 0.875},
    "MobileNetV2": {},
    "MobileNetV2 odd": {"crop_size": {"height": 223, "width": 251}},
    "MobileViT": {},
    "Segformer": {},
    "CLIP": {},
    "EfficientNet": {},
    "EfficientNet offset": {"rescale_offset": True, "rescale_factor": 1 / 127.5},
    "DPT": {},
    "Siglip": {},
    "Levit": {},
    "PoolFormer": {},
    "RTDetr": {},
}


def processor(name, settings):
    return getattr(transformers, f"{name.split()[0]}ImageProcessorPil")(**settings)


@pytest.mark.parametrize("name", PROCESSORS)
def test_the_input_is_the_processors(name):
    one = processor(name, PROCESSORS[name])
    expected = one(PICTURE, return_tensors="np")["pixel_values"]
    spec = edgeopt.Preprocess.of(one)
    array, _ = prepare_picture(PICTURE, msgspec.to_builtins(spec))
    assert array.shape == expected.shape
    np.testing.assert_allclose(array, expected, atol=2e-6 * max(1, np.abs(expected).max()))


def test_a_file_and_a_folder_say_the_same(tmp_path):
    one = processor("CLIP", {})
    one.save_pretrained(tmp_path)
    spec = edgeopt.Preprocess.of(one)
    assert edgeopt.Preprocess.of(tmp_path) == spec
    assert edgeopt.Preprocess.of(str(tmp_path / "preprocessor_config.json")) == spec
    assert edgeopt.Preprocess.of(one.to_dict()) == spec


def test_what_a_compiled_model_cannot_follow_is_named():
    one = processor("Detr", {})
    with pytest.raises(InputError, match=r"DetrImageProcessorPil: size .*depends on the picture"):
        edgeopt.Preprocess.of(one)
    spec = edgeopt.Preprocess.of(one, resize=(480, 640))
    assert spec.resize == (480, 640)
    with pytest.raises(InputError, match="keep_aspect_ratio"):
        edgeopt.Preprocess.of(processor("DPT", {"keep_aspect_ratio": True}))
    with pytest.raises(InputError, match="do_thumbnail: this step has no field"):
        edgeopt.Preprocess.of({"image_processor_type": "Donut", "do_thumbnail": True})


def test_bad_files(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        edgeopt.Preprocess.of(tmp_path / "none.json")
    (tmp_path / "a.json").write_text("[1")
    with pytest.raises(InputError, match=r"a\.json"):
        edgeopt.Preprocess.of(tmp_path / "a.json")
    (tmp_path / "b.json").write_text(json.dumps({"do_resize": True, "size": {"shortest_edge": 0}}))
    with pytest.raises(InputError, match="size"):
        edgeopt.Preprocess.of(tmp_path / "b.json")
    with pytest.raises(InputError, match="expected a transform"):
        edgeopt.Preprocess.of(3)


def test_sounds_as_extractors_make_them():
    from edgeopt.bundles.device.edgeopt_runner.audio import prepare_audio

    sound = np.random.default_rng(1).normal(0, 0.1, 30000).astype(np.float32)
    for one, shape in (
        (transformers.WhisperFeatureExtractor(), [1, 80, 3000]),
        (transformers.WhisperFeatureExtractor(feature_size=128), [1, 128, 3000]),
        (transformers.WhisperFeatureExtractor(chunk_length=5), [1, 80, 500]),
    ):
        spec = msgspec.to_builtins(edgeopt.AudioPreprocess.of(one))
        expected = one(sound, sampling_rate=16000, return_tensors="np")["input_features"]
        array = prepare_audio(sound[None], 16000, spec, shape)
        np.testing.assert_allclose(array, expected, atol=1e-4)
    one = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    spec = msgspec.to_builtins(edgeopt.AudioPreprocess.of(one))
    expected = one(sound, sampling_rate=16000, return_tensors="np")["input_values"]
    np.testing.assert_allclose(
        prepare_audio(sound[None], 16000, spec, [1, 30000]), expected, atol=1e-5
    )


def test_a_sound_that_has_no_field_is_named():
    with pytest.raises(InputError, match=r"SpeechT5FeatureExtractor: its features are not known"):
        edgeopt.AudioPreprocess.of({"feature_extractor_type": "SpeechT5FeatureExtractor"})
    with pytest.raises(
        InputError, match=r"ASTFeatureExtractor: it makes Kaldi's filter banks"
    ) as caught:
        edgeopt.AudioPreprocess.of({"feature_extractor_type": "ASTFeatureExtractor"})
    assert "let the model take features" in str(caught.value)
    with pytest.raises(InputError, match="dither"):
        edgeopt.AudioPreprocess.of(transformers.WhisperFeatureExtractor(dither=0.1))


def tokenizer(**options):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3, "a": 4, "cat": 5, "sat": 6}
    inner = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))  # noqa: S106 (a token of text)
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",  # noqa: S106 (a token of text)
        cls_token="[CLS]",  # noqa: S106 (as above)
        **options,
    )


@pytest.mark.parametrize("side", ["right", "left"])
def test_texts_as_tokenizers_make_them(side, tmp_path):
    from edgeopt.bundles.device.edgeopt_runner.text import Tokens, read_tokenizer

    one = tokenizer(padding_side=side, model_max_length=6)
    one.save_pretrained(tmp_path)
    specs = [
        {"name": name, "dtype": "int64", "shape": [1, 6]}
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    for given in (one, tmp_path):
        spec = edgeopt.TextPreprocess.of(
            given, ids="input_ids", mask="attention_mask", types="token_type_ids"
        )
        text = spec.tokenizer if given is one else (tmp_path / "tokenizer.json").read_text()
        (tmp_path / "tokens.json").write_text(text)
        plain = msgspec.to_builtins(spec.replace(tokenizer="tokens.json"))
        tokens = Tokens(read_tokenizer(str(tmp_path), plain), plain, [specs])
        for words in ("a cat", "", "a cat sat a cat sat", "what"):
            expected = one(words, padding="max_length", truncation=True, return_tensors="np")
            made = tokens(words)
            assert set(made) == {"input_ids", "attention_mask", "token_type_ids"}
            np.testing.assert_array_equal(made["input_ids"], expected["input_ids"])
            np.testing.assert_array_equal(made["attention_mask"], expected["attention_mask"])


def test_a_tokenizer_without_its_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no tokenizer\.json"):
        edgeopt.TextPreprocess.of(object())
    with pytest.raises(InputError, match=r"there is no tokenizer\.json"):
        edgeopt.TextPreprocess.of(tmp_path)
    with pytest.raises(InputError, match="truncation_side"):
        edgeopt.TextPreprocess.of(tokenizer(truncation_side="left"))
