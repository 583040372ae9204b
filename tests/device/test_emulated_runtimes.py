"""Runtimes on the emulated device: installed there from wheels, they give the host's numbers."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import PurePosixPath

import numpy as np
import pytest

from edgeopt.devices import EmulatedDevice

pytestmark = [pytest.mark.qemu, pytest.mark.slow]

BUNDLE, SITE = PurePosixPath("bundle"), PurePosixPath("site")
LITERT = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
given, made = sys.argv[2], sys.argv[4]
model = Interpreter("model.tflite", num_threads=2)
model.allocate_tensors()
model.set_tensor(model.get_input_details()[0]["index"], np.load(given))
model.invoke()
np.save(made, model.get_tensor(model.get_output_details()[0]["index"]))
"""
OPENVINO = """
import sys
import numpy as np
import openvino
given, made = sys.argv[2], sys.argv[4]
exact = {"INFERENCE_PRECISION_HINT": "f32"}
model = openvino.Core().compile_model("model.xml", "CPU", exact)
np.save(made, model(np.load(given))[0])
"""


def int8_layer() -> bytes:
    """Returns a model of one fully connected int8 layer with a ReLU, 64 to 16."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")
    random = np.random.default_rng(0)
    weights = random.integers(-127, 128, (16, 64), np.int8)
    bias = random.integers(-3000, 3000, 16, np.int32)

    def made(kind, **fields):
        held = kind()
        for name, value in fields.items():
            setattr(held, name, value)
        return held

    def tensor(name, shape, dtype, buffer, scale, zero=0):
        grid = made(schema.QuantizationParametersT, scale=scale, zeroPoint=[zero] * len(scale))
        return made(
            schema.TensorT, name=name, shape=shape, type=dtype, buffer=buffer, quantization=grid
        )

    scales = [0.001 * (1 + channel) for channel in range(16)]
    tensors = [
        tensor("x", [1, 64], schema.TensorType.INT8, 0, [0.02], 3),
        tensor("w", [16, 64], schema.TensorType.INT8, 1, scales),
        tensor("b", [16], schema.TensorType.INT32, 2, [0.02 * scale for scale in scales]),
        tensor("y", [1, 16], schema.TensorType.INT8, 0, [0.3], -128),
    ]
    operator = made(
        schema.OperatorT,
        inputs=[0, 1, 2],
        outputs=[3],
        builtinOptionsType=schema.BuiltinOptions.FullyConnectedOptions,
        builtinOptions=made(schema.FullyConnectedOptionsT, fusedActivationFunction=1),
    )
    code = schema.BuiltinOperator.FULLY_CONNECTED
    model = made(
        schema.ModelT,
        version=3,
        operatorCodes=[
            made(schema.OperatorCodeT, deprecatedBuiltinCode=code, builtinCode=code, version=4)
        ],
        subgraphs=[
            made(schema.SubGraphT, tensors=tensors, inputs=[0], outputs=[3], operators=[operator])
        ],
        buffers=[
            schema.BufferT(),
            made(schema.BufferT, data=np.frombuffer(weights.tobytes(), np.uint8)),
            made(schema.BufferT, data=np.frombuffer(bias.tobytes(), np.uint8)),
        ],
    )
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def on_device(bundle, x, requirements):
    """Returns what ``run.py`` of a bundle makes of ``x`` on the emulated device."""
    np.save(bundle / "x.npy", x)
    with EmulatedDevice() as device:
        device.push(bundle, BUNDLE)
        device.install(requirements, into=SITE)
        done = device.run(
            ["python3", "run.py", "--input", "x.npy", "--output", "y.npy"],
            cwd=device.workdir() / BUNDLE,
            env={"PYTHONPATH": str(device.workdir() / SITE)},
        )
        assert done.returncode == 0, done.stderr
        device.pull(BUNDLE / "y.npy", bundle / "y.npy")
    return np.load(bundle / "y.npy")


def pinned(*names):
    return [f"{name}=={version(name)}" for name in names]


def test_litert_gives_the_integers_of_this_machine(emulation, tmp_path):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "model.tflite").write_bytes(int8_layer())
    (bundle / "run.py").write_text(LITERT)
    x = np.random.default_rng(1).integers(-128, 128, (1, 64), np.int8)
    here = interpreter.Interpreter(str(bundle / "model.tflite"))
    here.allocate_tensors()
    here.set_tensor(0, x)
    here.invoke()
    expected = here.get_tensor(3)
    assert len(set(expected.ravel().tolist())) > 4
    made = on_device(bundle, x, pinned("numpy", "ai-edge-litert"))
    assert np.abs(made.astype(int) - expected.astype(int)).max() <= 1


def test_openvino_gives_the_numbers_of_this_machine(emulation, tmp_path):
    openvino = pytest.importorskip("openvino")
    ops = pytest.importorskip("openvino.opset8")
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    random = np.random.default_rng(0)
    parameter = ops.parameter([1, 3, 8, 8], np.float32)
    weights = ops.constant(random.normal(size=(4, 3, 3, 3)).astype(np.float32))
    layer = ops.relu(ops.convolution(parameter, weights, [1, 1], [1, 1], [1, 1], [1, 1]))
    model = openvino.Model([layer], [parameter], "layer")
    openvino.save_model(model, bundle / "model.xml", compress_to_fp16=False)
    (bundle / "run.py").write_text(OPENVINO)
    x = random.normal(size=(1, 3, 8, 8)).astype(np.float32)
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    expected = openvino.Core().compile_model(model, "CPU", exact)(x)[0]
    made = on_device(bundle, x, pinned("numpy", "openvino"))
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-5)
