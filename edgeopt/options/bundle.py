"""What a user may choose about the bundle that is written."""

from __future__ import annotations

from typing import cast

from edgeopt.options.base import Options
from edgeopt.options.kinds import Lines, Threads
from edgeopt.options.postprocess import PostprocessChoice
from edgeopt.options.preprocess import PreprocessingChoice

__all__ = ["BundleOptions"]


class BundleOptions(Options, frozen=True):
    """What the bundle holds beside the model.

    Attributes:
        name: How people call the bundle.
        labels: The classes' names, or a file with one a line; the bundle's runner then prints them.
        preprocess: How a picture, a sound or a text becomes an input; the bundle's runner then takes
            them. A table without ``kind`` is a picture's.
        postprocess: What the outputs mean; the bundle's runner then tells classes, boxes or areas.
        overwrite: Whether a bundle that lies at ``output`` may be replaced.
        with_runtime: Whether the bundle holds the wheels that the device needs, for one without a
            network.
        page: Whether the bundle holds its report as a page for people too, ``report.html``.
    """

    name: str | None = None
    labels: Lines | None = None
    preprocess: PreprocessingChoice | None = None
    postprocess: PostprocessChoice | None = None
    threads: Threads = 0
    overwrite: bool = False
    with_runtime: bool = False
    page: bool = True

    @property
    def class_names(self) -> tuple[str, ...]:
        """The labels: a file of them was read where these options were made; nothing where there are none."""
        return cast("tuple[str, ...]", self.labels or ())
