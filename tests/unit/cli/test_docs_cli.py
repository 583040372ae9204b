"""The pages on the command line and the gate say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from edgeopt.cli.guard import EXIT_CODES
from edgeopt.cli.main import app
from edgeopt.deployment.fallbacks import FIRST, SENSITIVITY_TRIES
from edgeopt.deployment.request import Request
from edgeopt.deployment.warn import DROP, FEW_SAMPLES
from edgeopt.deployment.worth import MARGIN
from edgeopt.gate.parity import ParityLimits
from edgeopt.gate.speed import ROOM, RUNS

DOCS = Path(__file__).parents[3] / "docs"


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


def test_every_status_is_listed_as_it_is():
    rows = dict(re.findall(r"^\| (\d+) \| ([^|;]+?)(?:;[^|]*)? \|$", page("cli.md"), re.MULTILINE))
    assert {int(code): text for code, text in rows.items()} == EXIT_CODES


def test_every_command_is_listed():
    listed = set(re.findall(r"^    edgeopt (\w+)", page("cli.md"), re.MULTILINE))
    assert listed == set(get_command(app).commands)


def test_options_in_the_page_exist():
    options = {
        word
        for command in get_command(app).commands.values()
        for parameter in command.params
        for word in (*parameter.opts, *parameter.secondary_opts)
    }
    named = set(re.findall(r"`(--?[a-z][a-z-]*)", page("cli.md")))
    assert named <= options | {"--help", "--debug"}


def test_the_figures_of_the_gate_are_those_of_the_code():
    text, limits = page("gate.md"), ParityLimits()
    for figure in (
        f"at least {limits.min_cosine},",
        f"below {limits.min_cosine_sample},",
        f"at least {100 * limits.min_argmax:g} %",
        f"at least {limits.min_snr_db:g} dB",
        f"({Request().checks.samples})",
        f"{RUNS} interleaved runs",
        f"above {ROOM}",
        f"interval lies above {MARGIN}",
        f"more than {DROP}",
        f"fewer than {FEW_SAMPLES} samples",
    ):
        assert figure in text, figure
    assert FIRST == 1
    assert "with the most harmful value kept" in text
    assert f"at most {SENSITIVITY_TRIES} that are tried out" in text
