"""What ``evaluate`` is given: a function that may be treated as the module that it stands for.

Functions that score a model do more than call it: they put it into eval mode, move it, look at the device
of its parameters. The artefact has no modes, devices or weights; what makes no difference does nothing
here, and what would is refused in words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import nn

from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ModelCall"]

_PLAIN = (bool, int, float, str, tuple, list, dict, torch.device, torch.dtype, np.ndarray)


class ModelCall(nn.Module):
    """A function as a module: ``eval()``, ``train()``, ``to()`` and their like do nothing.

    Its only parameter is empty: it says device and type, and nothing of the model. Plain attributes of the
    model (``config``, ``names``) are found; its submodules, weights and other methods are not, for they
    would score the float model and not the one that is deployed.

    Args:
        function: What is called.
        model: The float model, for its plain attributes; None where there is none.

    Attributes:
        calls: How often it was called.
    """

    def __init__(self, function: Callable[..., Any], model: Any = None) -> None:
        super().__init__()
        self.calls = 0
        self._function = function
        self._of = (model,)  # in a tuple: a module's attribute would be its submodule
        self.empty = nn.Parameter(torch.empty(0), requires_grad=False)
        self.training = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Returns what the function does."""
        self.calls += 1
        return self._function(*args, **kwargs)

    forward = __call__

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002, FBT001, FBT002 (torch's)
        """Does nothing: what is deployed has no training mode."""
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Self:  # noqa: ARG002, FBT001, FBT002 (torch's)
        """Does nothing: there is nothing to train."""
        return self

    @property
    def device(self) -> torch.device:
        """Where inputs are expected; others are brought there."""
        return self.empty.device

    @property
    def dtype(self) -> torch.dtype:
        """Of inputs that are numbers."""
        return self.empty.dtype

    def _apply(self, fn: Any, recurse: bool = True) -> Self:  # noqa: ARG002, FBT001, FBT002 (torch's)
        """Does nothing: ``to``, ``cpu``, ``cuda``, ``half`` and ``float`` go through here."""
        return self

    def __getattr__(self, name: str) -> Any:
        """Returns a plain attribute of the model.

        Raises:
            AttributeError: It is no plain one; says why there is none.
        """
        try:
            return super().__getattr__(name)
        except AttributeError:
            model = self.__dict__.get("_of", (None,))[0]
        if name.startswith("_") or model is None or not hasattr(model, name):
            kind = type(self).__name__ if model is None else type(model).__name__
            raise AttributeError(f"'{kind}' object has no attribute '{name}'") from None
        value = getattr(model, name)
        if isinstance(value, _PLAIN) or type(value).__name__.endswith("Config"):
            return value
        raise InputError(
            f"it asks the model for {name!r}, which what is deployed does not have",
            where="evaluate",
            hint="call the function as the model is called, and score what comes back",
        )
