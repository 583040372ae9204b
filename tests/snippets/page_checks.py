"""Runs the blocks of a page, and checks those that cannot run."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tomllib
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import page_commands
import page_setups
from page_blocks import ROOT
from typer.testing import CliRunner

import edgeopt
from edgeopt.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from page_blocks import Block

ANY_KEYWORD = inspect.Parameter.VAR_KEYWORD


class BlockError(AssertionError):
    """A block does not do what its page says."""


def run_page(blocks: list[Block]) -> None:
    """Runs the blocks of a page in their order, in one namespace."""
    for _ in each_done(blocks):
        pass


def each_done(blocks: list[Block]) -> Iterator[Block]:
    """Yields each block of a page after it was run, where it can be."""
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks:
        if setup := block.notes.get("setup"):
            names |= getattr(page_setups, setup)()
        if not block.notes.keys() & {"illustrative", "from"}:
            _run_as_written(block, names)
        yield block


def _run_as_written(block: Block, names: dict[str, Any]) -> None:
    if block.language == "python":
        run(block, names)
    elif block.language == "pycon":
        run_session(block, names)
    elif block.language == "c":
        compile_c(block)
    elif block.language == "shell" and "run" in block.notes:
        run_commands(block)


def run(block: Block, names: dict[str, Any]) -> None:
    """Runs a block of Python; an error is told at the page's line."""
    code = compile(ast.increment_lineno(ast.parse(block.text), block.line), block.page, "exec")
    try:
        exec(code, names)  # noqa: S102 (the pages of this repository)
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[1].lineno
        raise BlockError(f"{block.page}:{line}: {type(error).__name__}: {error}") from error


def run_session(block: Block, names: dict[str, Any]) -> None:
    """Runs each ``>>>`` of a block; what follows it is what it prints, or the error with its message."""
    for part in block.text.split(">>> ")[1:]:
        source, _, expected = part.partition("\n")
        found = _result(source, names)
        if expected.strip() and not _fits(found, expected.strip()):
            raise BlockError(f"{block.where}: {source}: {found}")


def _fits(found: str, expected: str) -> bool:
    """Whether a result is the expected one; ``…`` there stands for anything."""
    parts = map(re.escape, expected.split("…"))
    return re.fullmatch(".*".join(parts), found, re.DOTALL) is not None


def _result(source: str, names: dict[str, Any]) -> str:
    try:
        code = compile(source, "<session>", "single" if _is_statement(source) else "eval")
        value = eval(code, names)  # noqa: S307 (as above)
    except Exception as error:  # noqa: BLE001 (what a page shows may be any error)
        return f"{type(error).__name__}: {error}"
    return "" if value is None else repr(value)


def _is_statement(source: str) -> bool:
    return not isinstance(ast.parse(source).body[0], ast.Expr)


def compile_c(block: Block) -> None:
    """Compiles a block of C with the headers of the C library that the page deployed."""
    model = next(Path().glob("*/model/src")).parent
    folders = sorted({header.parent for header in model.rglob("*.h")} - {model / "zephyr"})
    Path("block.c").write_text(_whole(block.text))
    command = [sys.executable, "-m", "ziglang", "cc", "-c", "-o", "block.o", "block.c"]
    options = ["-Wall", "-Werror", "-Wno-unused-variable", *(f"-I{folder}" for folder in folders)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BlockError(f"{block.where}: {done.stderr}")


def _whole(text: str) -> str:
    """Returns a file to compile; statements become the body of a function that has what they take as given."""
    if "return" in text or "main(" in text:
        return text
    lines = text.splitlines()
    outside = [line for line in lines if line.startswith(("#include", "static"))]
    inside = [line for line in lines if line not in outside]
    return "\n".join([*outside, "void page(const float *sensor) {", *inside, "}", ""])


def run_commands(block: Block) -> None:
    """Runs each ``edgeopt`` line; ``> FILE`` takes what it prints."""
    for line in page_commands.lines(block):
        program, *words = page_commands.words(line)
        if program != "edgeopt":
            continue
        result = CliRunner().invoke(app, words, catch_exceptions=True)
        if result.exit_code != 0:
            raise BlockError(f"{block.where}: {line}: {result.exit_code}: {result.output}")
        if file := page_commands.redirected(line):
            file.write_text(result.stdout, encoding="utf-8")


def check(block: Block) -> None:
    """Checks a block without running it."""
    if source := block.notes.get("from"):
        check_excerpt(block, source)
    elif block.language == "python":
        check_calls(block)
    elif block.language == "shell":
        for line in page_commands.lines(block):
            page_commands.check(line)
    elif block.language == "toml":
        tomllib.loads(block.text)


def check_excerpt(block: Block, source: str) -> None:
    """Raises unless the block's lines are lines of the file ``source``, in this order."""
    wanted = [line.strip() for line in block.text.splitlines() if line.strip()]
    lines = iter((ROOT / source).read_text(encoding="utf-8").splitlines())
    kept = (line.strip() for line in lines)
    for line in wanted:
        if line not in kept:  # takes from the iterator up to the line that fits
            raise BlockError(f"{block.where}: not in {source} in this order: {line}")


def check_calls(block: Block) -> None:
    """Raises where a block is no Python, or gives a call of ``edgeopt.NAME`` a keyword that it does not take."""
    for node in ast.walk(ast.parse(block.text, block.where)):
        if isinstance(node, ast.Call) and _public(node.func):
            _check_keywords(block, node)


def _public(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "edgeopt"
    )


def _check_keywords(block: Block, node: ast.Call) -> None:
    name = node.func.attr  # type: ignore[attr-defined]
    parameters = inspect.signature(getattr(edgeopt, name)).parameters
    if any(one.kind is ANY_KEYWORD for one in parameters.values()):
        parameters = {**parameters, **_groups()}
    unknown = {one.arg for one in node.keywords if one.arg} - set(parameters)
    if unknown:
        raise BlockError(f"{block.where}: edgeopt.{name} takes no {', '.join(sorted(unknown))}")


def _groups() -> dict[str, Any]:
    from edgeopt.options import GROUPS

    return dict(GROUPS) | dict.fromkeys(("runs", "threads", "cores", "warmup", "max_seconds"))
