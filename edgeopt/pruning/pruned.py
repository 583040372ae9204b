"""What comes out of pruning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeopt.pruning.structure import save_module

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from edgeopt.pruning.report import PruningReport

__all__ = ["Pruned"]


@dataclass(frozen=True, eq=False)
class Pruned:
    """A pruned model.

    Attributes:
        module: The new module; the user's own is untouched.
        report: What was done.
        structure: Module name to its changed attributes, as ``[before, after]``.
    """

    module: torch.nn.Module
    report: PruningReport
    structure: dict[str, dict[str, list[Any]]]

    def save(self, path: Path | str) -> Path:
        """Returns ``path``, a folder, after writing structure, weights and report there."""
        return save_module(self.module, self.structure, path, report=self.report)

    def __str__(self) -> str:
        return str(self.report)
