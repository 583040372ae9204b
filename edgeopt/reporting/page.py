"""One HTML file that needs nothing else: no network, no other file, and no script but ours.

What a person must see stands in the markup, so that it reads without scripts too; tables that sort, charts and the
explorer are made by `assets/*.js` of the JSON that lies beside them. Names come from models and files, so they are
escaped here, and set as text there; the policy lets only scripts run whose digest it names.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import NODEFAULT
from msgspec.structs import fields

from edgeopt.errors import InputError
from edgeopt.reporting.compare import comparison_html
from edgeopt.reporting.content import Layer, Moment, OperatorShare
from edgeopt.reporting.markup import head_html, report_html

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.reporting.content import Report

__all__ = ["MAX_PAGE_BYTES", "page_data", "report_page"]

MAX_PAGE_BYTES = 1_000_000
SCRIPTS = (
    *("vendor/uplot.min.js", "vendor/d3-hierarchy.min.js"),
    *("page.js", "charts.js", "flame.js", "layers.js"),
    *("layout.js", "groups.js", "boxes.js", "pointer.js", "explorer.js", "main.js"),
)
STYLES = ("vendor/uplot.min.css", "page.css")
LICENSES = ("vendor/uplot.LICENSE", "vendor/d3-hierarchy.LICENSE")


def report_page(*reports: Report) -> str:
    """Returns the page of one report, or of several that are compared.

    Of a program with many thousands of calls, the page leaves out histograms first, then the calls that lose least,
    and says so.

    Args:
        reports: The first one is shown at first.

    Raises:
        InputError: There is none, or it is too large even so.
    """
    if not reports:
        raise InputError("there is nothing to report", where="report")
    for shown in _smaller(reports):
        page = _page(shown)
        if len(page.encode()) <= MAX_PAGE_BYTES:
            return page
    what = f"the page would be larger than {MAX_PAGE_BYTES} bytes"
    raise InputError(what, where="report", hint="report fewer bundles at once")


def page_data(report: Report) -> dict[str, Any]:
    """Returns what the page's scripts read: tables as rows, with each text that repeats once."""
    memory = report.memory
    return {
        "title": report.title,
        "unit": report.unit,
        "layers": _table(report.layers, Layer),
        "operators": _table(report.operators, OperatorShare),
        "memory": None
        if memory is None
        else {"moments": _table(memory.moments, Moment), "limit_bytes": memory.limit_bytes},
        "search": msgspec.to_builtins(report.search),
        "history": msgspec.to_builtins(report.history),
    }


def _table(values: Sequence[Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Returns values of one type as rows: texts as their place in a list, defaults at a row's end left out."""
    infos = fields(kind)
    defaults = [None if one.default is NODEFAULT else one.default for one in infos]
    texts: dict[str, int] = {}
    rows = []
    for value in values:
        row = list(msgspec.structs.astuple(value))
        while (
            row
            and infos[len(row) - 1].default is not NODEFAULT
            and row[-1] == defaults[len(row) - 1]
        ):
            row.pop()
        rows.append(
            [texts.setdefault(cell, len(texts)) if isinstance(cell, str) else cell for cell in row]
        )
    return {
        "fields": [one.name for one in infos],
        "texts": [place for place, one in enumerate(infos) if one.type is str],
        "defaults": defaults,
        "words": list(texts),
        "rows": rows,
    }


def _smaller(reports: Sequence[Report]) -> list[Sequence[Report]]:
    """Returns the reports as they are, without histograms, and with ever fewer layers."""
    bare = [_without_histograms(report) for report in reports]
    most = max(len(report.layers) for report in reports)
    cuts = [most >> step for step in range(1, 8) if most >> step]
    return [reports, bare, *([_cut(report, count) for report in bare] for count in cuts)]


def _without_histograms(report: Report) -> Report:
    layers = tuple(msgspec.structs.replace(one, histogram="") for one in report.layers)
    note = "histograms are left out: the page would be larger than 1 MB"
    return msgspec.structs.replace(report, layers=layers, warnings=(*report.warnings, note))


def _cut(report: Report, count: int) -> Report:
    """Returns the report with ``count`` layers at most: the first ones, so that the graph stays in one piece."""
    note = f"only the first {count} of {len(report.layers)} calls are shown: the page would be larger than 1 MB"
    if len(report.layers) <= count:
        return report
    return msgspec.structs.replace(
        report,
        layers=report.layers[:count],
        operators=report.operators[:count],
        memory=None,
        warnings=(*report.warnings, note),
    )


def _page(reports: Sequence[Report]) -> str:
    data = {"reports": [page_data(report) for report in reports]}
    scripts = "".join(f"<script>{text}</script>\n" for text in map(asset, SCRIPTS))
    styles = "".join(f"<style>{text}</style>\n" for text in map(asset, STYLES))
    sections = "".join(report_html(one, place) for place, one in enumerate(reports))
    comparison = comparison_html(reports) if len(reports) > 1 else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy()}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(_title(reports))}</title>\n{styles}</head>\n<body>\n"
        f'{head_html(reports)}<main id="main">\n{comparison}{sections}</main>\n{_footer()}'
        f'<script type="application/json" id="data">{_json(data)}</script>\n'
        f"{scripts}</body>\n</html>\n"
    )


def _title(reports: Sequence[Report]) -> str:
    return " and ".join(report.title for report in reports) + " – edgeopt report"


def _footer() -> str:
    licenses = "\n\n".join(asset(name) for name in LICENSES)
    return (
        "<footer><p>Made by edgeopt. This page asks nothing of any network.</p>"
        f"<details><summary>Licences of the libraries in it</summary><pre>{escape(licenses)}</pre>"
        "</details></footer>\n"
    )


def _json(data: Any) -> str:
    """Returns JSON that no parser of HTML can mistake for markup."""
    text = msgspec.json.encode(data).decode()  # what is no number is null there
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


@cache
def asset(name: str) -> str:
    """Returns one of the page's files."""
    return (resources.files("edgeopt.reporting") / "assets" / name).read_text(encoding="utf-8")


@cache
def _policy() -> str:
    """Returns the policy of the page: nothing is loaded, and only our own scripts and styles count."""
    scripts = " ".join(_digest(asset(name)) for name in SCRIPTS)
    styles = " ".join(_digest(asset(name)) for name in STYLES)
    return (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
