"""Weights of 4 bits in TFLite: packed in the file, unpacked in LiteRT's kernels, and the reference's numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import nn

from edgeopt.api import capture
from edgeopt.contracts.storage import INT4
from edgeopt.ir import ReferenceRunner
from edgeopt.options import CompileOptions, QuantizationConfig
from edgeopt.quantization import quantize_program
from edgeopt.registry.target_registry import find_target

OUTPUTS, BETWEEN = 31, 48


def model(inputs):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(inputs, BETWEEN), nn.ReLU(), nn.Linear(BETWEEN, OUTPUTS)).eval()


def compiled(backend, inputs, name="generic-x86-64-v3", **settings):
    x = torch.randn(2, 5, inputs, generator=torch.Generator().manual_seed(1))
    config = QuantizationConfig(**settings)
    data = [x] if config.precision == "int8" else None
    program = quantize_program(capture(model(inputs), x), data, config)
    lowered = backend.lower(program, find_target(name))
    return x.numpy(), lowered, backend.compile(lowered, CompileOptions())


def stored(artifact):
    """Returns name to type and bytes of each constant of a file."""
    read = schema.ModelT.InitFromPackedBuf(artifact.files[artifact.entry], 0)
    contents = [(t, read.buffers[t.buffer].data) for t in read.subgraphs[0].tensors]
    return {t.name.decode(): (t.type, len(d)) for t, d in contents if d is not None and len(d)}


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("inputs", [63, 64])
def test_linears_run_packed_and_right(backend, inputs, bits):
    settings = {"precision": "int4-dynamic", "weight_group": 0, "weight_bits": bits}
    x, lowered, artifact = compiled(backend, inputs, **settings)
    kinds = stored(artifact)
    assert kinds["p_0_weight"] == (schema.TensorType.INT4, INT4.bytes_for(inputs * BETWEEN))
    assert kinds["p_2_weight"] == (schema.TensorType.INT4, INT4.bytes_for(BETWEEN * OUTPUTS))
    assert artifact.operators == {"FULLY_CONNECTED": 2}
    runner, expected = backend.load(artifact), ReferenceRunner(lowered.program)(x)
    assert np.abs(runner(x) - expected).max() < 5e-3  # a tie now and then
    runner.close()


def test_only_xnnpack_is_right(backend):
    """LiteRT's kernel without XNNPACK (2.3) answers other numbers; every runner of ours has XNNPACK."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    settings = {"precision": "int4-dynamic", "weight_group": 0}
    x, lowered, artifact = compiled(backend, 64, **settings)
    interpreter = Interpreter(
        model_content=artifact.files[artifact.entry],
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    expected, runner = ReferenceRunner(lowered.program)(x), backend.load(artifact)
    assert runner.facts()["partitions"] == 1
    assert np.abs(runner(x) - expected).max() < 5e-3
    assert np.abs(answer - expected).max() > 0.1
    runner.close()


def test_steps_for_groups_are_floats_here_and_the_report_says_so(backend):
    x, lowered, artifact = compiled(backend, 64, precision="int4-dynamic", weight_group=32)
    assert stored(artifact)["p_0_weight"][0] == schema.TensorType.FLOAT32
    first = lowered.support.nodes[0]
    assert "its weight of 4 bits is stored as float here" in first.reason
    runner = backend.load(artifact)
    assert np.abs(runner(x) - ReferenceRunner(lowered.program)(x)).max() < 1e-2
    runner.close()


def test_static_weights_of_four_bits_run_on_integers_of_eight(backend):
    _, lowered, artifact = compiled(backend, 64, precision="int8", weight_bits=4)
    assert stored(artifact)["p_0_weight"][0] == schema.TensorType.INT8
    first = lowered.support.nodes[0]
    assert (first.verdict, first.reason) == (
        "integer",
        "its weight of 4 bits is stored in 8 bits here",
    )


@pytest.mark.parametrize("name", ["generic-armv7", "nano33ble"])
def test_an_old_runtime_does_not_compile_it(backend, name):
    assert "int4-dynamic" not in backend.precisions(find_target(name))
    assert "int4-dynamic" in backend.precisions(find_target("rpi4"))
