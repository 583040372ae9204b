"""What `import edgeopt` costs, and what it promises."""

import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys

import pytest

import edgeopt
from edgeopt import errors

HEAVY = (
    "torch",
    "numpy",
    "openvino",
    "tvm",
    "ai_edge_litert",
    "litert_torch",
    "onnx",
    "transformers",
)


def loaded_by(statement):
    """Returns the names of the modules that a fresh interpreter has after ``statement``."""
    code = f"{statement}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "statement",
    ["import edgeopt", "import edgeopt; dir(edgeopt); edgeopt.__all__", "import edgeopt.errors"],
)
def test_importing_takes_nothing_heavy(statement):
    loaded = loaded_by(statement)
    assert not loaded & set(HEAVY)
    assert not {name for name in loaded if name.startswith(("edgeopt.ir", "edgeopt.cli"))}


@pytest.mark.parametrize("module", ["edgeopt.contracts", "edgeopt.registry", "edgeopt.bundles"])
def test_these_stay_importable_without_torch(module):
    assert "torch" not in loaded_by(f"import {module}")


def test_public_names_are_there_and_are_no_modules():
    for name in edgeopt.__all__:
        value = getattr(edgeopt, name)
        assert inspect.ismodule(value) == (name == "errors"), name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="deplyo"):
        edgeopt.deplyo  # noqa: B018 (reading it is the test)


def drawn():
    """Returns the tree in the docstring of `edgeopt.errors` as pairs of child and parent."""
    pairs, above = {}, {}
    for line in errors.__doc__.splitlines():
        found = re.match(r"^    ([│├└─\s]*)([A-Z]\w+)", line)
        if found:
            depth = len(found[1]) // 4
            above[depth] = found[2]
            pairs[found[2]] = above.get(depth - 1)
    return pairs


def test_the_tree_of_errors_is_as_it_is_drawn():
    real = {
        name: kind.__mro__[1].__name__
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, errors.EdgeoptError)
    }
    real["EdgeoptError"] = None
    assert drawn() == real
    assert set(errors.__all__) == set(real)


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_says_what_where_and_what_next(name):
    error = getattr(errors, name)("it broke", where="here", hint="mend it")
    assert str(error) == "here: it broke\n  -> mend it"
    assert (error.what, error.where, error.hint) == ("it broke", "here", "mend it")
    assert str(getattr(errors, name)("it broke")) == "it broke"


def test_every_module_says_what_it_exports():
    for found in pkgutil.walk_packages(edgeopt.__path__, "edgeopt."):
        if ".bundles.device" in found.name or found.name.endswith("__main__"):
            continue  # runs on devices, on its own
        module = importlib.import_module(found.name)
        assert module.__doc__, f"{found.name} has no docstring"
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{found.name}.__all__ names {name}"
