"""How a backend's model is called from an application that somebody writes (`edgeopt codegen`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeopt.contracts.artifact import Artifact

__all__ = ["ApplicationSource", "CallSource"]


@dataclass(frozen=True)
class CallSource:
    """The part of an application that calls one model, in one language.

    Attributes:
        files: File name below ``src/`` to its text. In C and C++ they define the functions of ``model.h``; in
            Kotlin a class ``Model(File, Int)`` with ``run(List<ByteBuffer>): List<ByteBuffer>``.
        packages: Lines of the build that find the runtime.
        libraries: What the application is linked to, separated by spaces.
        model_files: The artefact's files that it opens; all of them where empty.
        notes: Sentences for the project's README: what has to be installed.
    """

    files: Mapping[str, str]
    packages: str = ""
    libraries: str = ""
    model_files: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


class ApplicationSource(Protocol):
    """A backend that may be asked for it: an optional part of `Backend`."""

    def application(self, artifact: Artifact, language: str) -> CallSource | None:
        """Returns how ``artifact`` is called in ``c``, ``cpp`` or ``kotlin``; None where it is not.

        In ``python`` it is the bundle's own ``runtime.py``.

        Raises:
            InputError: The artefact has something that cannot be called from there.
        """
        ...
