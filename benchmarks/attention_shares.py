"""What rounding inside attention costs all-MiniLM-L6-v2: the softmax's shares, and the values, on one scale each.

    python benchmarks/attention_shares.py

Shares lie on 255 steps from 0 to the largest that the inputs make, values on 255 around 0. Printed are the largest share of
each layer, and for each of both alone the signal-to-noise ratio of the embeddings and of what each layer's attention gives.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from _common import Report, option_parser
from _deployable import deployable
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLES = 12
STEPS = 255


class Attention:
    """Scaled dot product attention that rounds in between, and keeps what it gave.

    Attributes:
        rounds: ``shares``, ``values``, or empty.
        largest: The largest share of each layer.
        results: What each call gave, in order.
    """

    def __init__(self, rounds: str, largest: list[float]) -> None:
        self.rounds, self.largest = rounds, largest
        self.results: list[torch.Tensor] = []
        self.most: list[float] = []

    def __call__(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *rest: Any, **named: Any
    ) -> torch.Tensor:
        """Returns softmax(q k^T * scale + mask) v."""
        mask = named.get("attn_mask", rest[0] if rest else None)
        scale = named.get("scale")
        scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
        if mask is not None:
            real = mask.dtype.is_floating_point
            scores = scores + mask if real else scores.masked_fill(~mask, -1e30)
        shares = scores.softmax(-1)
        self.most.append(float(shares.max()))
        if self.rounds == "shares":
            step = self.largest[(len(self.most) - 1) % len(self.largest)] / STEPS
            shares = (shares / step).round().clamp(0, STEPS) * step
        if self.rounds == "values":
            step = 2 * float(v.abs().max()) / STEPS
            v = (v / step).round() * step
        self.results.append(shares @ v)
        return self.results[-1]


@contextmanager
def _instead(attention: Attention) -> Iterator[None]:
    usual = functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = attention  # type: ignore[assignment]
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = usual  # type: ignore[assignment]


def main() -> None:
    """Runs everything, prints it and writes it."""
    option_parser(__doc__).parse_args()
    report = Report("attention_shares")
    entry = deployable("all-MiniLM-L6-v2", SAMPLES)

    def run(rounds: str, largest: list[float]) -> tuple[torch.Tensor, Attention]:
        attention = Attention(rounds, largest)
        with _instead(attention), torch.no_grad():
            return torch.cat([entry.model(*sample) for sample in entry.samples]), attention

    exact, plain = run("", [1.0])
    layers = len(plain.results) // SAMPLES
    largest = [max(plain.most[i::layers]) for i in range(layers)]
    report.add("largest", largest, f"largest share of each layer: {_rounded(largest, 3)}")
    for rounds in ("shares", "values"):
        result, attention = run(rounds, largest)
        at = [_db(plain.results[i::layers], attention.results[i::layers]) for i in range(layers)]
        whole = _db([exact], [result])
        text = f"{rounds} rounded: embeddings {whole:.1f} dB, attention {_rounded(at, 1)} dB"
        report.add(rounds, {"embeddings_db": whole, "attention_db": at}, text)
    report.write()


def _db(exact: list[torch.Tensor], rounded: list[torch.Tensor]) -> float:
    pairs = list(zip(exact, rounded, strict=True))
    noise = sum(float(((a - b) ** 2).sum()) for a, b in pairs)
    return float(10 * torch.tensor(sum(float((a**2).sum()) for a, _ in pairs) / noise).log10())


def _rounded(values: list[float], digits: int) -> list[float]:
    return [round(value, digits) for value in values]


if __name__ == "__main__":
    main()
