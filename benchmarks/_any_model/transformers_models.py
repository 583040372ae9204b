"""transformers: architectures built from configurations, most at modest width and depth, a few at their real size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from _any_model.entry import Catalogue, images, noise, numbers, sampled, together

if TYPE_CHECKING:
    from _any_model.entry import Entry

__all__ = ["entries"]

WORDS, LENGTH = 200, 24
_ENCODER = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
}
_TEXT = {
    **_ENCODER,
    "vocab_size": WORDS,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_DECODER = {**_TEXT, "num_key_value_heads": 2, "head_dim": 16, "use_cache": False}
_STAGES = {"hidden_sizes": [16, 32, 64, 128], "depths": [1, 1, 1, 1]}
_T5 = {
    "d_model": 64,
    "d_kv": 16,
    "d_ff": 128,
    "num_layers": 2,
    "num_heads": 4,
    "use_cache": False,
    "vocab_size": WORDS,
    "pad_token_id": 0,
    "decoder_start_token_id": 0,
    "eos_token_id": 2,
}
_BART = {
    "d_model": 64,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_ffn_dim": 128,
    "decoder_ffn_dim": 128,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "vocab_size": WORDS,
    "max_position_embeddings": 64,
    "use_cache": False,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}
_SPEECH = {
    **_ENCODER,
    "vocab_size": 32,
    "conv_dim": (32,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}

_ENCODERS: dict[str, dict[str, Any]] = {
    "Bert": {},
    "Roberta": {},
    "XLMRoberta": {},
    "Albert": {"embedding_size": 32},
    "Electra": {"embedding_size": 32},
    "DistilBert": {"dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 128},
    "MobileBert": {"embedding_size": 32, "intra_bottleneck_size": 32},
    "SqueezeBert": {"embedding_size": 64},
    "MPNet": {},
    "Deberta": {},
    "DebertaV2": {
        "relative_attention": True,
        "position_buckets": 16,
        "pos_att_type": ["p2c", "c2p"],
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "conv_kernel_size": 3,
    },
    "ConvBert": {"embedding_size": 32},
    "FNet": {},
    "ModernBert": {"global_attn_every_n_layers": 2, "local_attention": 8},
    "NomicBert": {},
    "RoFormer": {"embedding_size": 64},
    "Nystromformer": {
        "num_landmarks": 4,
        "segment_means_seq_len": LENGTH,
        "max_position_embeddings": 512,
    },
    "XLNet": {"vocab_size": WORDS, "d_model": 64, "n_layer": 2, "n_head": 4, "d_inner": 128},
    "Funnel": {
        "vocab_size": WORDS,
        "d_model": 64,
        "block_sizes": [1, 1],
        "n_head": 4,
        "d_head": 16,
        "d_inner": 128,
    },
    "BigBird": {"attention_type": "original_full"},
    "Longformer": {"attention_window": 8},
    "Canine": {},
    "RemBert": {"input_embedding_size": 32, "output_embedding_size": 32},
    "Esm": {"position_embedding_type": "rotary", "token_dropout": True, "mask_token_id": 3},
    "LayoutLM": {},
    "IBert": {},
}
_WORDED_OTHERWISE = ("XLNet", "Funnel")
"""Whose configurations have other words for width and depth."""
_TOKENS = ("Bert", "LayoutLM", "Esm", "BigBird", "Roberta")
_GENERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "GPT2": (
        "GPT2LMHeadModel",
        {"n_embd": 64, "n_layer": 2, "n_head": 4, "vocab_size": WORDS, "use_cache": False},
    ),
    "GPTNeo": (
        "GPTNeoForCausalLM",
        {
            "hidden_size": 64,
            "num_layers": 2,
            "num_heads": 4,
            "vocab_size": WORDS,
            "attention_types": [[["global", "local"], 1]],
            "use_cache": False,
        },
    ),
    "GPTNeoX": ("GPTNeoXForCausalLM", _DECODER),
    "Llama": ("LlamaForCausalLM", _DECODER),
    "Mistral": ("MistralForCausalLM", {**_DECODER, "sliding_window": 8}),
    "Qwen2": ("Qwen2ForCausalLM", _DECODER),
    "Qwen3": ("Qwen3ForCausalLM", _DECODER),
    "Gemma": ("GemmaForCausalLM", _DECODER),
    "Gemma2": ("Gemma2ForCausalLM", {**_DECODER, "sliding_window": 8}),
    "Phi": ("PhiForCausalLM", _DECODER),
    "OPT": (
        "OPTForCausalLM",
        {**_DECODER, "ffn_dim": 128, "word_embed_proj_dim": 64},
    ),
    "Bloom": (
        "BloomForCausalLM",
        {"hidden_size": 64, "n_layer": 2, "n_head": 4, "vocab_size": WORDS, "use_cache": False},
    ),
    "Falcon": ("FalconForCausalLM", {**_TEXT, "use_cache": False, "ffn_hidden_size": 128}),
    "Mixtral": ("MixtralForCausalLM", {**_DECODER, "num_local_experts": 4}),
    "Mamba": (
        "MambaForCausalLM",
        {**_TEXT, "state_size": 8, "use_cache": False},
    ),
    "RecurrentGemma": (
        "RecurrentGemmaForCausalLM",
        {**_DECODER, "num_hidden_layers": 3, "lru_width": 64, "attention_window_size": 8},
    ),
}
_PICTURES: dict[str, dict[str, Any]] = {
    "ViT": {**_ENCODER, "image_size": 64},
    "DeiT": {**_ENCODER, "image_size": 64},
    "Beit": {**_ENCODER, "image_size": 64, "use_relative_position_bias": True},
    "Dinov2": {**_ENCODER, "image_size": 70, "mlp_ratio": 2},
    "Dinov2WithRegisters": {**_ENCODER, "image_size": 70, "mlp_ratio": 2},
    "Siglip": {"vision_config": {**_ENCODER, "image_size": 64, "patch_size": 16}},
    "CLIP": {"vision_config": {**_ENCODER, "image_size": 64, "patch_size": 16}},
    "Swin": {
        "image_size": 64,
        "embed_dim": 24,
        "depths": [2, 2],
        "num_heads": [2, 4],
        "window_size": 4,
    },
    "Swinv2": {
        "image_size": 64,
        "embed_dim": 24,
        "depths": [2, 2],
        "num_heads": [2, 4],
        "window_size": 4,
    },
    "ConvNext": _STAGES,
    "ConvNextV2": _STAGES,
    "ResNet": {"embedding_size": 16, **_STAGES},
    "RegNet": {"embedding_size": 16, "groups_width": 8, **_STAGES},
    "Bit": {"embedding_size": 32, **_STAGES, "num_groups": 8},
    "MobileNetV1": {},
    "MobileNetV2": {},
    "MobileViT": {"image_size": 64},
    "MobileViTV2": {"image_size": 64, "width_multiplier": 0.5},
    "EfficientNet": {"width_coefficient": 0.5, "depth_coefficient": 0.5, "hidden_dim": 640},
    "Levit": {"image_size": 64},
    "Cvt": {"embed_dim": [16, 32, 64], "depth": [1, 2, 3], "num_heads": [1, 2, 4]},
    "PoolFormer": _STAGES,
    "Pvt": {"image_size": 64, "num_attention_heads": [1, 2, 4, 8], **_STAGES},
    "PvtV2": {"image_size": 64, "num_attention_heads": [1, 2, 4, 8], **_STAGES},
    "FocalNet": {"image_size": 64, "embed_dim": 24, "depths": [1, 1, 1, 1]},
    "SwiftFormer": {"image_size": 64, "embed_dims": [16, 32, 48, 64], "depths": [1, 1, 1, 1]},
    "HGNetV2": {},
    "ImageGPT": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 64, "vocab_size": 65},
    "Segformer": {**_STAGES, "num_attention_heads": [1, 2, 4, 8]},
    "Hiera": {
        "image_size": [64, 64],
        "embed_dim": 32,
        "depths": [1, 1],
        "num_heads": [1, 2],
        "patch_stride": [4, 4],
        "query_stride": [2, 2],
        "num_query_pool": 1,
        "masked_unit_size": [4, 4],
    },
}
_DETR = {
    "use_timm_backbone": False,
    "use_pretrained_backbone": False,
    "backbone": None,
    "d_model": 64,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "num_queries": 10,
    "encoder_ffn_dim": 128,
    "decoder_ffn_dim": 128,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
}
_OTHER_PICTURES: dict[str, tuple[str, dict[str, Any], int]] = {
    "SegformerForSemanticSegmentation": (
        "SegformerConfig",
        {**_STAGES, "decoder_hidden_size": 64},
        64,
    ),
    "BeitForSemanticSegmentation": (
        "BeitConfig",
        {**_ENCODER, "num_hidden_layers": 4, "image_size": 64, "out_indices": [1, 2, 3, 4]},
        64,
    ),
    "MobileViTForSemanticSegmentation": ("MobileViTConfig", {"image_size": 64}, 64),
    "DPTForDepthEstimation": (
        "DPTConfig",
        {
            **_ENCODER,
            "num_hidden_layers": 4,
            "image_size": 64,
            "backbone_out_indices": [0, 1, 2, 3],
            "neck_hidden_sizes": [16, 16, 32, 32],
            "fusion_hidden_size": 32,
            "is_hybrid": False,
        },
        64,
    ),
    "GLPNForDepthEstimation": (
        "GLPNConfig",
        {**_STAGES, "num_attention_heads": [1, 2, 4, 8], "decoder_hidden_size": 64},
        64,
    ),
    "YolosForObjectDetection": (
        "YolosConfig",
        {**_ENCODER, "image_size": [64, 64], "num_detection_tokens": 10},
        64,
    ),
    "DetrForObjectDetection": ("DetrConfig", _DETR, 64),
    "ConditionalDetrForObjectDetection": ("ConditionalDetrConfig", _DETR, 64),
    "DeformableDetrForObjectDetection": ("DeformableDetrConfig", _DETR, 64),
    "RTDetrForObjectDetection": (
        "RTDetrConfig",
        {
            "d_model": 64,
            "encoder_hidden_dim": 64,
            "encoder_ffn_dim": 128,
            "num_queries": 10,
            "decoder_ffn_dim": 128,
            "decoder_layers": 2,
            "decoder_attention_heads": 4,
            "encoder_attention_heads": 4,
            "decoder_in_channels": [64, 64, 64],
        },
        64,
    ),
    "SuperPointForKeypointDetection": ("SuperPointConfig", {}, 64),
    "VitDetBackbone": ("VitDetConfig", {**_ENCODER, "image_size": 64}, 64),
}


def entries() -> list[Entry]:
    """Returns the models."""
    found = Catalogue("transformers")
    _add_texts(found)
    _add_pictures(found)
    _add_sounds(found)
    _add_series(found)
    _add_real_sizes(found)
    return found.entries


def _maker(model: str, config: str, settings: dict[str, Any]) -> Any:
    def make() -> Any:
        import transformers  # noqa: PLC0415 (slow)

        return getattr(transformers, model)(getattr(transformers, config)(**settings))

    return make


def _ones(chance: torch.Generator) -> torch.Tensor:
    """A mask of a text that is shorter than the window."""
    words = int(torch.randint(LENGTH // 2, LENGTH, (1,), generator=chance))
    return (torch.arange(LENGTH) < words).long()[None]


_words = numbers(WORDS - 4, 1, LENGTH)


def _text(chance: torch.Generator) -> torch.Tensor:
    """Words that are none of the special ones."""
    return _words(chance) + 4


def _ended(chance: torch.Generator) -> torch.Tensor:
    """A text that ends with its sign."""
    return torch.cat([_text(chance)[:, :-1], torch.full((1, 1), _TEXT["eos_token_id"])], dim=1)


def _add_texts(found: Catalogue) -> None:
    masked = together(input_ids=_ended, attention_mask=_ones)
    for name, extra in _ENCODERS.items():
        settings = {**({} if name in _WORDED_OTHERWISE else _TEXT), **extra}
        make = _maker(f"{name}ForSequenceClassification", f"{name}Config", settings)
        draw = sampled(_text) if name == "Nystromformer" else masked  # its own mask does not fit
        found.add(f"{name}ForSequenceClassification", make, draw)
    for name in _TOKENS:
        make = _maker(
            f"{name}ForTokenClassification", f"{name}Config", {**_TEXT, **_ENCODERS[name]}
        )
        found.add(f"{name}ForTokenClassification", make, sampled(_text))
    for name, (model, settings) in _GENERATORS.items():
        found.add(model, _maker(model, f"{name}Config", settings), sampled(_text))
    two = together(input_ids=_text, decoder_input_ids=_text)
    for name, settings in (("T5", _T5), ("Bart", _BART), ("Pegasus", _BART), ("Marian", _BART)):
        model = "MarianMTModel" if name == "Marian" else f"{name}ForConditionalGeneration"
        found.add(model, _maker(model, f"{name}Config", settings), two)
    clip = {
        "vision_config": {**_ENCODER, "image_size": 64, "patch_size": 16},
        "text_config": _TEXT,
    }
    both = together(input_ids=_text, pixel_values=images(3, 64, 64), attention_mask=_ones)
    found.add("CLIPModel", _maker("CLIPModel", "CLIPConfig", clip), both)
    found.add("SiglipModel", _maker("SiglipModel", "SiglipConfig", clip), both)
    vilt = {**_TEXT, "image_size": 64, "patch_size": 16}
    found.add("ViltModel", _maker("ViltModel", "ViltConfig", vilt), both)


def _add_pictures(found: Catalogue) -> None:
    for name, settings in _PICTURES.items():
        side = 70 if "Dinov2" in name else 64
        draw = sampled(images(3, side, side))
        if name == "ImageGPT":
            draw = sampled(numbers(64, 1, 64))
        make = _maker(f"{name}ForImageClassification", f"{name}Config", settings)
        found.add(f"{name}ForImageClassification", make, draw)
    for model, (config, settings, side) in _OTHER_PICTURES.items():
        found.add(model, _maker(model, config, settings), sampled(images(3, side, side)))
    film = {**_ENCODER, "image_size": 32, "num_frames": 4}
    for name in ("VideoMAE", "Timesformer", "Vivit"):
        extra = {"patch_size": 16} if name != "Vivit" else {"tubelet_size": [2, 16, 16]}
        make = _maker(f"{name}ForVideoClassification", f"{name}Config", {**film, **extra})
        found.add(f"{name}ForVideoClassification", make, sampled(noise(1, 4, 3, 32, 32)))


def _add_sounds(found: Catalogue) -> None:
    wave = sampled(noise(1, 4000))
    sew = {**_ENCODER, "vocab_size": 32, "num_conv_pos_embeddings": 16}
    for name in ("Wav2Vec2", "Hubert", "WavLM", "UniSpeech", "SEW", "Data2VecAudio"):
        settings = {**sew, "num_conv_pos_embedding_groups": 4} if name == "SEW" else _SPEECH
        found.add(f"{name}ForCTC", _maker(f"{name}ForCTC", f"{name}Config", settings), wave)
    ast = {**_ENCODER, "max_length": 128, "num_mel_bins": 64}
    make = _maker("ASTForAudioClassification", "ASTConfig", ast)
    found.add("ASTForAudioClassification", make, sampled(noise(1, 128, 64)))
    whisper = {**_BART, "max_source_positions": 100, "max_target_positions": 64}
    make = _maker("WhisperForConditionalGeneration", "WhisperConfig", whisper)
    both = together(input_features=noise(1, 80, 200), decoder_input_ids=_text)
    found.add("WhisperForConditionalGeneration", make, both)
    make = _maker("WhisperForAudioClassification", "WhisperConfig", whisper)
    found.add("WhisperForAudioClassification", make, sampled(noise(1, 80, 200)))
    vits = {
        **_ENCODER,
        "vocab_size": WORDS,
        "ffn_dim": 128,
        "flow_size": 32,
        "spectrogram_bins": 33,
    }
    found.add("VitsModel", _maker("VitsModel", "VitsConfig", vits), sampled(_text))
    codec = {"hidden_size": 32, "num_filters": 8, "upsampling_ratios": [8, 5, 4, 2]}
    found.add(
        "EncodecModel", _maker("EncodecModel", "EncodecConfig", codec), sampled(noise(1, 1, 3200))
    )


def _add_series(found: Catalogue) -> None:
    shape = {"context_length": 64, "prediction_length": 8, "num_input_channels": 3}
    patches = {**shape, "patch_length": 8, "d_model": 32, "ffn_dim": 64, "num_attention_heads": 4}
    make = _maker("PatchTSTForPrediction", "PatchTSTConfig", {**patches, "num_hidden_layers": 2})
    found.add("PatchTSTForPrediction", make, sampled(noise(1, 64, 3)))
    mixer = {**shape, "patch_length": 8, "d_model": 32, "num_layers": 2}
    make = _maker("PatchTSMixerForPrediction", "PatchTSMixerConfig", mixer)
    found.add("PatchTSMixerForPrediction", make, sampled(noise(1, 64, 3)))


def _add_real_sizes(found: Catalogue) -> None:
    labels = {"vocab_size": 30522}
    minilm = {
        **labels,
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
    }
    ids = sampled(numbers(30000, 1, 128))
    found.add("MiniLM-L6", _maker("BertModel", "BertConfig", minilm), ids)
    found.add("DistilBERT-base", _maker("DistilBertModel", "DistilBertConfig", {}), ids)
    small = {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536}
    image = sampled(images(3, 224, 224))
    found.add("ViT-S", _maker("ViTForImageClassification", "ViTConfig", small), image)
    found.add(
        "MobileNetV2-224",
        _maker("MobileNetV2ForImageClassification", "MobileNetV2Config", {}),
        image,
    )
    found.add(
        "MobileViT-S",
        _maker("MobileViTForImageClassification", "MobileViTConfig", {}),
        sampled(images(3, 256, 256)),
    )
    segformer = sampled(images(3, 256, 256))
    found.add(
        "SegFormer-B0", _maker("SegformerForSemanticSegmentation", "SegformerConfig", {}), segformer
    )
    tiny = {
        "d_model": 384,
        "encoder_layers": 4,
        "decoder_layers": 4,
        "use_cache": False,
        "encoder_attention_heads": 6,
        "decoder_attention_heads": 6,
        "encoder_ffn_dim": 1536,
        "decoder_ffn_dim": 1536,
    }
    both = together(input_features=noise(1, 80, 3000), decoder_input_ids=numbers(50000, 1, 8))
    found.add(
        "Whisper-tiny", _maker("WhisperForConditionalGeneration", "WhisperConfig", tiny), both
    )
    found.add(
        "GPT-2",
        _maker("GPT2LMHeadModel", "GPT2Config", {"use_cache": False}),
        sampled(numbers(50000, 1, 32)),
    )
