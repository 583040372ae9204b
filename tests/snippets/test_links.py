"""Links of pages outside the site lead somewhere; `make docs` checks those of the site itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt
from page_blocks import ROOT, pages

if TYPE_CHECKING:
    from pathlib import Path

OUTSIDE = [page for page in pages() if page.parent == ROOT] + [
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "backends").glob("*/README.md")),
]
PAGES = [page for page in OUTSIDE if page.exists()]


def links(page: Path):
    tokens = MarkdownIt().enable("table").parse(page.read_text("utf-8"))
    for token in (child for one in tokens for child in one.children or ()):
        if token.type == "link_open":
            yield str(token.attrs["href"])


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_this_repository_lead_somewhere(page):
    wrong = []
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (page.parent / parts.path).resolve() if parts.path else page
        is_anchor_missing = parts.fragment and parts.fragment not in anchors(target)
        if not target.exists() or is_anchor_missing:
            wrong.append(link)
    assert wrong == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_elsewhere_are_whole_addresses(page):
    found = [urlsplit(link) for link in links(page)]
    elsewhere = [parts for parts in found if parts.scheme or parts.netloc]
    assert [
        parts.geturl()
        for parts in elsewhere
        if not (parts.scheme in {"https", "mailto"} and (parts.netloc or parts.path))
        or " " in parts.geturl()
    ] == []


def test_every_page_is_in_the_menu():
    nav = (
        (ROOT / "mkdocs.yml")
        .read_text("utf-8")
        .partition("\nnav:\n")[2]
        .partition("\nplugins:\n")[0]
    )
    menu = set(re.findall(r"[\w/.-]+\.md", nav))
    written = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert written == menu, "mkdocs.yml: nav"
