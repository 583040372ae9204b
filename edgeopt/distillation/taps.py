"""Reads what modules inside a student and a teacher put out, and joins their widths."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Projection", "Taps", "first_tensor"]

MAPS = 4


class Taps:
    """Hooks on modules of a model; ``values`` holds what each put out in the last call.

    Args:
        model: Whose modules.
        names: Their names in ``model.named_modules()``.
        whose: ``student`` or ``teacher``, for errors.
    """

    def __init__(self, model: torch.nn.Module, names: Iterable[str], whose: str) -> None:
        self.values: dict[str, Any] = {}
        modules = dict(model.named_modules())
        self._handles = [
            _find(modules, name, whose).register_forward_hook(self._keep(name))
            for name in sorted(set(names))
        ]

    def _keep(self, name: str) -> Any:
        def hook(_module: torch.nn.Module, _args: Any, output: Any) -> None:
            self.values[name] = output

        return hook

    def close(self) -> None:
        """Takes the hooks off."""
        for handle in self._handles:
            handle.remove()
        self.values.clear()


class Projection(torch.nn.Module):
    """Takes a student's features to the teacher's width: one learned matrix, the same at every place.

    Args:
        student: Features as the student makes them.
        teacher: Features as the teacher makes them, of the same kind.
    """

    def __init__(self, student: torch.Tensor, teacher: torch.Tensor) -> None:
        super().__init__()
        self.axis = 1 if student.ndim == MAPS else -1
        widths = (int(student.shape[self.axis]), int(teacher.shape[self.axis]))
        self.map: torch.nn.Module = (
            torch.nn.Identity() if widths[0] == widths[1] else torch.nn.Linear(*widths)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns ``x`` with the teacher's width."""
        projected: torch.Tensor = self.map(x.movedim(self.axis, -1)).movedim(-1, self.axis)
        return projected


def first_tensor(value: Any, where: str) -> torch.Tensor:
    """Returns the tensor that a module put out, the first where it put out several.

    Raises:
        InputError: There is none.
    """
    output = list(value.values()) if isinstance(value, dict) else value
    output = output[0] if isinstance(output, (tuple, list)) and output else output
    if not isinstance(output, torch.Tensor):
        raise InputError(f"it puts out {type(value).__name__}, not a tensor", where=where)
    return output


def _find(modules: dict[str, torch.nn.Module], name: str, whose: str) -> torch.nn.Module:
    if name in modules:
        return modules[name]
    near = difflib.get_close_matches(name, list(modules), n=3)
    raise InputError(
        f"the {whose} has no module {name!r}",
        where="features or attention",
        hint=f"did you mean {', '.join(near)}?" if near else "see model.named_modules()",
    )
