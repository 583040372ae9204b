"""The code in a page of documentation: what it is written in, and what is to be done with it.

A block is fenced or indented. An HTML comment on its own before it says what a test cannot guess:

``<!-- snippet: setup=NAME -->``
    Names that the block and those after it use are made first (`page_setups`).
``<!-- snippet: run -->``
    The ``edgeopt`` commands of the block are run, not only parsed.
``<!-- snippet: synopsis -->``
    Commands with ``[optional]`` parts and ``a | b`` alternatives; each is parsed.
``<!-- snippet: from=PATH -->``
    The block is an excerpt of that file: its lines are there, in this order.
``<!-- snippet: illustrative, REASON -->``
    It cannot run here, and why. Python is still compiled, and its calls of edgeopt held to the signatures.
``<!-- snippet: output -->``
    What the block before it prints, written by ``python docs/make_outputs.py``.

Several may be joined by semicolons: ``setup=classifier; run``. ``python tests/snippets/page_blocks.py`` lists what is left out.
"""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
NOTE = re.compile(r"<!--\s*snippet:\s*(.*?)\s*-->", re.DOTALL)
KINDS = {"setup", "run", "synopsis", "from", "illustrative", "output"}
SHELL = {"sh", "shell", "bash", "console"}
PROGRAMS = re.compile(
    r"(edgeopt|edgeopt-\w+|make|python3?|sudo|pip|pipx|openssl|ssh-copy-id|export|model_signing"
    r"|model/run|picotool|openocd|docker|cmake|ctest|curl|ros2|cat-\S+|[A-Z]+=\S+) "
)


@dataclass(frozen=True)
class Block:
    """One block of code.

    Attributes:
        page: The page's path below the repository's root.
        line: Its first line in the page, from 1.
        language: ``python``, ``pycon``, ``shell``, ``toml``, ``c`` and the like; ``text`` where there is nothing to run.
        text: The code, without what it is indented by.
        notes: Word of the comment before it, to what follows the equals sign or comma.
    """

    page: str
    line: int
    language: str
    text: str
    notes: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def where(self) -> str:
        """Page and line."""
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Returns the pages whose code is tested, README first."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *found]


def blocks(page: Path) -> list[Block]:
    """Returns the blocks of a page in their order."""
    name, result, notes = str(page.relative_to(ROOT)), [], {}
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "html_block" and (note := NOTE.search(token.content)):
            notes = _notes(note[1], f"{name}:{token.map[0] + 1}")
        elif token.type in {"fence", "code_block"}:
            text = textwrap.dedent(token.content)
            language = _language(token.info.strip().partition(" ")[0], text)
            result.append(Block(name, token.map[0] + 1, language, text, notes))
            notes = {}
    return result


def left_out() -> dict[str, str]:
    """Returns where each block lies that cannot run here, and why."""
    every = (block for page in pages() for block in blocks(page))
    return {block.where: why for block in every if (why := block.notes.get("illustrative"))}


def _notes(text: str, where: str) -> dict[str, str]:
    notes = {}
    for part in re.split(rf";\s*(?=(?:{'|'.join(KINDS)})\b)", text):
        word, _, value = re.sub(r"\s+", " ", part).strip().replace(", ", "=", 1).partition("=")
        if word not in KINDS:
            raise ValueError(
                f"{where}: no such note: {word!r}; there are {', '.join(sorted(KINDS))}"
            )
        if word in {"setup", "from", "illustrative"} and not value:
            raise ValueError(f"{where}: {word} of what?")
        notes[word] = value
    return notes


def _language(info: str, text: str) -> str:
    """Returns what a block is written in; an indented one does not say so."""
    if info:
        return "shell" if info in SHELL else info
    if text.startswith(">>> "):
        return "pycon"
    if all(PROGRAMS.match(line) or line.startswith(" ") for line in text.splitlines() if line):
        return "shell"
    return "python" if _calls_something(text) else "text"


def _calls_something(text: str) -> bool:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return False
    return any(isinstance(node, (ast.Call, ast.Import, ast.ImportFrom)) for node in ast.walk(tree))


if __name__ == "__main__":
    print(*(f"{where}: {why}" for where, why in left_out().items()), sep="\n")  # noqa: T201 (a command)
