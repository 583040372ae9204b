"""Small models, written as functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Callable


# A slow machine is no failure, and a failure is one that can be seen again.
hypothesis.settings.register_profile("edgeopt", deadline=None, derandomize=True)
hypothesis.settings.load_profile("edgeopt")


class Written(torch.nn.Module):
    """A module whose forward is a function of itself and the inputs."""

    def __init__(self, forward: Callable[..., Any], parts: dict[str, Any]) -> None:
        super().__init__()
        self._forward = forward
        for name, part in parts.items():
            if isinstance(part, torch.Tensor) and not isinstance(part, torch.nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)

    def forward(self, *inputs: Any) -> Any:
        return self._forward(self, *inputs)


@pytest.fixture
def written() -> Callable[..., torch.nn.Module]:
    """Returns a function that makes a module in eval mode of a function and its parts."""

    def make(forward: Callable[..., Any], **parts: Any) -> torch.nn.Module:
        return Written(forward, parts).eval()

    return make


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_history(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "history.jsonl"
    monkeypatch.setenv("EDGEOPT_HISTORY", str(path))
