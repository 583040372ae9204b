"""What comes from outside is decoded in `edgeopt.boundary` only; each other use has its reason."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import edgeopt

ROOT = Path(edgeopt.__file__).parents[1]
PRODUCT = [ROOT / "edgeopt", *sorted((ROOT / "backends").glob("*/edgeopt_*")), ROOT / "targets"]
SHIPPED = "edgeopt/bundles/device/"
"""Runs on devices without edgeopt; `tests/unit/bundles/test_bundle_runner.py` tries it."""

DECODERS = {
    *("json.loads", "json.load", "json.JSONDecoder", "tomllib.loads", "tomllib.load"),
    *("msgspec.json.decode", "msgspec.json.Decoder", "msgspec.convert", "msgspec.msgpack.decode"),
    *("msgspec.toml.decode", "msgspec.yaml.decode", "np.load", "np.fromfile", "numpy.load"),
    *("np.loadtxt", "np.genfromtxt", "torch.load", "torch.jit.load", "torch.export.load"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads"),
    *(
        "shelve.open",
        "yaml.load",
        "yaml.safe_load",
        "ast.literal_eval",
        "configparser.ConfigParser",
    ),
    *("safetensors.torch.load_file", "safetensors.torch.load", "load_file", "plistlib.load"),
    *("xml.etree.ElementTree.parse", "ElementTree.parse", "eval", "exec", "sympy.sympify"),
    *("pytree.treespec_loads", "treespec_loads", "joblib.load", "dill.load", "cloudpickle.load"),
}
REASONS = {
    "edgeopt/bundles/manifest.py": "its own text, a moment before",
    "edgeopt/recipes/steps.py": "its own text, a moment before",
    "edgeopt/training/history.py": "its own text, a moment before",
    "edgeopt/training/checkpoint.py": "its own text, a moment before",
    "edgeopt/cli/read.py": "a word of the command line",
    "edgeopt/ir/graph_schema.py": "part of a document that the boundary decoded",
    "edgeopt/ir/tree_specs.py": "its own text, a moment before",
    "edgeopt/testing/specimens.py": "settings of a test",
    "edgeopt/testing/device_conformance.py": "a test",
    "edgeopt/testing/device_suite.py": "a test",
    "backends/tvm/edgeopt_tvm/kernel_verification.py": "written by a program that was compiled a moment before",
    "backends/tvm/edgeopt_tvm/tuning/measurement_worker.py": "said by a process of its own",
    "backends/tvm/edgeopt_tvm/tuning/worker/__main__.py": "said by the process that started it",
    "backends/tvm/edgeopt_tvm/tuning/worker/bench.py": "said by the process that started it",
    "edgeopt/testing/networks/isolation.py": "said by the process that started it",
    "edgeopt/testing/networks/network.py": "runs the text that the generator wrote, never a file's",
    "edgeopt/testing/operator_database/isolation.py": "said by the process that started it",
    "backends/tvm/edgeopt_tvm/tuning/lookup.py": "a record that the boundary checked",
    "backends/tvm/edgeopt_tvm/tuning/tuner.py": "a record that the boundary checked",
}


def dotted(node):
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "?"


def uses(source):
    """Returns the decoders that a module's text names, called or passed on, under any alias."""
    tree = ast.parse(source)
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {a.asname: a.name for a in node.names if a.asname}
        elif isinstance(node, ast.ImportFrom):
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            first, _, rest = dotted(node).partition(".")
            full = ".".join(filter(None, [names.get(first, first), rest]))
            found |= {full, dotted(node)} & DECODERS
    return found


def modules():
    for folder in PRODUCT:
        for path in sorted(folder.rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if not name.startswith(("edgeopt/boundary/", SHIPPED)) and "/device/" not in name:
                yield name, uses(path.read_text(encoding="utf-8"))


def test_nothing_else_decodes_what_comes_from_outside():
    found = {name: sorted(held) for name, held in modules() if held}
    assert {name: held for name, held in found.items() if name not in REASONS} == {}
    assert sorted(set(REASONS) - set(found)) == [], "a reason that nobody needs any more"


@pytest.mark.parametrize(
    "source",
    [
        "import json\njson.loads(b'')",
        "import json as j\nj.load(f)",
        "from json import loads\nloads(b'')",
        "import msgspec\ndecode = msgspec.json.decode",
        "import numpy\nnumpy.load(p)",
        "import tomllib\ntomllib.loads(t)",
        "import pickle as p\np.loads(b)",
        "from torch.utils._pytree import treespec_loads\ntreespec_loads(s)",
        "eval('1')",
    ],
)
def test_the_search_sees_each_spelling(source):
    assert uses(source)
