"""Flags are made of fields: a field that is added is a flag, with its default, bounds and meaning."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
import typer
from msgspec import Meta, field, structs
from typer.main import get_command
from typer.testing import CliRunner

from edgeopt.cli.derive import Answers, Source, taking
from edgeopt.cli.main import app
from edgeopt.errors import ConfigError
from edgeopt.options import GROUPS, Options
from edgeopt.options.kinds import Names


class Inner(Options, frozen=True):
    """A group.

    Attributes:
        depth: How deep. More is said in the documentation.
        quick: Whether it is quick.
    """

    depth: Annotated[int, Meta(ge=1)] = 3
    quick: bool = True


class Outer(Options, frozen=True):
    """Some options.

    Attributes:
        colour: Which colour.
        inner: The group.
        names: Which names.
        table: Anything else.
    """

    colour: Literal["red", "blue"] = "red"
    inner: Inner = Inner()
    names: Names = ()
    table: dict[str, float] = field(default_factory=dict)


def typed(*words, names=None):
    seen = []
    command = typer.Typer()

    @command.command()
    @taking(Source(Outer, names=names or {}))
    def run(*, json: Annotated[bool, typer.Option("--json")] = False, answers: Answers) -> None:
        seen.append(Outer(**answers.loaded()))

    result = CliRunner().invoke(command, list(words))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return seen[0] if seen else result.output


def test_what_is_not_typed_is_as_declared():
    assert typed() == Outer()


def test_what_is_typed_comes_to_its_field():
    words = ("--colour", "blue", "--depth", "5", "--no-quick", "--names", "a", "--table", "x=0.5")
    made = typed(*words)
    assert made == Outer(
        colour="blue", inner=Inner(depth=5, quick=False), table={"x": 0.5}, names="a"
    )


def test_flags_may_be_called_otherwise():
    names = {"inner.": "in-", "colour": "paint"}
    assert typed("--in-depth", "4", "--paint", "blue", names=names).inner.depth == 4
    with pytest.raises(ConfigError, match=r"^--in-depth: expected a whole number of 1 or more"):
        typed("--in-depth", "0", names=names)


def test_the_help_has_default_bounds_and_the_first_sentence():
    text = " ".join(typed("--help").replace("│", " ").split())
    assert "How deep. A number of 1 or more." in text
    assert "Default: 3." in text
    assert "More is said" not in text
    assert "One of blue, red." in text


def test_wrong_values_are_told_in_flags():
    with pytest.raises(ConfigError) as caught:
        typed("--colour", "rde", "--depth", "-1")
    assert str(caught.value) == (
        '--colour: expected one of "blue", "red", got "rde"\n'
        '  -> did you mean "red"?\n'
        "--depth: expected a whole number of 1 or more, got -1"
    )


def test_every_field_of_a_group_is_a_flag_of_deploy():
    flags = {word for p in get_command(app).commands["deploy"].params for word in p.opts}
    prefix = {"tuning": "tune-"}
    other = {"samples": "check-samples", "overrides": "override"}
    cannot_be_typed = {
        "parity",
        "fidelity",
    }  # a group itself, and what a line cannot hold
    for group, kind in GROUPS.items():
        if group == "quantization":
            continue
        for one in structs.fields(kind):
            name = other.get(one.name, one.name).replace("_", "-")
            if one.name not in cannot_be_typed:
                assert f"--{prefix.get(group, '')}{name}" in flags, (group, one.name)
    assert {"--min-cosine", "--set"} <= flags
