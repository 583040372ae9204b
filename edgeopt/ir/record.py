"""What a module has been through before it is captured: its Program's history begins with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.ir.program import Step

if TYPE_CHECKING:
    import torch

__all__ = ["amend_step", "record_step", "recorded_steps"]

_NAME = "_edgeopt_history"


def record_step(module: torch.nn.Module, step: Step) -> None:
    """Adds a step to what ``module`` has been through; copies of the module keep it."""
    module.__dict__[_NAME] = (*recorded_steps(module), step)


def amend_step(module: torch.nn.Module, **settings: Any) -> None:
    """Adds settings to the last step that ``module`` has been through."""
    *before, last = recorded_steps(module)
    amended = Step(last.name, {**last.settings, **settings}, last.effect)
    module.__dict__[_NAME] = (*before, amended)


def recorded_steps(module: Any) -> tuple[Step, ...]:
    """Returns the steps that ``module`` has been through, oldest first."""
    steps = getattr(module, "__dict__", {}).get(_NAME, ())
    return tuple(step for step in steps if isinstance(step, Step))
