"""Answers in sentences: why it is float, how fast it is and why, what loses most, on which inputs, and what it looks at."""

from edgeopt.explaining.findings import (
    AttributionAgreement,
    Evidence,
    Explanation,
    Finding,
    Interval,
    Remedy,
    SampleDifference,
    Score,
    findings_of,
)
from edgeopt.explaining.text import explanation_lines, explanation_text

__all__ = [
    "AttributionAgreement",
    "Evidence",
    "Explanation",
    "Finding",
    "Interval",
    "Remedy",
    "SampleDifference",
    "Score",
    "explanation_lines",
    "explanation_text",
    "findings_of",
]
