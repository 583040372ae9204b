"""A model that was asked for by name, with what its library knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edgeopt.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

    from edgeopt.options import Postprocess, Preprocessing
    from edgeopt.options.source import SourceOptions
    from edgeopt.sources.spec import Spec

__all__ = ["ModelSource", "NamedModel"]


@dataclass(frozen=True, eq=False)
class NamedModel:
    """A model, and what its library knows of it.

    Attributes:
        name: As it was asked for.
        model: The module, in eval mode.
        example_inputs: What it is called with: a tuple of tensors, or a dict by argument name.
        task: ``classification``, ``detection``, ``segmentation``, ``pose`` …; empty where nobody says.
        preprocess: How a picture or a text becomes its input; None where that is not known.
        postprocess: What its outputs mean; None where that is not known.
        labels: The classes' names, in order; empty where nobody says.
        weights: Where the weights are from: a file, a cache, ``random``.
    """

    name: str
    model: torch.nn.Module
    example_inputs: Any
    task: str = ""
    preprocess: Preprocessing | None = None
    postprocess: Postprocess | None = None
    labels: tuple[str, ...] = ()
    weights: str = ""

    def bundle_options(self) -> dict[str, Any]:
        """Returns what a bundle holds beside the model, as fields of `edgeopt.BundleOptions`."""
        fields = {
            "preprocess": self.preprocess,
            "postprocess": self.postprocess,
            "labels": self.labels or None,
        }
        return {name: value for name, value in fields.items() if value is not None}


class ModelSource(Protocol):
    """A library of models, offered under the entry point group ``edgeopt.sources``.

    Attributes:
        name: What users write before the colon.
    """

    name: str

    def load(self, spec: Spec) -> NamedModel:
        """Returns the model called ``spec.name``, built as ``spec.options`` say.

        Raises:
            InputError: There is no such model, or its weights are not on this machine; says where was looked.
            PluginError: The library is not installed.
        """
        ...

    def names(self) -> Iterable[str]:
        """Returns the names that are known without the network, for suggestions."""
        ...

    def options(self) -> tuple[str, ...]:
        """Returns which fields of `SourceOptions` make a difference."""
        ...


def refuse_options(given: SourceOptions, taken: Iterable[str], where: str) -> None:
    """Refuses options that make no difference to a model.

    Raises:
        ConfigError: One was given.
    """
    idle = sorted(set(given.changes()) - set(taken))
    if idle:
        hint = f"it takes {', '.join(taken)}"
        raise ConfigError(f"{', '.join(idle)} makes no difference here", where=where, hint=hint)
