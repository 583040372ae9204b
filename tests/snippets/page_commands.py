"""Command lines of a page, held to what there is: edgeopt's own, the Makefile's, programs of this repository."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from page_blocks import ROOT
from typer.main import get_command

from edgeopt.cli.main import app

if TYPE_CHECKING:
    from page_blocks import Block

REDIRECTION = re.compile(r"\s+[<>]\s+\S+$")
MAKE_TARGETS = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
RUNNER_OPTIONS = re.compile(r"add\(\s*\"(--[a-z-]+)\"")


def lines(block: Block) -> list[str]:
    """Returns the commands of a block: without comments, prompts and output; continued lines as one."""
    text = re.sub(r"\s*\\\n\s*", " ", block.text)
    if any(line.startswith("$ ") for line in text.splitlines()):
        text = "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))
    plain = (re.split(r"\s+#\s|^#", line, maxsplit=1)[0].strip() for line in text.splitlines())
    commands = [line for line in plain if line]
    if "synopsis" in block.notes:
        return [one for line in commands for one in alternatives(line)]
    return commands


def alternatives(line: str) -> list[str]:
    """Returns each form of a synopsis: ``a b X | c [Y]`` is ``a b X`` and ``a b c Y``."""
    plain = re.sub(r"\[([^]]*)\]", r"\1", line)
    first, *others = plain.split(" | ")
    group = " ".join(first.split()[:2])
    return [first, *(f"{group} {other}" for other in others)]


def check(line: str) -> None:
    """Raises where a command is none: an option that edgeopt lacks, a file or target that is not here."""
    parts = words(line)
    if parts[0] == "edgeopt":
        parse(parts[1:])
    elif parts[0] == "make":
        _check_make(parts[1:])
    elif parts[0] in {"python", "python3"} and len(parts) > 1:
        _check_program(parts[1:])


def parse(arguments: list[str]) -> None:
    """Lets the real command line read ``arguments``, and runs nothing."""
    command, name, context, rest = get_command(app), "edgeopt", None, list(arguments)
    while hasattr(command, "resolve_command"):
        context = command.make_context(name, rest, parent=context)
        rest = [*context._protected_args, *context.args]
        name, command, rest = command.resolve_command(context, rest)
    command.make_context(name, rest, parent=context)


def _check_make(goals: list[str]) -> None:
    known = set(MAKE_TARGETS.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    goals = [word for word in goals if "=" not in word and not word.startswith(("-", "out/"))]
    assert set(goals) <= known, f"make {sorted(set(goals) - known)}: no such target"


def _check_program(parts: list[str]) -> None:
    program = parts[0]
    if program == "run.py":
        known = set(RUNNER_OPTIONS.findall(_runner()))
        used = {word for word in parts[1:] if word.startswith("--")}
        assert used <= known, f"run.py has no {sorted(used - known)}"
    elif program.endswith(".py"):
        places = (ROOT, ROOT / "examples" / "application")
        assert any((place / program).is_file() for place in places), f"{program}: no such file"


def _runner() -> str:
    path = ROOT / "edgeopt/bundles/device/edgeopt_runner/main.py"
    return path.read_text(encoding="utf-8")


def words(line: str) -> list[str]:
    """Returns the program and its arguments, without what a shell would do."""
    return shlex.split(REDIRECTION.sub("", line))


def redirected(line: str) -> Path | None:
    """Returns the file that takes what the command prints, or None."""
    match = REDIRECTION.search(line)
    return Path(match[0].split()[1]) if match else None
