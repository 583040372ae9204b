"""An explanation as text: a question a section, sentences a person can follow, figures below them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.explaining.findings import (
        AttributionAgreement,
        Explanation,
        Finding,
        FindingKind,
        SampleDifference,
        Score,
    )

__all__ = ["Line", "explanation_lines", "explanation_text"]

QUESTIONS: dict[FindingKind, str] = {
    "float": "Why is something float?",
    "speed": "How fast is it beside float, and why?",
    "loss": "Which value loses most, and what would it cost to keep it?",
    "input": "Which inputs differ most from float?",
    "attribution": "Does it still look at the same things?",
}
WIDTH = 80
SHOWN_EVIDENCE = 6


class Line(NamedTuple):
    """One paragraph.

    Attributes:
        role: ``question``, ``title``, ``sentence``, ``evidence``, ``remedy``, ``row`` or ``note``.
        text: What it says.
    """

    role: str
    text: str


_INDENT = {
    "question": ("", ""),
    "title": ("", "  "),
    "sentence": ("  ", "  "),
    "evidence": ("    ", "      "),
    "row": ("  ", "    "),
    "remedy": ("  -> ", "     "),
    "typed": ("     ", "     "),
    "note": ("note: ", "      "),
}


def explanation_text(explanation: Explanation, width: int = WIDTH) -> str:
    """Returns all answers, wrapped."""
    blocks: list[str] = []
    for line in explanation_lines(explanation):
        if line.role == "question" and blocks:
            blocks.append("")
        blocks.append(wrapped(line, width))
    return "\n".join(blocks)


def wrapped(line: Line, width: int = WIDTH) -> str:
    """Returns a paragraph with its indentation; what is typed is never broken."""
    first, rest = _INDENT[line.role]
    if line.role == "typed":
        return first + line.text
    return textwrap.fill(
        line.text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def explanation_lines(explanation: Explanation, *, typed: str = "python") -> Iterator[Line]:
    """Yields the paragraphs of all answers.

    Args:
        explanation: The answers.
        typed: What remedies say to type: ``python`` or ``flags``.
    """
    e = explanation
    for kind, question in QUESTIONS.items():
        findings = e.of_kind(kind)
        extra = list(_extra(e, kind))
        if not findings and not extra:
            continue
        yield Line("question", question)
        for one in findings:
            yield from _finding(one, typed)
        yield from extra
    for note in e.notes:
        yield Line("note", note)


def _finding(finding: Finding, typed: str) -> Iterator[Line]:
    yield Line("title", finding.title)
    for sentence in finding.sentences:
        yield Line("sentence", sentence)
    for evidence in finding.evidence[:SHOWN_EVIDENCE]:
        yield Line("evidence", str(evidence))
    rest = len(finding.evidence) - SHOWN_EVIDENCE
    if rest > 0:
        yield Line("evidence", f"and {rest} more (--json shows them)")
    for remedy in finding.remedy:
        yield Line("remedy", remedy.what)
        code = (remedy.flags or remedy.python) if typed == "flags" else remedy.python
        if code:
            yield Line("typed", code)


def _extra(e: Explanation, kind: FindingKind) -> Iterator[Line]:
    if kind == "input":
        for sample in e.worst_samples:
            yield Line("row", sample_text(sample))
    if kind == "attribution":
        for one in e.attributions:
            for text in agreement_texts(one):
                yield Line("row", text)


def sample_text(sample: SampleDifference) -> str:
    """Returns one input that differs, float and compressed beside each other."""
    name = f" ({sample.name})" if sample.name else ""
    differs = " ANOTHER CLASS" if sample.same_class is False else ""
    shown = f", picture: {sample.picture}" if sample.picture else ""
    return (
        f"input {sample.index}{name}: {sample.snr_db:.1f} dB{differs}; "
        f"float {_scores(sample.float_scores)}; compressed {_scores(sample.scores)}{shown}"
    )


def agreement_texts(one: AttributionAgreement) -> Iterator[str]:
    """Yields what one step changed, with what it is judged by."""
    yield (
        f"{one.step}: rank correlation {one.rank_correlation}, "
        f"the {one.top} most important of {one.regions} shared {one.top_overlap} "
        f"({one.samples} inputs)"
    )
    yield (
        f"floor: {one.floor}: rank correlation {one.floor_rank_correlation}, "
        f"shared {one.floor_top_overlap}"
    )
    if one.chance_rank_correlation is not None:
        yield f"two different inputs: rank correlation {one.chance_rank_correlation:.3f}"
    yield f"by {one.method}"
    for path in one.pictures:
        yield f"maps side by side: {path}"


def _scores(scores: tuple[Score, ...]) -> str:
    return ", ".join(f"{one.name} {one.value:.3g}" for one in scores)
