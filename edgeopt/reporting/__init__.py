"""The report that people open: what is known of a deployment or a bundle, as one page that needs nothing else."""

from edgeopt.reporting.content import Finding, Layer, Point, Report
from edgeopt.reporting.document import Document
from edgeopt.reporting.gather import bundle_report, gather, measured_path
from edgeopt.reporting.page import MAX_PAGE_BYTES, report_page
from edgeopt.reporting.search import search_points
from edgeopt.reporting.summary import report_summary

__all__ = [
    "MAX_PAGE_BYTES",
    "Document",
    "Finding",
    "Layer",
    "Point",
    "Report",
    "bundle_report",
    "gather",
    "measured_path",
    "report_page",
    "report_summary",
    "search_points",
]
