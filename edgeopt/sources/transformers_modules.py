"""Models of transformers as modules that return what is asked for, by its name, and nothing else."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PictureModule", "TextModule", "example_text", "text_module"]


class PictureModule(torch.nn.Module):
    """A model that takes ``pixel_values``, (1, channels, height, width).

    Args:
        model: The model.
        outputs: Which of its outputs are returned.
    """

    def __init__(self, model: torch.nn.Module, outputs: Sequence[str]) -> None:
        super().__init__()
        self.model, self.outputs = model, tuple(outputs)

    def forward(self, pixel_values: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns the outputs by their names."""
        result = self.model(pixel_values=pixel_values, return_dict=True)
        return {name: result[name] for name in self.outputs}


class TextModule(torch.nn.Module):
    """A model that takes ``input_ids`` and ``attention_mask``, (1, tokens), int64.

    Args:
        model: The model.
        outputs: Which of its outputs are returned.
    """

    inputs: tuple[str, ...] = ("input_ids", "attention_mask")

    def __init__(self, model: torch.nn.Module, outputs: Sequence[str]) -> None:
        super().__init__()
        self.model, self.outputs = model, tuple(outputs)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Returns the outputs by their names."""
        return self._named(input_ids=input_ids, attention_mask=attention_mask)

    def _named(self, **given: torch.Tensor) -> dict[str, torch.Tensor]:
        result = self.model(**given, return_dict=True)
        return {name: result[name] for name in self.outputs}


class TypedTextModule(TextModule):
    """A model that takes ``token_type_ids`` too."""

    inputs = (*TextModule.inputs, "token_type_ids")

    def forward(  # type: ignore[override]  # one input more
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Returns the outputs by their names."""
        return self._named(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        )


def text_module(model: Any, outputs: Sequence[str]) -> TextModule:
    """Returns the module around ``model``, with the inputs that it takes, in eval mode."""
    types = "token_type_ids" in inspect.signature(model.forward).parameters
    types = types and int(getattr(model.config, "type_vocab_size", 0) or 0) > 1
    module: TextModule = (TypedTextModule if types else TextModule)(model, outputs).eval()
    return module


def example_text(module: TextModule, length: int, vocabulary: int) -> dict[str, torch.Tensor]:
    """Returns one sample by argument name, (1, length), int64: any tokens, all of them seen."""
    chance = torch.Generator().manual_seed(0)
    ids = torch.randint(min(1000, vocabulary - 1), vocabulary, (1, length), generator=chance)
    usual = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return {name: usual.get(name, torch.zeros_like(ids)) for name in module.inputs}
