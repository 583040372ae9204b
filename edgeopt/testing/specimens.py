"""Small models, each with one trait that backends get wrong."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from torch import nn

from edgeopt.api import capture
from edgeopt.contracts.storage import Precision

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.ir import Program

__all__ = [
    "SPECIMENS",
    "Specimen",
    "float_program",
    "gratings",
    "program_of",
    "specimen",
    "unsupported_model",
]

SAMPLES = 24


@dataclass(frozen=True)
class Specimen:
    """A model with inputs for it.

    Attributes:
        model: In eval mode, with seeded weights.
        samples: Inputs, one tuple of tensors each; the first is the example.
    """

    model: nn.Module
    samples: tuple[tuple[torch.Tensor, ...], ...]

    @property
    def example(self) -> tuple[torch.Tensor, ...]:
        """The inputs to capture with."""
        return self.samples[0]


class Residual(nn.Module):
    """Convolutions with batch norm, a depthwise one, a residual add, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU6())
        self.depthwise = nn.Sequential(
            nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.BatchNorm2d(16), nn.ReLU6()
        )
        self.project = nn.Sequential(nn.Conv2d(16, 16, 1), nn.BatchNorm2d(16))
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.project(self.depthwise(x))
        result: torch.Tensor = self.head(x.mean((2, 3)))
        return result


class Squeeze(nn.Module):
    """Squeeze-and-excitation with hard swish and sigmoid: values scaled by a computed factor."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.reduce, self.expand = nn.Conv2d(16, 8, 1), nn.Conv2d(8, 16, 1)
        self.last = nn.Conv2d(16, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.hardswish(self.stem(x))
        factor = torch.sigmoid(self.expand(torch.relu(self.reduce(x.mean((2, 3), keepdim=True)))))
        result: torch.Tensor = self.last(x * factor)
        return result


class Branches(nn.Module):
    """Branches of different ranges that are pooled, upsampled and concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 8, 1)
        self.last = nn.Conv2d(19, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = nn.functional.max_pool2d(torch.relu(self.a(x)), 2)
        low = nn.functional.interpolate(low, scale_factor=2.0, mode="nearest")
        pooled = nn.functional.avg_pool2d(x, 3, 1, 1)
        result: torch.Tensor = self.last(torch.cat([low, 3 * self.b(x), pooled], 1))
        return result


class Windows(nn.Module):
    """Pooling windows that are dilated, cut off, or counted in torch's own way; rolled axes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.stem(x)
        largest, mean = nn.functional.max_pool2d, nn.functional.avg_pool2d
        return {
            "dilated": largest(x, 2, 3, 0, dilation=2),
            "dilated_padded": largest(x, (3, 2), (2, 1), (1, 0), dilation=(2, 3), ceil_mode=True),
            "mean_of_cut_windows": mean(x, 3, 2, 1, ceil_mode=True),
            "mean_of_the_inside": mean(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
            "mean_by_another_divisor": mean(x, 2, 2, divisor_override=3),
            "rolled": torch.roll(x, (3, -2), (2, 3)),
        }


class Curved(nn.Module):
    """Ten activations one after another, whose integer kernels are inexact in some runtimes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3 if n == 0 else 8, 8, 1) for n in range(10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for at, layer in enumerate(self.layers):
            x = layer(x)
            x = nn.functional.hardswish(x) if at % 2 else nn.functional.leaky_relu(x, 0.1)
        return x


class Signal(nn.Module):
    """One-dimensional convolutions, padded on one side."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(2, 8, 5, 2), nn.Conv1d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(nn.functional.pad(x, (4, 0))))
        result: torch.Tensor = self.head(torch.tanh(self.second(x)).mean(-1))
        return result


class Attention(nn.Module):
    """A transformer block: layer norm, attention, GELU, residual stream."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.LayerNorm(16)
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(self.norm1(x)).reshape(1, 6, 3, 2, 8).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.permute(0, 2, 1, 3).reshape(1, 6, 16))
        result: torch.Tensor = x + self.down(nn.functional.gelu(self.up(self.norm2(x))))
        return result


class Encoder(nn.Module):
    """A transformer block whose norms stand behind the sums: the residual stream and linears read each."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(16) for _ in range(3))
        self.mix, self.up, self.down, self.head = (
            nn.Linear(i, o) for i, o in ((16, 16), (16, 32), (32, 16), (16, 4))
        )
        with torch.no_grad():
            self.norm2.weight[3] = 40.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm1(x)
        x = self.norm2(x + self.mix(x).flip(1))
        x = self.norm3(x + self.down(nn.functional.gelu(self.up(x))))
        result: torch.Tensor = self.head(x)
        return result


class Perceptron(nn.Sequential):
    """Linear layers, the plainest model."""

    def __init__(self) -> None:
        super().__init__(
            nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 5)
        )


class TwoByTwo(nn.Module):
    """Two inputs of different shapes, two outputs in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.vector = nn.Conv2d(1, 4, 3), nn.Linear(6, 4)
        self.score = nn.Linear(4, 3)

    def forward(self, image: torch.Tensor, vector: torch.Tensor) -> dict[str, torch.Tensor]:
        joint = torch.relu(self.image(image)).mean((2, 3)) + self.vector(vector)
        return {"score": self.score(joint), "joint": joint}


class Tokens(nn.Module):
    """Integer inputs through an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(50, 16), nn.Linear(16, 4)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(torch.relu(self.embedding(ids)).mean(1))
        return result


class Unused(nn.Module):
    """An input that nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor, ignored: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        result: torch.Tensor = self.head(x)
        return result


class Bessel(nn.Module):
    """An operator that no edge runtime has."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.special.bessel_j0(self.head(x))
        return result


class Ranked(nn.Module):
    """The best of many scores and where they are: on integers many are equal, and the first comes first."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores: torch.Tensor = self.scores(x)
        values, places = torch.topk(scores.sigmoid().flatten(1), 40)
        return values, places


class Projections(nn.Module):
    """Linears whose inputs divide into groups of weights of few bits, all, in part, or not at all; one has no bias."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(64)
        self.up, self.down = nn.Linear(64, 96, bias=False), nn.Linear(96, 40)
        self.odd, self.head = nn.Linear(40, 33), nn.Linear(33, 9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.down(torch.relu(self.up(self.norm(x)))))
        result: torch.Tensor = self.head(torch.tanh(self.odd(x)))
        return result


def _normal(*shape: int) -> Callable[[torch.Generator], torch.Tensor]:
    return lambda generator: torch.randn(*shape, generator=generator)


def _ids(*shape: int) -> Callable[[torch.Generator], torch.Tensor]:
    return lambda generator: torch.randint(0, 50, shape, generator=generator)


SPECIMENS: dict[str, tuple[type[nn.Module], tuple[Any, ...]]] = {
    "perceptron": (Perceptron, (_normal(1, 12),)),
    "residual": (Residual, (_normal(1, 3, 16, 16),)),
    "residual_batch_2": (Residual, (_normal(2, 3, 16, 16),)),
    "squeeze": (Squeeze, (_normal(1, 3, 16, 16),)),
    "branches": (Branches, (_normal(1, 3, 12, 12),)),
    "windows": (Windows, (_normal(1, 3, 14, 11),)),
    "curved": (Curved, (_normal(1, 3, 9, 10),)),
    "signal": (Signal, (_normal(1, 2, 40),)),
    "attention": (Attention, (_normal(1, 6, 16),)),
    "encoder": (Encoder, (_normal(1, 6, 16),)),
    "two_by_two": (TwoByTwo, (_normal(1, 1, 8, 8), _normal(1, 6))),
    "tokens": (Tokens, (_ids(1, 7),)),
    "ranked": (Ranked, (_normal(1, 50, 6),)),
    "projections": (Projections, (_normal(1, 5, 64),)),
    "unused": (Unused, (_normal(1, 8), _normal(1, 3))),
}
"""Name to the model's class and what makes its inputs."""


@cache
def specimen(name: str) -> Specimen:
    """Returns the specimen called ``name``: the same weights and inputs every time."""
    factory, inputs = SPECIMENS[name]
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = factory().eval()
        _settle(model)
    samples = tuple(tuple(one(generator) for one in inputs) for _ in range(SAMPLES))
    return Specimen(model, samples)


def gratings(count: int, seed: int, noise: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns pictures to learn, float32 (count, 1, 8, 8), and the class of each, int64 (count,).

    Args:
        count: How many.
        seed: Of the draw.
        noise: Standard deviation of what is added; the gratings, four of them, go from -1 to 1.
    """
    drawn = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (count,), generator=drawn)
    at = torch.arange(8.0)
    u, v = at[None, :], at[:, None]
    waves = torch.stack([torch.sin(a * u + b * v) for a, b in ((1, 0), (0, 1), (1, 1), (1, -1))])
    return waves[labels][:, None] + noise * torch.randn(count, 1, 8, 8, generator=drawn), labels


def _settle(model: nn.Module) -> None:
    """Gives batch norms the statistics of a trained network; a fresh one's fold away to nothing."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0.0, 0.3)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
            nn.init.uniform_(module.weight, 0.7, 1.5)
            nn.init.normal_(module.bias, 0.0, 0.3)


@cache
def float_program(name: str) -> Program:
    """Returns the float program of a specimen."""
    example = specimen(name)
    return capture(example.model, example.example)


@cache
def program_of(
    name: str, precision: str, *, wide: tuple[str, ...] = (), **settings: Any
) -> Program:
    """Returns the program of a specimen in ``precision``, quantized with ``settings``.

    Args:
        name: Of the specimen.
        precision: In which it shall be.
        wide: Patterns of values that take 16 bits where others take 8.
        **settings: Of its `QuantizationConfig`.
    """
    from edgeopt.quantization import QuantizationConfig, quantize_program  # noqa: PLC0415

    if precision == Precision.FLOAT32:
        return float_program(name)
    data = specimen(name).samples if Precision(precision).needs_calibration else None
    if wide:
        settings["overrides"] = {pattern: {"bits": 16} for pattern in wide}
    config = msgspec.convert({"precision": precision, **settings}, QuantizationConfig)
    program: Program = quantize_program(float_program(name), data, config)
    return program


@cache
def unsupported_model() -> Specimen:
    """Returns a model with an operator that no edge runtime has."""
    return Specimen(Bessel().eval(), ((torch.ones(1, 8),),))
