"""Writes docs/reference/api.md from `edgeopt.__all__`, and docs/reference/cli.md from the command line itself.

python docs/make_reference.py           # write them
python docs/make_reference.py --check   # exit with 1 where they are out of date
"""

from __future__ import annotations

import argparse
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from typer.main import get_command

import edgeopt
from edgeopt.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).with_name("reference")
API_HEAD = """# Python

Everything that `import edgeopt` gives, from its docstrings. Nothing is imported before it is used: `import edgeopt` is
cheap. What options mean in a table: [options](../options.md).

"""
CLI_HEAD = """# Command line, every option

From the program itself: `edgeopt COMMAND --help` says the same. How the commands are used: [the command line](../cli.md).

"""
SECTIONS = {
    "Calls": lambda value: callable(value) and not isinstance(value, type),
    "Options": lambda value: _module(value).startswith("edgeopt.options"),
    "Results": lambda value: isinstance(value, type),
}
"""Title to what belongs there; a name goes to the first that takes it."""
KINDS = {int: "a whole number", float: "a number", Path: "a path", bool: ""}
ERRORS = "## Errors\n\n::: edgeopt.errors\n    options:\n      show_root_heading: false\n"


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    options = parser.parse_args(arguments)
    pages = {FOLDER / "api.md": api(), FOLDER / "cli.md": command_line()}
    if options.check:
        return int(any(path.read_text("utf-8") != text for path, text in pages.items()))
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    return 0


def api() -> str:
    """Returns a page that names every public object for mkdocstrings."""
    found: dict[str, list[str]] = {title: [] for title in SECTIONS}
    for name in (name for name in edgeopt.__all__ if name != "errors"):
        value = getattr(edgeopt, name)
        title = next(title for title, takes in SECTIONS.items() if takes(value))
        found[title].append(f"::: edgeopt.{name}\n")
    parts = ("\n".join([f"## {title}\n", *names]) for title, names in found.items())
    return API_HEAD + "\n".join([*parts, ERRORS])


def _module(value: Any) -> str:
    return str(getattr(value, "__module__", ""))


def command_line() -> str:
    """Returns a page of all commands with their arguments and options."""
    return CLI_HEAD + "\n".join(_commands("edgeopt", get_command(app)))


def _commands(name: str, command: Any) -> Iterator[str]:
    for word, one in sorted(command.commands.items()):
        if hasattr(one, "commands"):
            yield from _commands(f"{name} {word}", one)
        else:
            yield _command(f"{name} {word}", one)


def _command(name: str, command: Any) -> str:
    text = " ".join((command.help or "").split("\n\n")[0].split())
    rows = [
        _row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)
    ]
    table = "| option | takes | default | meaning |\n| --- | --- | --- | --- |\n" + "".join(rows)
    shown = f'<div class="options" markdown>\n\n{table}\n</div>\n' if rows else ""
    return f"## `{name}`\n\n{text}\n\n{shown}"


def _row(parameter: Any) -> str:
    is_argument = parameter.param_type_name == "argument"
    words = (
        [str(parameter.name).upper()] if is_argument else parameter.opts + parameter.secondary_opts
    )
    cells = (
        ", ".join(f"`{word}`" for word in words),
        "" if getattr(parameter, "is_flag", False) else _takes(parameter),
        _default(parameter),
        _cell(getattr(parameter, "help", "") or ""),
    )
    return f"| {' | '.join(cells)} |\n"


def _takes(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    members = (
        [one.value for one in kind]
        if isinstance(kind, type) and issubclass(kind, Enum)
        else choices
    )
    return ", ".join(f"`{one}`" for one in members) or KINDS.get(kind, "a word")


def _default(parameter: Any) -> str:
    if parameter.required:
        return "(needed)"
    value = parameter.default
    return f"`{value}`" if isinstance(value, (int, float, str)) and value not in {"", False} else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("``", "`")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
