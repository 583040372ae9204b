"""Where candidates come from: a module that knows how to schedule kernels, known by its name.

The name is what goes to the processes that build and measure; they import it there.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeopt_tvm.machine import Machine

__all__ = ["KERNELS", "Templates"]


@dataclass(frozen=True)
class Templates:
    """A module with ``VERSION``, ``tunable``, ``configurations`` and ``scheduled``.

    Attributes:
        module: Its name; `edgeopt_tvm.kernels` is the one that compiling uses.
        paths: Folders to look for it in, beside those that Python knows.
    """

    module: str = "edgeopt_tvm.kernels"
    paths: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        """Of the templates: what was measured under another one says nothing."""
        return int(self._held().VERSION)

    def tunable(self, function: Any) -> bool:
        """Returns whether there is a choice to make."""
        return bool(self._held().tunable(function))

    def configurations(self, function: Any, machine: Machine) -> tuple[dict[str, Any], ...]:
        """Returns every candidate, the default first."""
        return tuple(self._held().configurations(function, machine))

    def scheduled(self, function: Any, machine: Machine, config: Any = None) -> Any:
        """Returns ``function`` scheduled by ``config``; None stands for the default."""
        return self._held().scheduled(function, machine, config)

    def _held(self) -> Any:
        return importlib.import_module(self.module)


KERNELS = Templates()
"""Those that compiling uses."""
