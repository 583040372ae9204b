"""The programs of a bundle, for a backend that puts them into one file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from edgeopt.contracts.artifact import Artifact
    from edgeopt.contracts.target import Target
    from edgeopt.options import Postprocess, Preprocessing

__all__ = ["BundledProgram", "BundledPrograms", "JoinsPrograms"]


@dataclass(frozen=True)
class BundledProgram:
    """A program, and what the bundle says of it.

    Attributes:
        artifact: What was compiled, with its ``parts``.
        method: Name of the method of the model.
        reads: Input to the state that it is taken from.
        writes: Output to the state that it becomes.
        pads: Axes along which smaller inputs may be filled up with zeros.
        splits: Whether more rows may be computed in turns.
    """

    artifact: Artifact
    method: str = "forward"
    reads: Mapping[str, str] = field(default_factory=dict)
    writes: Mapping[str, str] = field(default_factory=dict)
    pads: tuple[int, ...] = ()
    splits: bool = False


@dataclass(frozen=True)
class BundledPrograms:
    """All programs of a bundle.

    Attributes:
        programs: The first one first.
        states: State to its value before the first call.
        preprocess: How a picture, a sound or a text becomes an input, with the input's name filled in.
        postprocess: What the outputs of the first method mean, with the names of outputs filled in.
        labels: The classes' names.
    """

    programs: Sequence[BundledProgram]
    states: Mapping[str, np.ndarray] = field(default_factory=dict)
    preprocess: Preprocessing | None = None
    postprocess: Postprocess | None = None
    labels: Sequence[str] = ()


@runtime_checkable
class JoinsPrograms(Protocol):
    """A backend whose artefacts have ``parts``."""

    def join(self, bundled: BundledPrograms, target: Target) -> list[Artifact]:
        """Returns the artefacts as the bundle has them: files of all programs in the first one's.

        The entry of each is a file of the first; its metadata says which program it is. The same
        programs give the same bytes.

        Raises:
            CompileError: The toolchain failed.
        """
        ...
