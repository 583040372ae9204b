"""A random network of a seed."""

from __future__ import annotations

from random import Random

import torch

from edgeopt.testing.networks.network import Input, Network
from edgeopt.testing.networks.operators import OPERATORS, Draw

__all__ = ["generate"]

MOST = 6000
"""Largest number of elements of a value."""

LARGEST = 2e4
"""Largest magnitude: float16 holds it, and what is made of it once more."""

ANOTHER = 1 << 32
"""Beside a seed, of what is made where nothing comes of that."""

MAX_RANK = 5
PROBES = 3
SHAPES = (
    *((1, 3, 8, 8), (1, 4, 7, 9), (1, 2, 5, 5), (2, 3, 6, 6), (1, 8, 4, 4), (1, 1, 9, 6)),
    *((1, 6, 10), (1, 5, 8), (2, 4, 6), (1, 12), (3, 7), (1, 3, 4, 5)),
)
KINDS = (
    "torch.randn{s}",
    "torch.randn{s}",
    "torch.randn{s} * 5",
    "torch.rand{s}",
    "torch.rand{s} * 255",
)


def generate(seed: int) -> Network:
    """Returns a network of 3 to 12 operators, of one to three inputs and outputs."""
    chance = Random(seed)  # noqa: S311 (no secret)
    network = Network(tuple(_inputs(chance)), (), ())
    values = _examples(network, seed)
    count = chance.randint(3, 12)
    for _ in range(20 * count):
        if len(network.steps) == count:
            break
        network, values = _grown(network, values, chance)
    if not network.steps:  # nothing fits its inputs
        return generate(seed + ANOTHER)
    first = len(network.inputs)
    taken = {n for step in network.steps for n in step.args}
    ends = [n + first for n in range(len(network.steps)) if n + first not in taken]
    outputs = ends[-chance.choice((1, 1, 2, 2, 3)) :]
    if chance.random() < 0.3 and len(outputs) < 3:  # noqa: PLR2004 (a value that is read on, too)
        outputs = sorted({*outputs, first + chance.randrange(len(network.steps))})
    return Network(network.inputs, network.steps, tuple(outputs)).live()


def _inputs(chance: Random) -> list[Input]:
    inputs = []
    shape = chance.choice(SHAPES)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3))):
        if chance.random() < 0.15:  # noqa: PLR2004
            inputs.append(Input(f"torch.randint(0, 10, (1, {chance.randint(3, 8)}))"))
            continue
        shape = shape if chance.random() < 0.6 else chance.choice(SHAPES)  # noqa: PLR2004
        inputs.append(Input(chance.choice(KINDS).replace("{s}", str(shape))))
    return inputs


def _examples(network: Network, seed: int) -> list[list[torch.Tensor]]:
    """Each value's examples, one a probe."""
    probes = network.samples(PROBES, seed)
    return [list(one) for one in zip(*probes, strict=True)]


def _grown(
    network: Network, values: list[list[torch.Tensor]], chance: Random
) -> tuple[Network, list[list[torch.Tensor]]]:
    """Returns the network with one more step, or as it is where the step drawn makes no sense."""
    draws = [draw for _, draw in OPERATORS]
    weights = [weight for weight, _ in OPERATORS]
    (draw,) = chance.choices(draws, weights)
    try:
        step = draw(Draw(chance, [examples[0] for examples in values]))
        alone = Network(
            tuple(Input("") for _ in step.args),
            (step.__class__(step.text, tuple(range(len(step.args))), step.module, step.seed),),
            (len(step.args),),
        ).module()
        with torch.no_grad():
            results = [alone(*(values[n][p] for n in step.args)) for p in range(PROBES)]
    except (LookupError, RuntimeError, ValueError, IndexError, TypeError):
        return network, values
    if not all(_sensible(one) for one in results):
        return network, values
    return Network(network.inputs, (*network.steps, step), ()), [*values, results]


def _sensible(value: torch.Tensor) -> bool:
    small = 0 < value.numel() <= MOST and value.dim() <= MAX_RANK
    return (
        small
        and bool(torch.isfinite(value.float()).all())
        and float(value.abs().max() if value.dtype != torch.bool else 0) <= LARGEST
    )
