"""The report of what was deployed, as one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from edgeopt.bundles import Bundle
    from edgeopt.reporting import Document

__all__ = ["report"]


def report(*sources: Path | str | Bundle) -> Document:
    """Returns the report of one deployment, or of several beside each other: a page to save, or a notebook's cell.

    Args:
        *sources: Bundles, as paths or as they were read; JSON files of ``edgeopt deploy --json``. With them
            may come what ``edgeopt profile --operators --save`` wrote, whose times go to the bundle that they are
            of, and what ``edgeopt search --json`` printed, whose trials go to the first.

    Raises:
        InputError: One is something else, or there is nothing to report.
        BundleError: A bundle is damaged.
    """
    from edgeopt.reporting.sources import document_of  # noqa: PLC0415 (torch)

    return document_of(*sources)
