"""The parts of the page that read without scripts: verdict, figures, findings, what was tried."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from edgeopt.units import shown_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgeopt.reporting.content import Figure, Finding, Memory, Report, State

__all__ = ["WORDS", "figures_html", "head_html", "items", "report_html", "table"]

WORDS: dict[State, str] = {
    "good": "passes",
    "warning": "passes, look at this",
    "bad": "falls short",
    "unknown": "not known",
}
SECTIONS = (
    ("findings", "Why, and what to do"),
    ("layers", "Layers"),
    ("time", "Time"),
    ("memory", "Memory"),
    ("explorer", "Model"),
    ("tried", "Tried"),
)


def head_html(reports: Sequence[Report]) -> str:
    """Returns the bar above the page: what to jump to, which bundle is shown, and the theme."""
    choices = "".join(
        f'<option value="{place}">{escape(report.title)}</option>'
        for place, report in enumerate(reports)
    )
    chooser = f'<label>Details of <select id="shown">{choices}</select></label>'
    more = chooser if len(reports) > 1 else ""
    links = "".join(
        f'<a href="#{name}-0" data-goes="{name}">{title}</a>' for name, title in SECTIONS
    )
    compare = '<a href="#comparison">Comparison</a>' if len(reports) > 1 else ""
    return (
        '<a class="skip" href="#main">Skip to the report</a>\n'
        f'<header><nav aria-label="Sections">{compare}{links}</nav>'
        f'<div class="tools">{more}<button id="theme" type="button">Dark</button></div></header>\n'
        '<noscript><p class="note">Scripts are off: sorting, charts and the model need them.</p></noscript>\n'
    )


def report_html(report: Report, place: int) -> str:
    """Returns one report; of several, the first is shown at first."""
    hidden = " hidden" if place else ""
    return (
        f'<article data-report="{place}" aria-label="Report of {escape(report.title, quote=True)}"{hidden}>\n'
        f'<h1>{escape(report.title)}</h1><p class="subtitle">{escape(report.subtitle)}</p>\n'
        f'<p class="verdict {report.state}">{escape(report.verdict)}</p>\n'
        f"{figures_html(report.figures)}{_warnings(report.warnings)}"
        f"{_section('findings', place, _findings(report.findings))}"
        f"{_section('layers', place, _layers_html(report))}"
        f"{_section('time', place, _time(report))}"
        f"{_section('memory', place, _memory(report))}"
        f"{_section('explorer', place, _explorer())}"
        f"{_section('tried', place, _tried(report))}"
        f"{_curves(report)}{_facts(report)}</article>\n"
    )


def figures_html(figures: Iterable[Figure]) -> str:
    """Returns what is judged by, as a table."""
    rows = [
        (
            escape(one.title),
            f'<span class="state {one.state}">{WORDS[one.state]}</span>',
            escape(one.value),
            escape(one.interval),
            escape(one.source),
        )
        for one in figures
    ]
    head = ("What", "Verdict", "Figure", "How sure", "Measured on, and how")
    return table("figures", "What it is judged by", head, rows)


def table(
    kind: str, caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], mark: str = ""
) -> str:
    """Returns a table of cells that are markup already; it scrolls by itself where it is too wide."""
    heads = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<div class="scroll" role="region" aria-label="{escape(caption, quote=True)}" tabindex="0"{mark}>'
        f'<table class="{kind}"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>\n"
    )


def items(lines: Iterable[str], kind: str = "") -> str:
    """Returns lines as a list; nothing where there are none."""
    rows = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="{kind}">{rows}</ul>\n' if rows else ""


def _section(name: str, place: int, content: str) -> str:
    title = dict(SECTIONS)[name]
    return (
        f'<section id="{name}-{place}" class="{name}" aria-labelledby="{name}-{place}-title">'
        f'<h2 id="{name}-{place}-title">{title}</h2>\n{content}</section>\n'
    )


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    return f'<div class="warnings"><h2>Warnings</h2>{items(dict.fromkeys(warnings))}</div>\n'


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return "<p>Nothing was found that makes it slow, large or wrong.</p>\n"
    return "".join(
        f'<div class="finding"><h3>{escape(one.title)}</h3><p>{escape(one.sentence)}</p>'
        f"{items(one.evidence, 'evidence')}"
        f"{'<p>What to do:</p>' if one.remedy else ''}{items(one.remedy, 'remedy')}</div>\n"
        for one in findings
    )


def _layers_html(report: Report) -> str:
    if not report.layers:
        return "<p>The bundle does not say what its layers are.</p>\n"
    counts = {kind: sum(one.kind == kind for one in report.layers) for kind in _KINDS}
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return (
        f"<p>{len(report.layers)} calls: {kinds}. Ranges and ratios are of the check samples, on elements evenly "
        "spread over each value. Choose a row for its histogram.</p>\n"
        '<div class="mount" data-mount="layers"></div>\n'
    )


_KINDS = ("integer", "float", "moves", "folded")


def _time(report: Report) -> str:
    if not report.operators:
        return "<p>Nothing is known of what each operator takes.</p>\n"
    return (
        f'<p>{escape(report.operators_source)}.</p>\n<div class="mount" data-mount="flame"></div>\n'
    )


def _memory(report: Report) -> str:
    if report.memory is None:
        return "<p>What is kept while each operator runs is not known.</p>\n"
    return (
        f"<p>{escape(report.memory.source)}{_limit(report.memory)}.</p>\n{items(report.memory.notes)}"
        '<div class="mount" data-mount="memory"></div>\n'
    )


def _limit(memory: Memory) -> str:
    return "" if memory.limit_bytes is None else f"; there are {shown_bytes(memory.limit_bytes)}"


def _explorer() -> str:
    return (
        "<p>Each box is a call, or a module with all of its calls. Drag it; arrow keys go from box to box; the wheel "
        "or + and - zoom; Enter or a double click opens a module, and closes the one around a call.</p>\n"
        '<div class="mount" data-mount="explorer"></div>\n'
    )


def _tried(report: Report) -> str:
    rows = [
        (escape(one.what), "yes" if one.taken else "no", escape(one.outcome), escape(one.settings))
        for one in report.trials
    ]
    steps = [(escape(name), escape(effect)) for name, effect in report.steps]
    tried = table("tried", "Candidates", ("What", "Taken", "Outcome", "Settings"), rows)
    done = table("steps", "What was done to the program", ("Step", "What came of it"), steps)
    return (tried if rows else "<p>Nothing else was tried.</p>\n") + (done if steps else "")


def _curves(report: Report) -> str:
    """Returns where the curves of a search and of the history go, where there are any."""
    parts = ""
    if report.search:
        parts += (
            '<section class="search"><h2>Search</h2><p>Every trial: the score over what it costs. Marked are '
            'those that no other one beats.</p><div class="mount" data-mount="search"></div></section>\n'
        )
    if report.history:
        parts += (
            '<section class="history"><h2>History</h2><p>The median of a call in each measurement, with its '
            '95 % interval.</p><div class="mount" data-mount="history"></div></section>\n'
        )
    return parts


def _facts(report: Report) -> str:
    rows = [(escape(name), escape(value)) for name, value in report.facts.items() if value]
    inside = table("facts", "Facts", ("What", "Value"), rows)
    return f"<details><summary>Facts, versions and digests</summary>{inside}</details>\n"
