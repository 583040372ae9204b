"""What finds and checks a page's code finds all of it, and fails where it should."""

from __future__ import annotations

import page_blocks
import page_checks
import page_commands
import pytest
from page_blocks import Block
from page_checks import BlockError

PAGE = """# A page

```python
x = 1
```

Text.

<!-- snippet: setup=classifier; run -->

    edgeopt targets   # all of them
    edgeopt backends

1. In a list:

    <!-- snippet: illustrative, a board; it is not here -->
    ```python
    edgeopt.deploy(model)
    ```

Indented:

    import torch
    torch.ones(1)

and plain:

    a --> b
"""


def block(text, language="python", **notes):
    return Block("page.md", 1, language, text, {k.rstrip("_"): v for k, v in notes.items()})


@pytest.fixture
def found(tmp_path, monkeypatch):
    monkeypatch.setattr(page_blocks, "ROOT", tmp_path)
    (tmp_path / "page.md").write_text(PAGE)
    return page_blocks.blocks(tmp_path / "page.md")


def test_fenced_and_indented_blocks_are_found_with_their_languages(found):
    assert [(one.line, one.language) for one in found] == [
        (3, "python"), (11, "shell"), (17, "python"), (23, "python"), (28, "text"),
    ]  # fmt: skip


def test_a_note_belongs_to_the_block_after_it_alone(found):
    assert [one.notes for one in found] == [
        {}, {"setup": "classifier", "run": ""}, {"illustrative": "a board; it is not here"}, {}, {},
    ]  # fmt: skip


@pytest.mark.parametrize("note", ["ilustrative, a reason", "illustrative", "setup="])
def test_a_note_that_means_nothing_is_refused(tmp_path, monkeypatch, note):
    monkeypatch.setattr(page_blocks, "ROOT", tmp_path)
    (tmp_path / "page.md").write_text(f"<!-- snippet: {note} -->\n\n    x\n")
    with pytest.raises(ValueError, match=r"page\.md:1"):
        page_blocks.blocks(tmp_path / "page.md")


def test_commands_are_read_without_comments_and_as_one_where_they_go_on():
    shell = block("$ edgeopt targets  # all\nrpi4\n$ edgeopt plan \\\n    a:b\n", "shell")
    assert page_commands.lines(shell) == ["edgeopt targets", "edgeopt plan a:b"]


def test_a_synopsis_is_each_of_its_forms():
    assert page_commands.alternatives("edgeopt tuning list | merge OTHER [--database X]") == [
        "edgeopt tuning list",
        "edgeopt tuning merge OTHER --database X",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "edgeopt deploy my_models:make --targte rpi4",
        "edgeopt deplyo my_models:make",
        "edgeopt devices ad pi4 ssh://pi@raspberrypi.local",
        "make tset",
        "python benchmarks/not_there.py",
        "python3 run.py --imge photo.jpg",
    ],
)
def test_a_command_that_is_none_is_refused(line):
    with pytest.raises(Exception, match=r"[Nn]o such|has no"):
        page_commands.check(line)


@pytest.mark.parametrize(
    "line",
    [
        "edgeopt deploy my_models:make --target rpi4 -o out",
        "edgeopt recipes cnn > mine.toml",
        "make test PYTEST_ARGS=-x",
        "python benchmarks/parity.py",
        "python3 run.py --image photo.jpg",
    ],
)
def test_a_command_that_there_is_passes(line):
    page_commands.check(line)


def test_an_error_names_the_line_of_the_page():
    with pytest.raises(BlockError, match=r"page\.md:3: ZeroDivisionError"):
        page_checks.run_page([block("x = 0\n1 / x\n")])


def test_blocks_share_their_names():
    page_checks.run_page([block("x = 2\n"), block("assert x == 2\n")])


def test_a_session_that_shows_another_result_is_refused():
    page_checks.run_page([block(">>> 1 + 1\n2\n>>> int('a')\nValueError: …'a'\n", "pycon")])
    with pytest.raises(BlockError, match="1 \\+ 1"):
        page_checks.run_page([block(">>> 1 + 1\n3\n", "pycon")])


def test_a_keyword_that_a_call_does_not_take_is_refused():
    page_checks.check(block("edgeopt.deploy(model, 'rpi4', checks=None)", illustrative="a b c"))
    with pytest.raises(BlockError, match="calibration"):
        page_checks.check(block("edgeopt.deploy(m, 'rpi4', calibration_dat=1)"))


def test_an_excerpt_is_held_to_its_file():
    name = "examples/my_board.toml"
    lines = [line for line in (page_checks.ROOT / name).read_text().splitlines() if line.strip()]
    page_checks.check(block("\n".join(lines[:3]), "toml", from_=name))
    with pytest.raises(BlockError, match="not in"):
        page_checks.check(block("\n".join(reversed(lines[:3])), "toml", from_=name))
