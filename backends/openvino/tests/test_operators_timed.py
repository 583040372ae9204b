"""What each operator takes, by OpenVINO's own counters."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgeopt.ir import capture_module
from edgeopt.options import CompileOptions
from edgeopt.passes import run_core
from edgeopt.quantization import QuantizationConfig, quantize_program
from edgeopt.registry.target_registry import find_target
from edgeopt.testing.specimens import specimen
from edgeopt_openvino import OpenVINOBackend
from edgeopt_openvino.device.runtime import Model


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Returns an int8 model on this machine, its program and artefact, and inputs."""
    held = specimen("residual")
    program = run_core(capture_module(held.model, held.example))
    samples = [tuple(torch.as_tensor(x) for x in sample) for sample in held.samples]
    bits = find_target("host").quantization.weight_bits
    config = QuantizationConfig(rounding="nearest", weight_bits=bits)
    program = quantize_program(program, samples, config)
    artifact = OpenVINOBackend().compile(
        OpenVINOBackend().lower(program, find_target("host")), CompileOptions()
    )
    folder = tmp_path_factory.mktemp("residual")
    for name, content in artifact.files.items():
        (folder / name).write_bytes(content)
    inputs = [tensor.numpy() for tensor in samples[0]]
    return Model(str(folder / artifact.entry), artifact.metadata, 1), program, artifact, inputs


def test_convolutions_are_told_and_traced(loaded):
    model, program, artifact, inputs = loaded
    told = model.operators(3, *inputs)
    assert told["statistic"] == "mean"
    convolutions = [s for s in told["steps"] if s["kind"].startswith("Convolution")]
    wanted = sum("conv2d" in str(n.target) for n in program.graph.nodes if n.op == "call_function")
    assert len(convolutions) == wanted
    for step in convolutions:
        traced = [artifact.origins[layer] for layer in step["layers"] if layer in artifact.origins]
        assert any(name.startswith("conv2d") for name in traced)
        assert step["type"] == "int8"
    assert all(step["ns"] >= 0 for step in told["steps"])


def test_the_same_operators_each_time(loaded):
    model, _, _, inputs = loaded
    first, second = (model.operators(2, *inputs)["steps"] for _ in range(2))
    assert [step["kind"] for step in first] == [step["kind"] for step in second]


def test_profiling_leaves_the_model_as_it_was(loaded):
    model, _, _, inputs = loaded
    before = model(*inputs)
    model.operators(2, *inputs)
    for one, other in zip(before, model(*inputs), strict=True):
        np.testing.assert_array_equal(one, other)
