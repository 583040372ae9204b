"""What `--help` shows: all that was written, with every bracket and every default."""

from __future__ import annotations

import re

import pytest
import typer
from typer.testing import CliRunner

from edgeopt.cli.derive import Source, taking
from edgeopt.cli.main import app
from edgeopt.options import Options


def walk(command, path=()):
    yield " ".join(path), command
    for name, one in sorted(getattr(command, "commands", {}).items()):
        yield from walk(one, (*path, name))


COMMANDS = dict(walk(typer.main.get_command(app)))
SILENT = (None, False, "", ())
"""Defaults of what does nothing until it is given."""


def squeezed(text):
    return re.sub(r"[\s│╭╮╰╯─]+", "", text)


def shown(app, words=""):
    wide = {"COLUMNS": "160", "NO_COLOR": "1"}
    result = CliRunner().invoke(app, [*words.split(), "--help"], env=wide)
    assert result.exit_code == 0
    return squeezed(result.output)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words.replace(" ", "-") or "edgeopt")
def test_all_that_was_written_is_shown(words):
    output, command = shown(app, words), COMMANDS[words]
    for text in (command.help, *(getattr(one, "help", "") for one in command.params)):
        assert squeezed((text or "").replace("\\[", "[")) in output


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words.replace(" ", "-") or "edgeopt")
def test_every_default_is_shown(words):
    output = shown(app, words)
    for one in COMMANDS[words].params:
        if one.default not in SILENT:
            assert squeezed(f"{one.help}[default: {one.default}]") in output, one.name


def test_a_bracket_in_the_help_of_an_option_is_no_markup():
    class Kind(Options, frozen=True):
        """What is chosen.

        Attributes:
            name: Of edgeopt[openvino] [bold].
        """

        name: str = "a"

    extra = typer.Typer()

    @extra.command()
    @taking(Source(Kind))
    def one(*, answers):
        """Has nothing to do."""

    assert "Ofedgeopt[openvino][bold]." in shown(extra)
