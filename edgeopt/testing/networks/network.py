"""A network as text: what is run is what is printed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Input", "Network", "Step", "side_by_side"]


@dataclass(frozen=True)
class Input:
    """One argument of a network.

    Attributes:
        text: The torch expression that draws a sample, for example ``torch.randn(1, 3, 8, 8)``.
    """

    text: str

    def sample(self) -> torch.Tensor:
        """Returns a sample, of torch's own source of chance."""
        return eval(self.text, _names())  # type: ignore[no-any-return]  # noqa: S307 (our own text)


@dataclass(frozen=True)
class Step:
    """One operator.

    Attributes:
        text: The expression; ``{0}``, ``{1}`` are its arguments, ``{m}`` is its own module or buffer.
        args: Numbers of the values that it takes: the inputs first, then the steps in order.
        module: The expression that makes ``{m}``; empty where it has none.
        seed: What torch's source of chance starts from before that.
    """

    text: str
    args: tuple[int, ...]
    module: str = ""
    seed: int = 0

    def expression(self, name: str) -> str:
        """Returns the expression, its module called ``name``."""
        filled = self.text.replace("{m}", name)
        for place, value in enumerate(self.args):
            filled = filled.replace("{%d}" % place, f"v{value}")  # noqa: UP031 (braces)
        return filled


@dataclass(frozen=True)
class Network:
    """A small network.

    Attributes:
        inputs: Its arguments, values 0 and up.
        steps: Its operators, each one value more.
        outputs: Numbers of the values that it returns.
    """

    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]

    @property
    def source(self) -> str:
        """The network as a torch module that anybody can run, and an example of its inputs."""
        samples = ", ".join(one.text for one in self.inputs)
        return f"{self._class()}\n\nexample = ({samples},)\n"

    def _class(self) -> str:
        first = len(self.inputs)
        assignments = [
            f"        torch.manual_seed({s.seed})\n        {_set(f'm{n}', s.module)}"
            for n, s in enumerate(self.steps, first)
            if s.module
        ]
        lines = [
            f"        v{n} = {s.expression(f'self.m{n}')}" for n, s in enumerate(self.steps, first)
        ]
        names = ", ".join(f"v{n}" for n in range(first))
        result = ", ".join(f"v{n}" for n in self.outputs)
        return "\n".join(
            [
                "import torch",
                "from torch import nn",
                "from torch.nn import functional as F\n\n",
                "class Network(nn.Module):",
                "    def __init__(self):",
                "        super().__init__()",
                *assignments,
                "",
                f"    def forward(self, {names}):",
                *lines,
                f"        return {result}\n",
            ]
        )

    def module(self, *, double: bool = False) -> torch.nn.Module:
        """Returns the module, in eval mode; ``double``: with the same weights in float64, and computing in it."""
        names = _names()
        text = self._class().replace(".float()", ".double()") if double else self._class()
        exec(compile(text, "<network>", "exec"), names)  # noqa: S102 (our own text)
        with torch.random.fork_rng():
            module: torch.nn.Module = names["Network"]()
        return module.double().eval() if double else module.eval()

    def samples(self, count: int, seed: int) -> list[tuple[torch.Tensor, ...]]:
        """Returns ``count`` samples, the same for the same seed."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return [tuple(one.sample() for one in self.inputs) for _ in range(count)]

    def live(self) -> Network:
        """Returns it without the steps and inputs that no output needs (one input stays)."""
        first, needed = len(self.inputs), set(self.outputs)
        for n in reversed(range(len(self.steps))):
            if n + first in needed:
                needed |= set(self.steps[n].args)
        places = [n for n in range(first) if n in needed] or [0]
        places += [n for n in range(first, first + len(self.steps)) if n in needed]
        number = {old: new for new, old in enumerate(places)}
        return Network(
            tuple(self.inputs[n] for n in places if n < first),
            tuple(_renumbered(self.steps[n - first], number) for n in places if n >= first),
            tuple(number[n] for n in self.outputs),
        )


def side_by_side(networks: Sequence[Network]) -> Network:
    """Returns one network of all of them: their inputs, steps and outputs, one's after another's."""
    first, inner = 0, sum(len(one.inputs) for one in networks)
    steps: list[Step] = []
    outputs: list[int] = []
    for one in networks:
        values = len(one.inputs) + len(one.steps)
        places = [*range(first, first + len(one.inputs)), *range(inner, inner + len(one.steps))]
        number = dict(zip(range(values), places, strict=True))
        steps += (_renumbered(step, number) for step in one.steps)
        outputs += (number[n] for n in one.outputs)
        first, inner = first + len(one.inputs), inner + len(one.steps)
    return Network(tuple(i for one in networks for i in one.inputs), tuple(steps), tuple(outputs))


def _renumbered(step: Step, number: dict[int, int]) -> Step:
    return Step(step.text, tuple(number[n] for n in step.args), step.module, step.seed)


def _set(name: str, text: str) -> str:
    is_buffer = text.startswith("torch.")
    return f'self.register_buffer("{name}", {text})' if is_buffer else f"self.{name} = {text}"


def _names() -> dict[str, Any]:
    return {"torch": torch, "nn": torch.nn, "F": torch.nn.functional}
