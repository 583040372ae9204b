"""Prints the imports inside functions that save nothing, and with ``--fix`` moves them to the top.

    python scripts/lazy_imports.py [--fix] [FOLDER ...]      the core where none is named

An import inside a function is worth it where it spares somebody something slow (torch, a toolchain,
Optuna, the terminal's libraries), or breaks a cycle, which there should not be. One of a module of
ours that needs nothing slow beyond what its own file needs already belongs to the top.
"""

from __future__ import annotations

import argparse
import ast
import sys
from functools import cache
from pathlib import Path

import import_cycles as cycles

ROOT = Path(__file__).resolve().parents[1]
LIGHT = {*sys.stdlib_module_names, "msgspec", "filelock", "tomli_w", "edgeopt"}
"""What an import may cost without anybody's noticing."""
OUTSIDE = ("edgeopt/cli", "edgeopt/api", "edgeopt/__init__.py", "edgeopt/bundles/device")
"""Commands and the public functions load what they need when they run: that is their purpose."""

FILES = cycles.modules("edgeopt")
TREES = {name: ast.parse(path.read_bytes()) for name, path in FILES.items()}


def _top(tree: ast.Module) -> list[ast.stmt]:
    """Returns the statements that run when a module is imported."""
    found = list(tree.body)
    for node in tree.body:
        if isinstance(node, ast.Try):
            found += node.body
    return found


@cache
def needs(name: str) -> frozenset[str]:
    """Returns the modules that importing ``name`` imports, ours and others'."""
    found: set[str] = set()
    todo = [name]
    while todo:
        one = todo.pop()
        if one in found:
            continue
        found.add(one)
        if one not in TREES:
            continue
        todo += [".".join(one.split(".")[:n]) for n in range(1, one.count(".") + 1)]
        for node in _top(TREES[one]):
            if isinstance(node, ast.Import):
                todo += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                todo += [node.module, *(one for one in inner if one in TREES)]
    return frozenset(found)


def slow(name: str) -> set[str]:
    """Returns what is slow among what ``name`` needs."""
    return {one.partition(".")[0] for one in needs(name)} - LIGHT


def lazy(name: str) -> list[ast.ImportFrom]:
    """Returns the imports of our own modules inside functions of ``name`` that save nothing."""
    found = []
    for function in ast.walk(TREES[name]):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if not isinstance(node, ast.ImportFrom) or node in found or not node.module:
                continue
            if node.module in TREES and _belongs_to_the_top(name, node):
                found.append(node)
    return found


def _belongs_to_the_top(name: str, node: ast.ImportFrom) -> bool:
    module = node.module or ""
    inner = [f"{module}.{alias.name}" for alias in node.names]
    wanted = [module, *(one for one in inner if one in TREES)]
    if any(name in needs(one) for one in wanted):  # that would be a cycle
        return False
    if any(alias.asname for alias in node.names):
        return False
    return not set().union(*map(slow, wanted)) - slow(name)


def fix(name: str, nodes: list[ast.ImportFrom]) -> None:
    """Moves imports to the top of a file; ruff sorts them."""
    path = FILES[name]
    lines = path.read_text(encoding="utf-8").splitlines()
    for node in sorted(nodes, key=lambda one: -one.lineno):
        del lines[node.lineno - 1 : node.end_lineno]
        blank = node.lineno - 1
        before = lines[blank - 1].strip()
        if not lines[blank].strip() and (not before or before.endswith(":")):
            del lines[blank]
    future = next(i for i, line in enumerate(lines) if line.startswith("from __future__"))
    texts = dict.fromkeys(
        f"from {node.module} import {', '.join(alias.name for alias in node.names)}"
        for node in nodes
    )
    lines[future + 1 : future + 1] = ["", *texts]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    """Prints what belongs to the top, or moves it there; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fix", action="store_true", help="move them")
    parser.add_argument("folders", nargs="*", metavar="FOLDER")
    options = parser.parse_args()
    count = 0
    for name, path in FILES.items():
        place = path.relative_to(ROOT).as_posix()
        if place.startswith(OUTSIDE) or (
            options.folders and not place.startswith(tuple(options.folders))
        ):
            continue
        nodes = lazy(name)
        count += len(nodes)
        for node in nodes:
            print(f"{place}:{node.lineno}: from {node.module} import …")
        if nodes and options.fix:
            fix(name, nodes)
            TREES[name] = ast.parse(path.read_bytes())
            needs.cache_clear()
    print(f"{count} imports inside functions save nothing")
    return int(bool(count) and not options.fix)


if __name__ == "__main__":
    sys.exit(main())
