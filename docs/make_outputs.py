"""Runs the code of pages and writes what it prints into their blocks marked `<!-- snippet: output -->`.

python docs/make_outputs.py docs/tutorials/classification.md ...   # these pages; all that have such blocks by default

Times and sizes differ from machine to machine and run to run: tests run the code, and do not compare what it prints.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "snippets"))

import page_checks  # noqa: E402 (the modules beside the tests)
from page_blocks import Block, blocks, pages  # noqa: E402


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", nargs="*", type=Path, help="pages to write (all that show output)")
    options = parser.parse_args(arguments)
    for page in [path.resolve() for path in options.pages] or pages():
        found = blocks(page)
        if any("output" in block.notes for block in found):
            page.write_text(_written(page.read_text("utf-8"), found), encoding="utf-8")
            print(page.relative_to(ROOT))
    return 0


def _written(text: str, found: list[Block]) -> str:
    """Returns the page with what its code prints now."""
    lines, printed = text.split("\n"), _printed(found)
    for block in sorted(printed, key=lambda block: -block.line):
        end = next(i for i in range(block.line, len(lines)) if lines[i].startswith("```"))
        lines[block.line : end] = printed[block].rstrip().split("\n")
    return "\n".join(lines)


def _printed(found: list[Block]) -> dict[Block, str]:
    """Returns each block of output with what the code between it and the one before prints."""
    result, here = {}, Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        stream = io.StringIO()
        with contextlib.redirect_stdout(stream):
            for block in page_checks.each_done(found):
                if "output" in block.notes:
                    result[block] = stream.getvalue()
                    stream.seek(stream.truncate(0))
        os.chdir(here)
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
