"""Small models of many kinds: transformers' classes built from configurations, and an LSTM.

Those that see images learn photographs first (`_teaching.py`). The others have weights drawn from a
seed; texts are random words and sounds are noise, for want of real ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from _teaching import SIDE, crops, teach
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Entry", "entries"]

WORDS, CALIBRATION, JUDGING = 200, 64, 200
_VISION = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
}


@dataclass(frozen=True)
class Entry:
    """One model of the zoo, with inputs.

    Attributes:
        name: For the table.
        model: In eval mode.
        calibration: Inputs to calibrate on, one tuple of tensors each.
        judging: Others to judge by.
    """

    name: str
    model: nn.Module
    calibration: list[tuple[torch.Tensor, ...]]
    judging: list[tuple[torch.Tensor, ...]]


def entries(names: list[str]) -> Iterator[Entry]:
    """Yields the models called ``names``, or all."""
    for name, (make, draw) in _models().items():
        if names and name not in names:
            continue
        torch.manual_seed(0)
        model = _plausible(make())
        if draw is _images:
            teach(model, name)
        calibration = draw(CALIBRATION, True)  # noqa: FBT003 (which set)
        yield Entry(name, model.eval(), calibration, draw(JUDGING, False))  # noqa: FBT003


def _models() -> dict[str, tuple[Callable[[], nn.Module], Callable[[int, bool], Any]]]:
    return {**_convolutional(), **_vision_transformers(), **_others()}


def _convolutional() -> dict[str, Any]:
    import transformers as t  # noqa: PLC0415 (slow)

    shape = {
        "num_labels": crops().classes,
        "hidden_sizes": [16, 32, 64, 128],
        "depths": [1, 1, 1, 1],
    }
    resnet = t.ResNetConfig(embedding_size=16, **shape)
    mobilenet = t.MobileNetV2Config(num_labels=crops().classes)
    efficient = t.EfficientNetConfig(
        num_labels=crops().classes, width_coefficient=0.5, depth_coefficient=0.5, hidden_dim=640
    )
    convnext = t.ConvNextConfig(**shape)
    return {
        "ResNet": (lambda: t.ResNetForImageClassification(resnet), _images),
        "MobileNetV2": (lambda: t.MobileNetV2ForImageClassification(mobilenet), _images),
        "EfficientNet": (lambda: t.EfficientNetForImageClassification(efficient), _images),
        "ConvNeXt": (lambda: t.ConvNextForImageClassification(convnext), _images),
    }


def _vision_transformers() -> dict[str, Any]:
    import transformers as t  # noqa: PLC0415 (slow)

    labels = crops().classes
    vit = t.ViTConfig(num_labels=labels, image_size=SIDE, **_VISION)
    windows = {"depths": [2, 2], "num_heads": [2, 4], "window_size": 4}
    swin = t.SwinConfig(num_labels=labels, image_size=SIDE, embed_dim=24, **windows)
    segformer = t.SegformerConfig(
        num_labels=labels,
        depths=[1, 1, 1, 1],
        hidden_sizes=[16, 32, 64, 128],
        decoder_hidden_size=64,
    )
    yolos = t.YolosConfig(
        num_labels=labels, image_size=[SIDE, SIDE], num_detection_tokens=10, **_VISION
    )
    mobilevit = t.MobileViTConfig(num_labels=labels, image_size=SIDE)
    return {
        "ViT": (lambda: t.ViTForImageClassification(vit), _images),
        "Swin": (lambda: t.SwinForImageClassification(swin), _images),
        "MobileViT": (lambda: t.MobileViTForImageClassification(mobilevit), _images),
        "SegFormer": (lambda: t.SegformerForSemanticSegmentation(segformer), _images),
        "YOLOS": (lambda: t.YolosForObjectDetection(yolos), _images),
    }


def _others() -> dict[str, Any]:
    import transformers as t  # noqa: PLC0415 (slow)
    from transformers.models.whisper.modeling_whisper import WhisperEncoder  # noqa: PLC0415

    bert = t.BertConfig(vocab_size=WORDS, **_VISION)
    distilbert = t.DistilBertConfig(dim=64, n_layers=2, n_heads=4, hidden_dim=128, vocab_size=WORDS)
    wav2vec2 = t.Wav2Vec2Config(
        **_VISION,
        conv_dim=(32,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    )
    whisper = t.WhisperConfig(
        d_model=64,
        encoder_layers=2,
        encoder_attention_heads=4,
        encoder_ffn_dim=128,
        max_source_positions=100,
    )
    gpt2 = t.GPT2Config(n_embd=64, n_layer=2, n_head=4, vocab_size=WORDS, use_cache=False)
    return {
        "DistilBERT": (lambda: t.DistilBertForSequenceClassification(distilbert), _texts),
        "BERT": (lambda: t.BertForSequenceClassification(bert), _texts),
        "GPT-2": (lambda: t.GPT2LMHeadModel(gpt2), _texts),
        "Wav2Vec2": (lambda: t.Wav2Vec2ForCTC(wav2vec2), _noise(4000)),
        "Whisper encoder": (lambda: WhisperEncoder(whisper), _noise(80, 200)),
        "LSTM": (Recurrent, _noise(12, 16)),
    }


class Recurrent(nn.Module):
    """Two layers of LSTM and a classifier of the last state."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(16, 32, 2, batch_first=True)
        self.head = nn.Linear(32, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns five scores for x of shape (1, steps, 16)."""
        result: torch.Tensor = self.head(self.lstm(x)[0][:, -1])
        return result


def _images(count: int, calibration: bool) -> list[tuple[torch.Tensor]]:  # noqa: FBT001
    drawn = crops().calibration if calibration else crops().judging
    return [(x,) for x in drawn[:count].split(1)]


def _texts(count: int, calibration: bool) -> list[tuple[torch.Tensor]]:  # noqa: FBT001
    chance = torch.Generator().manual_seed(1 if calibration else 2)
    return [(torch.randint(0, WORDS, (1, 16), generator=chance),) for _ in range(count)]


def _noise(*shape: int) -> Callable[[int, bool], list[tuple[torch.Tensor]]]:
    def draw(count: int, calibration: bool) -> list[tuple[torch.Tensor]]:  # noqa: FBT001
        chance = torch.Generator().manual_seed(1 if calibration else 2)
        return [(torch.randn(1, *shape, generator=chance),) for _ in range(count)]

    return draw


def _plausible(model: nn.Module) -> nn.Module:
    """Draws weights so that each layer keeps the size of its signal."""
    for module in model.modules():
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.LayerNorm)):  # noqa: SLF001
            nn.init.uniform_(module.weight, 0.8, 1.4)
            nn.init.normal_(module.bias, 0.0, 0.1)
    return model
