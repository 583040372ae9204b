"""Shows on the site what pages link to outside docs/: files of this repository, as pages of their own.

On a forge ``[SECURITY.md](../SECURITY.md)`` opens the file. A site has docs/ only, and works without a network; so
each file that is linked to becomes a page below ``repository/``, and the link goes there.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s:]+)(#[^)\s]*)?\)")
LANGUAGES = {".py": "python", ".toml": "toml", ".sh": "shell", ".c": "c", ".h": "c"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page for each file outside docs/ that a page links to, and for what those link to."""
    docs = Path(config.docs_dir)
    waiting = [
        path
        for file in files.documentation_pages()
        for path in _outside(Path(file.src_path).parent, (docs / file.src_path).read_text("utf-8"))
    ]
    while waiting:
        path = waiting.pop()
        if files.get_file_from_path(place := _place(path)):
            continue
        files.append(File.generated(config, place, content=_page(path)))
        if path.suffix == ".md":
            waiting += _outside(Path("..") / path.parent, (ROOT / path).read_text("utf-8"))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Points links that leave docs/ to the pages of those files."""
    here = Path(page.file.src_path).parent
    origin = _origin(page.file.src_path)

    def replace(match: re.Match[str]) -> str:
        target = _target(origin, match[2])
        if target is None:
            return match[0]
        to = posixpath.relpath(_place(target) if _is_outside(target) else str(_below(target)), here)
        return f"[{match[1]}]({to}{match[3] or ''})"

    return LINK.sub(replace, markdown)


def _origin(src_path: str) -> Path:
    """Returns the folder, from the root, that a page's links start from."""
    if src_path.startswith("repository/"):
        return Path(src_path.removeprefix("repository/")).parent
    return Path("docs", src_path).parent


def _target(origin: Path, link: str) -> Path | None:
    """Returns the file or folder of the repository that a link means, or None."""
    path = Path(posixpath.normpath(posixpath.join(origin, link)))
    inside = origin.parts[:1] == ("docs",) and not _is_outside(path)
    known = not path.is_absolute() and path.parts[:1] != ("..",) and (ROOT / path).exists()
    return path if known and not inside else None


def _outside(folder: Path, text: str) -> list[Path]:
    origin = Path(posixpath.normpath(Path("docs") / folder))
    targets = (_target(origin, match[2]) for match in LINK.finditer(text))
    return [path for path in targets if path is not None and _is_outside(path)]


def _is_outside(path: Path) -> bool:
    return path.parts[:1] != ("docs",)


def _below(path: Path) -> Path:
    return path.relative_to("docs")


def _place(path: Path) -> str:
    return f"repository/{path}" if path.suffix == ".md" else f"repository/{path}.md"


def _page(path: Path) -> str:
    """Returns a page that shows a file, or the sources of a folder."""
    whole = ROOT / path
    if path.suffix == ".md":
        return whole.read_text("utf-8")
    files = (
        sorted(p for p in whole.rglob("*") if p.suffix in LANGUAGES) if whole.is_dir() else [whole]
    )
    shown = (f"## {f.relative_to(ROOT)}\n\n{_fenced(f)}" for f in files)
    return f"# {path}\n\n" + ("\n".join(shown) if whole.is_dir() else _fenced(whole))


def _fenced(file: Path) -> str:
    return f"````{LANGUAGES.get(file.suffix, 'text')}\n{file.read_text('utf-8')}````\n"
