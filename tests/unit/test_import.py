"""What `import edgeopt` costs, and what it promises."""

import ast
import importlib
import importlib.metadata
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import edgeopt
from edgeopt import errors

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parents[2] / "scripts"
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


def script(name, *words):
    """Runs a program of scripts/; returns its exit status and what it said."""
    command = [sys.executable, str(SCRIPTS / name), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_no_module_imports_itself_in_a_circle_not_even_inside_functions():
    packages = ["edgeopt", "edgeopt_targets", "edgeopt_tflite", "edgeopt_openvino", "edgeopt_tvm"]
    assert script("import_cycles.py", *packages) == (
        0,
        "".join(f"{p}: 0 cycles\n" for p in packages),
    )


def test_an_import_inside_a_function_saves_something():
    assert script("lazy_imports.py") == (0, "0 imports inside functions save nothing\n")


def test_a_cycle_is_found(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import import_cycles

    lazy = "def f():\n    if x:\n        from p.b import c\n"
    typed = "if TYPE_CHECKING:\n    from p.b import c\nelse:\n    import p.c\n"
    known = {"p", "p.a", "p.b", "p.c"}
    assert import_cycles.imported(ast.parse(lazy), known) == {"p.b"}
    assert import_cycles.imported(ast.parse(typed), known) == {"p.c"}
    edges = {"p.a": {"p.b"}, "p.b": {"p.c"}, "p.c": {"p.b"}, "p": set()}
    assert import_cycles.cycles(edges) == [["p.b", "p.c"]]


BARE = """
import sys
sys.modules |= dict.fromkeys(
    ("accelerate", "optuna", "torch_pruning", "ray", "onnx", "onnxscript", "transformers", "sklearn")
)
import edgeopt
from edgeopt.registry import find_target
from edgeopt.testing.specimens import specimen
one = specimen("perceptron")
done = edgeopt.deploy(one.model, "host", backend="reference", example_inputs=one.example,
                      calibration_data=one.samples)
assert find_target("rpi4").name == "rpi4"
print(done.precision)
"""


def test_quantizing_and_deploying_need_no_extra():
    command = [sys.executable, "-c", BARE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["int8"]


def test_what_is_installed_with_the_core_is_light():
    """No trainer, searcher or toolchain comes along unasked."""
    wanted = {
        re.split(r"[>=<\[; ]", r)[0]
        for r in importlib.metadata.requires("edgeopt")
        if "extra ==" not in r
    }
    light = {"torch", "numpy", "safetensors", "msgspec", "typer", "rich", "filelock", "tomli-w"}
    assert wanted <= light
