"""Prints the figures of the source's structure: ``python scripts/structure.py [ROOT ...]``.

Sizes of modules and functions, how often each option of `deploy` is declared, operator sets, and
comparisons with the names of precisions and storage types. With ``--deploy``, also what one deployment does more
than once: it counts copies of graphs and emitted models. Two or more roots are printed side by side,
for example a checkout of an older commit beside this one. Nothing is timed.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent.parent
STORAGE_NAMES = {
    *("int2", "int4", "int8", "uint8", "int16", "int32", "float16"),
    "int8-dynamic",
}
LIMITS = {127, -128, 255}
SET_MEMBERS = 2
TABLE_HOME = "edgeopt/ir/operators/"
"""How many operators make a set: one alone is a comparison."""


@dataclass
class Figures:
    """What was counted in one tree."""

    lines: int = 0
    modules: list[int] = field(default_factory=list)
    functions: list[int] = field(default_factory=list)
    operator_sets: list[str] = field(default_factory=list)
    operator_tables: list[str] = field(default_factory=list)
    comparisons: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    passed_on: int = 0
    participles: int = 0
    lazy_imports: int = 0


def sources(root: Path) -> list[Path]:
    """Returns the product's modules: the core, the plugins and the targets, without tests."""
    folders = (root / "edgeopt", *root.glob("backends/*/edgeopt_*"), root / "targets")
    found = (path for folder in folders for path in folder.rglob("*.py"))
    return sorted(p for p in found if "tests" not in p.relative_to(root).parts)


def stands_alone(path: Path) -> bool:
    """Returns whether a module runs on devices, without edgeopt: it may have its own copies."""
    return "device" in path.parts or "worker" in path.parts


def measure(root: Path) -> Figures:
    """Returns the figures of the tree at ``root``."""
    figures = Figures()
    for path in sources(root):
        text = path.read_text()
        used = sum(1 for line in text.splitlines() if line.strip())
        figures.lines += used
        figures.modules.append(len(text.splitlines()))
        _count(ast.parse(text), str(path.relative_to(root)), figures, alone=stands_alone(path))
    return figures


def _count(tree: ast.Module, where: str, figures: Figures, *, alone: bool) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            figures.functions.append((node.end_lineno or node.lineno) - node.lineno + 1)
            inner = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
            figures.lazy_imports += len(inner)
        elif isinstance(node, ast.keyword) and isinstance(node.value, ast.Name):
            figures.passed_on += node.arg == node.value.id
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            figures.participles += node.id in {"held", "found", "made", "kept", "given", "wanted"}
        elif not alone:
            _count_types(node, where, figures)
    if TABLE_HOME in where:
        return
    for n in tree.body:
        if _is_operator_set(n):
            places = figures.operator_tables if _is_table(n) else figures.operator_sets
            places.append(f"{where}:{n.lineno}")


def _count_types(node: ast.AST, where: str, figures: Figures) -> None:
    if isinstance(node, ast.Compare):
        values = [v for side in (node.left, *node.comparators) for v in ast.walk(side)]
        names = [v.value for v in values if isinstance(v, ast.Constant)]
        if any(isinstance(n, str) and n in STORAGE_NAMES for n in names):
            figures.comparisons.append(f"{where}:{node.lineno}")
    elif _is_limit(node):
        figures.limits.append(f"{where}:{node.lineno}")


def _is_limit(node: ast.AST) -> bool:
    """Whether ``node`` writes an end of a storage type's range; -127 counts as its 127."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return isinstance(node.operand, ast.Constant) and node.operand.value == -min(LIMITS)
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value in LIMITS


def _is_operator_set(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    operators = {
        ast.unparse(n) for n in ast.walk(node.value)
        if isinstance(n, ast.Attribute) and ast.unparse(n).startswith(("aten.", "torch.ops.aten."))
    }  # fmt: skip
    full = {o for o in operators if o.removeprefix("torch.ops.").count(".") > 1}
    return len(full) >= SET_MEMBERS


def _is_table(node: ast.stmt) -> bool:
    """Whether each operator has its own code or function there: a rule, not a fact about operators."""
    return isinstance(getattr(node, "value", None), ast.Dict)


def deploy_options(root: Path) -> dict[str, int]:
    """Returns how often each option of `deploy` is declared in the tree.

    A declaration is a parameter or a class attribute of that name in the public functions, the
    command line, the deployment, recipes, search and options.
    """
    trees = {p: ast.parse(p.read_text()) for p in sources(root)}
    every = (
        n for tree in trees.values() for n in tree.body
        if isinstance(n, ast.FunctionDef) and n.name == "deploy"
    )  # fmt: skip
    deploy = max(every, key=lambda n: len(n.args.kwonlyargs))  # overloads say less
    names = [a.arg for a in (*deploy.args.args, *deploy.args.kwonlyargs)]
    rooms = ("api", "cli", "deployment", "recipes", "searching", "search", "options")
    counts = dict.fromkeys(names, 0)
    for path, tree in trees.items():
        if path.relative_to(root).parts[1] in rooms:
            for name in _declared(tree):
                if name in counts:
                    counts[name] += 1
    return counts


def _declared(tree: ast.Module) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            fields = (n for n in node.body if isinstance(n, ast.AnnAssign))
            names += [n.target.id for n in fields if isinstance(n.target, ast.Name)]
        elif isinstance(node, ast.FunctionDef):
            names += [a.arg for a in (*node.args.args, *node.args.kwonlyargs)]
    return names


DEPLOY = """
import collections, importlib, json, sys, torch
counts = collections.Counter()
def count(owner, name, label):
    inner = getattr(owner, name)
    def counted(*args, **kwargs):
        counts[label] += 1
        return inner(*args, **kwargs)
    setattr(owner, name, counted)
count(torch.fx.GraphModule, "__deepcopy__", "copies of a graph")
for plugin in ("tflite", "openvino", "tvm"):
    emitter = importlib.import_module(f"edgeopt_{plugin}.emitter")
    owner = next(v for n, v in vars(emitter).items() if n.endswith("Emitter") and v.__module__ == emitter.__name__)
    count(owner, "__init__", "emitted models")
import edgeopt
torch.manual_seed(0)
from torch import nn
model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)).eval()
data = [torch.rand(1, 3, 32, 32) for _ in range(32)]
edgeopt.deploy(model, "host", backend=sys.argv[1], precision="int8", example_inputs=(data[0],), calibration_data=data)
print(json.dumps(counts))
"""


def count_work(root: Path, backend: str) -> dict[str, int]:
    """Returns how often one deployment copies a graph and emits a model; it runs `DEPLOY`."""
    path = os.pathsep.join(map(str, (root, root / "targets", *sorted(root.glob("backends/*")))))
    result = subprocess.run(
        [sys.executable, "-c", DEPLOY, backend],
        env={**os.environ, "PYTHONPATH": path},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return dict(json.loads(result.stdout.splitlines()[-1]))


def rows(root: Path, *, deploy: bool) -> dict[str, str]:
    """Returns the table's cells of one tree: what is counted, and the figure."""
    figures, options = measure(root), deploy_options(root)
    cells = {
        "lines of source that are not blank": f"{figures.lines}",
        "modules; lines: median, p90, most": _spread(figures.modules),
        "functions; lines: median, p90, p99, most": _spread(figures.functions, with_p99=True),
        "parameters of deploy": f"{len(options)}",
        "declarations of a deploy option: median, most": (
            f"{median(options.values()):g}, {max(options.values())}"
        ),
        "arguments passed on as name=name": f"{figures.passed_on}",
        "operator sets outside of the table, and modules": _places(figures.operator_sets),
        "tables from operator to code, and modules": _places(figures.operator_tables),
        "comparisons with a precision's or type's name": _places(figures.comparisons),
        "literal limits of storage types": _places(figures.limits),
        "variables named by a bare participle": f"{figures.participles}",
        "imports inside functions": f"{figures.lazy_imports}",
    }
    if deploy:
        for backend in ("tflite", "openvino", "tvm"):
            counts = count_work(root, backend)
            cells[f"one deploy to {backend}"] = ", ".join(f"{v} {k}" for k, v in counts.items())
    return cells


def _spread(sizes: list[int], *, with_p99: bool = False) -> str:
    ordered = sorted(sizes)
    marks = (0.9, 0.99) if with_p99 else (0.9,)
    figures = [median(ordered), *(ordered[int(m * (len(ordered) - 1))] for m in marks), ordered[-1]]
    return f"{len(ordered)}; " + ", ".join(f"{f:g}" for f in figures)


def _places(places: list[str]) -> str:
    return f"{len(places)} in {len({p.split(':')[0] for p in places})}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("roots", nargs="*", type=Path, default=[HERE])
    parser.add_argument("--deploy", action="store_true", help="count one deployment's work too")
    parser.add_argument("--places", action="store_true", help="list the places behind the counts")
    given = parser.parse_args()
    columns = [rows(root.resolve(), deploy=given.deploy) for root in given.roots]
    for name in columns[0]:
        print(f"{name:<50}", *(f"{c.get(name, '–'):<34}" for c in columns))
    if given.places:
        figures = measure(given.roots[-1].resolve())
        print(*figures.operator_sets, *figures.comparisons, *figures.limits, sep="\n")


if __name__ == "__main__":
    main()
