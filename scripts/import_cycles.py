"""Prints the cycles of imports among a package's modules, those inside functions counted.

    python scripts/import_cycles.py [PACKAGE ...]      edgeopt where none is named

An import under ``if TYPE_CHECKING`` is none. The exit status is 1 where there is a cycle.
"""

from __future__ import annotations

import argparse
import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (ROOT, ROOT / "targets", *sorted(ROOT.glob("backends/*")))


def modules(package: str) -> dict[str, Path]:
    """Returns module name to file of all modules of ``package``."""
    folder = next(f / package for f in FOLDERS if (f / package).is_dir())
    names = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imported(tree: ast.Module, known: set[str]) -> set[str]:
    """Returns the modules among ``known`` that a file imports, at any depth of its code."""
    found = set()
    for node in _nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in known else node.module)
    return found & known


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yields all nodes but those that only a type checker sees."""
    typed = isinstance(tree, ast.If) and "TYPE_CHECKING" in ast.unparse(tree.test)
    for node in tree.orelse if typed and isinstance(tree, ast.If) else ast.iter_child_nodes(tree):
        yield node
        yield from _nodes(node)


def graph(package: str) -> dict[str, set[str]]:
    """Returns module to the modules of the same package that it imports."""
    files = modules(package)
    return {
        name: imported(ast.parse(path.read_bytes()), set(files)) - {name}
        for name, path in files.items()
    }


def cycles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Returns the strongly connected components of more than one module (Tarjan, 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in sorted(edges[name]):
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            place = stack.index(name)
            if len(stack) - place > 1:
                found.append(sorted(stack[place:]))
            del stack[place:]

    sys.setrecursionlimit(10_000)
    for name in sorted(edges):
        if name not in order:
            visit(name)
    return found


def main() -> int:
    """Prints the cycles of the packages that are named; returns the exit status."""
    status = 0
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", nargs="*", default=["edgeopt"], metavar="package")
    for package in parser.parse_args().packages:
        found = cycles(graph(package))
        print(f"{package}: {len(found)} cycles")
        for one in found:
            status = 1
            print("  " + ", ".join(one))
    return status


if __name__ == "__main__":
    sys.exit(main())
