"""What comes out of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.units import shown_bytes

if TYPE_CHECKING:
    import torch

    from edgeopt.ir import Program
    from edgeopt.recipes.recipe import Recipe

__all__ = ["Compressed", "Figures", "StepRecord"]

HEADER = ("step", "size", "MACs", "parameters", "score", "seconds")


class Figures(msgspec.Struct, frozen=True):
    """What a model costs and is worth.

    Attributes:
        size_bytes: Of its weights, as they are stored.
        macs: Multiply-accumulates of convolutions and linear layers, for the example inputs.
        parameters: Numbers in its weights (of a Program: in its constants).
        score: What ``evaluate`` says; None where it was not given.
    """

    size_bytes: int
    macs: int
    parameters: int
    score: float | None = None


class StepRecord(msgspec.Struct, frozen=True):
    """What one step came to.

    Attributes:
        name: The step.
        settings: Its options.
        before: The model before it.
        after: The model after it.
        seconds: How long it took; of the run that carried it out.
        resumed: Whether an earlier run had finished it, so that this one did not repeat it.
    """

    name: str
    settings: dict[str, Any]
    before: Figures
    after: Figures
    seconds: float
    resumed: bool = False


@dataclass(frozen=True, eq=False)
class Compressed:
    """A model that a recipe has made smaller.

    Attributes:
        program: For `edgeopt.deploy` and `edgeopt.compile`; its history has every step.
        module: The torch module as it was when the last step on modules was done, in eval mode;
            None where a Program was given. Quantization does not change it.
        original: The float Program of the model that was given.
        steps: One record a step.
        recipe: What was carried out, with the overrides.
    """

    program: Program
    module: torch.nn.Module | None
    original: Program
    steps: tuple[StepRecord, ...]
    recipe: Recipe

    def rows(self) -> list[tuple[str, ...]]:
        """Returns one row a step, in the order of `HEADER`, the model as it was at first before."""
        first = self.steps[0].before
        rows: list[tuple[str, ...]] = [("as given", *_shown(first), "")]
        return rows + [
            (s.name, *_shown(s.after), "done before" if s.resumed else f"{s.seconds:.1f}")
            for s in self.steps
        ]

    def __str__(self) -> str:
        table = [HEADER, *self.rows()]
        widths = [max(len(row[i]) for row in table) for i in range(len(HEADER))]
        lines = [
            "  ".join(f"{cell:<{w}}" if i == 0 else f"{cell:>{w}}" for i, (cell, w) in cells)
            for cells in (list(enumerate(zip(row, widths, strict=True))) for row in table)
        ]
        return "\n".join([*(line.rstrip() for line in lines), self.summary])

    @property
    def summary(self) -> str:
        """What all steps together came to, in one line."""
        first, last = self.steps[0].before, self.steps[-1].after
        parts = [f"{first.size_bytes / max(1, last.size_bytes):.1f} times smaller"]
        if last.macs != first.macs:
            parts.append(f"{last.macs / max(1, first.macs):.0%} of the MACs")
        if first.score is not None and last.score is not None:
            parts.append(f"score {last.score - first.score:+.4f}")
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Returns recipe and records as values that JSON holds."""
        return {
            "recipe": self.recipe.to_dict(),
            "precision": self.program.precision,
            "digest": self.program.digest,
            "steps": [msgspec.to_builtins(step) for step in self.steps],
        }

    def save(self, path: Path | str) -> Path:
        """Returns ``path`` after writing the Program there; `edgeopt deploy PATH` takes it."""
        from edgeopt.ir import save_program  # noqa: PLC0415 (torch)

        return save_program(self.program, Path(path))


def _shown(held: Figures) -> tuple[str, str, str, str]:
    score = "" if held.score is None else f"{held.score:.4f}"
    return shown_bytes(held.size_bytes), _count(held.macs), _count(held.parameters), score


def _count(number: float) -> str:
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= factor:
            return f"{number / factor:.2f} {unit}"
    return f"{number:.0f}"
