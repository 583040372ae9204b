"""What each operator takes, by LiteRT's own profiler, and which of the file's it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.ir import capture_module
from edgeopt.options import CompileOptions
from edgeopt.passes import run_core, run_passes
from edgeopt.registry.target_registry import find_target
from edgeopt_tflite import TFLiteBackend
from edgeopt_tflite.device import runtime
from edgeopt_tflite.device.edgeopt_litert_names import aligned
from edgeopt_tflite.device.edgeopt_litert_profiler import LiteRTProfiler


class Parts(nn.Module):
    """A model of which XNNPACK runs all but the embedding, in two parts."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(32, 32)
        self.table = nn.Embedding(50, 32)
        self.last = nn.Linear(32, 16)

    def forward(self, index: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))[:, None] + self.table(index)
        return torch.softmax(self.last(x), -1)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Returns the model on this machine, its artefact, and inputs."""
    torch.manual_seed(0)
    backend, target = TFLiteBackend(), find_target("host")
    example = (torch.randint(0, 50, (1, 8)), torch.randn(1, 32))
    program = run_core(capture_module(Parts().eval(), example))
    lowered = run_passes(program, backend.passes(target))
    artifact = backend.compile(backend.lower(lowered, target), CompileOptions())
    path = tmp_path_factory.mktemp("parts") / artifact.entry
    path.write_bytes(artifact.files[artifact.entry])
    inputs = [tensor.numpy() for tensor in example]
    return runtime.Model(str(path), artifact.metadata, 1), artifact, inputs


def test_every_operator_of_the_file_is_found_once_and_in_order(loaded):
    model, artifact, inputs = loaded
    told = model.operators(5, *inputs)
    names = [layer for step in told["steps"] for layer in step["layers"]]
    traced = [artifact.origins[name] for name in names]
    assert len(set(names)) == len(names)
    assert [n for n in traced if n in ("relu", "embedding", "add", "linear_1", "softmax")] == [
        "relu", "embedding", "add", "linear_1", "softmax"
    ]  # fmt: skip
    kinds = {step["name"]: step["kind"] for step in told["steps"]}
    assert kinds["embedding"] == "GATHER"  # its own kernel, not XNNPACK's
    assert kinds["relu"].startswith("Fully Connected")
    assert all(step["ns"] >= 0 for step in told["steps"])
    assert told["whole_ns"] > 0


def test_profiling_leaves_the_model_as_it_was(loaded):
    model, _, inputs = loaded
    before = model(*inputs)
    model.operators(2, *inputs)
    for one, other in zip(before, model(*inputs), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_runtime_without_a_profiler_says_so(loaded, tmp_path):
    with pytest.raises(RuntimeError, match="has no profiler"):
        LiteRTProfiler(str(tmp_path / "libLiteRt.so"), "model.tflite", [[], []], 1)


def test_a_file_that_it_refuses_says_so(tmp_path):
    import ai_edge_litert.interpreter as module

    path = tmp_path / "model.tflite"
    path.write_bytes(b"no model at all")
    library = module.__file__.replace("interpreter.py", "libLiteRt.so")
    with pytest.raises(RuntimeError, match="cannot be used"):
        LiteRTProfiler(library, str(path), [[], []], 1)


@pytest.mark.parametrize(
    ("ours", "theirs", "wanted"),
    [
        (["CONV_2D"], ["Convolution (NHWC, QC8) IGEMM"], [0]),
        (["CONV_2D", "ADD"], ["Fully Connected (NC, QS8, QC8W) GEMM", "Add (ND)"], [0, 1]),
        (["RESHAPE", "ADD"], ["Add (ND)"], [1]),  # left out
        (["MUL", "MEAN"], ["Mean Squared (ND) Reduce2"], [1]),  # joined
        (["FULLY_CONNECTED"], ["Static Reshape (NC)", "Fully Connected (NC, F32) GEMM"], [None, 0]),
        (["LOGISTIC", "MUL"], ["Invalid Unary Op", "Multiply (ND)"], [0, 1]),  # a table
        (["ADD", "MUL"], ["Multiply (ND)", "Add (ND)"], [1, None]),  # never out of order
        ([], ["Add (ND)"], [None]),
    ],
)
def test_alignment(ours, theirs, wanted):
    assert aligned(ours, theirs) == wanted
