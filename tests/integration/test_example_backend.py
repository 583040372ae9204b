"""The out-of-tree backend of docs/backends.md, installed as its package would be."""

from __future__ import annotations

import shutil
import sys
import tomllib
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

import edgeopt
from edgeopt.deployment.choose import choose_backend
from edgeopt.registry import find_backend, find_target
from edgeopt.testing import BackendConformance
from edgeopt.testing.specimens import specimen

pytest.importorskip("onnxruntime")

EXAMPLE = Path(__file__).parents[2] / "examples" / "backend_onnxruntime"
PACKAGE = "edgeopt_onnxruntime"


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    """Puts the package, and what pip would say of it, on the path."""
    site = tmp_path_factory.mktemp("site")
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    shutil.copytree(EXAMPLE / PACKAGE, site / PACKAGE)
    info = site / f"{PACKAGE}-{project['version']}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head)
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.setenv("PYTHONPATH", str(site), prepend=":")
        yield
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


class TestOnnxRuntime(BackendConformance):
    refused: ClassVar[dict[str, str]] = {
        "windows": "it has no roll, and no divisor of its own in a mean",
        "curved": "it has no leaky ReLU",
        "ranked": "it has no topk",
        "encoder": "it has no flip",
    }
    computed_in_float = dict.fromkeys(
        [
            "aten.add.Tensor",
            "aten.mul.Tensor",
            "aten.mean.dim",
            "aten.relu.default",
            "aten.hardswish.default",
            "aten.sigmoid.default",
            "aten.tanh.default",
            "aten.gelu.default",
            "aten.max_pool2d.default",
            "aten.avg_pool2d.default",
        ],
        "it is computed in float between two quantizations",
    )

    @pytest.fixture
    def backend(self):
        return find_backend("onnxruntime")

    @pytest.fixture
    def target(self):
        return find_target("host")


def test_auto_takes_it_though_no_descriptor_names_it():
    target = find_target("host")
    assert "onnxruntime" not in target.backends
    alone = msgspec.structs.replace(target, backends=())
    assert "onnxruntime" in {c.backend for c in choose_backend(alone).candidates}
    model = specimen("perceptron")
    bundle = edgeopt.compile(
        edgeopt.capture(model.model, model.example), "host", backend="onnxruntime"
    )
    assert bundle.manifest.backend == "onnxruntime"
