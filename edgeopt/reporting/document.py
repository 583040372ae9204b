"""Reports as one page, for who writes it to a file, opens it, or has it in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeopt.errors import InputError
from edgeopt.files import write_file
from edgeopt.reporting.page import report_page
from edgeopt.reporting.summary import report_summary

if TYPE_CHECKING:
    from pathlib import Path

    from edgeopt.reporting.content import Report

__all__ = ["Document"]


@dataclass(frozen=True)
class Document:
    """One report, or several that are compared.

    Attributes:
        reports: What it tells, one a bundle.
    """

    reports: tuple[Report, ...]

    def to_html(self) -> str:
        """Returns the page; it needs nothing else."""
        return report_page(*self.reports)

    def save(self, path: Path) -> Path:
        """Returns ``path``, to which the page was written.

        Raises:
            InputError: It cannot be written.
        """
        try:
            write_file(path, self.to_html().encode())
        except OSError as error:
            raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error
        return path

    def _repr_html_(self) -> str:
        return "".join(report_summary(report) for report in self.reports)
