"""Writes the tables of docs/options.md from the option types.

python docs/make_options.py           # write them
python docs/make_options.py --check   # exit with 1 where they are out of date
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec
from msgspec import inspect as schema

from edgeopt.options import (
    GROUPS,
    AudioPreprocess,
    Classification,
    Columns,
    Detection,
    Embedding,
    FidelityLimits,
    LogMel,
    Options,
    ParityLimits,
    Preprocess,
    Segmentation,
    TextPreprocess,
    field_help,
)
from edgeopt.registry.words import named

PAGE = Path(__file__).with_name("options.md")
START, END = "<!-- table: python docs/make_options.py -->\n", "<!-- end of table -->"
HEAD = "| field | takes | default | meaning |\n| --- | --- | --- | --- |\n"
INSIDE: dict[str, type[Options]] = {
    "parity (in checks)": ParityLimits,
    "fidelity (in checks)": FidelityLimits,
    "preprocess (in bundle), of pictures": Preprocess,
    "preprocess, of sound (`kind` audio)": AudioPreprocess,
    "mel (in preprocess of sound)": LogMel,
    "preprocess, of text (`kind` text)": TextPreprocess,
    "postprocess (in bundle), `kind` classification": Classification,
    "postprocess, `kind` detection": Detection,
    "boxes, scores and the like (in detection)": Columns,
    "postprocess, `kind` segmentation": Segmentation,
    "postprocess, `kind` embedding": Embedding,
}


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    options = parser.parse_args(arguments)
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(START)
    after = rest.split(END)[1]
    new = before + START + tables() + END + after
    if options.check:
        return int(new != page)
    PAGE.write_text(new, encoding="utf-8")
    return 0


def tables() -> str:
    """Returns a table for each group in Markdown."""
    return "".join(
        f"\n## {name}: `{kind.__name__}`\n\n{HEAD}{_rows(kind)}\n"
        for name, kind in (GROUPS | INSIDE).items()
    )


def _rows(kind: type[Options]) -> str:
    info, words = schema.type_info(kind), field_help(kind)
    fields = zip(info.fields, msgspec.structs.fields(kind), strict=True)  # type: ignore[attr-defined]
    return "".join(
        f"| `{one.name}` | {_cell(named(one.type))} | {_usual(real)} | {_cell(words[one.name])} |\n"
        for one, real in fields
    )


def _usual(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "(needed)"
    if isinstance(field.default, Options):
        return "see below"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default  # type: ignore[operator]
    return f"`{value!r}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("``", "`")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
