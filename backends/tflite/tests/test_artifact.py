"""What comes out of `compile`, and what `load` makes of it."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.errors import InputError
from edgeopt.options import CompileOptions
from edgeopt.passes import run_passes
from edgeopt_tflite.compiler import ENTRY


class Tiny(nn.Module):
    """What EfficientNet-Lite is made of: inverted residuals, a head."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.expand = nn.Sequential(nn.Conv2d(8, 16, 1), nn.ReLU6())
        self.depthwise = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.ReLU6())
        self.project = nn.Conv2d(16, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(nn.functional.pad(x, (0, 1, 0, 1)))
        x = x + self.project(self.depthwise(self.expand(x)))
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def tiny(compiled):
    return compiled(Tiny(), torch.randn(2, 3, 16, 16), precision="int8")


def test_a_convolutional_network_has_no_float_operator(tiny, backend, target):
    tiny.assert_steps(0)
    assert tiny.artifact.operators == {
        "ADD": 1, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, "MEAN": 1,
    }  # fmt: skip
    report = backend.support(tiny.program, target)
    assert report.count("float") == 0
    assert {n.verdict for n in report.nodes if "pad" in n.operator or "clamp" in n.operator} == {
        "folded"
    }


def test_the_file_is_a_tflite_file(tiny):
    content = tiny.artifact.files[ENTRY]
    assert content[4:8] == b"TFL3"
    assert tiny.artifact.entry == ENTRY
    assert {"ai-edge-litert", "edgeopt"} <= set(tiny.artifact.tools)


def test_buffers_are_aligned(tiny):
    """The generated writer aligns to one byte; the format asks for 16."""
    from ai_edge_litert import schema_py_generated as schema

    content = tiny.artifact.files[ENTRY]
    model = schema.Model.GetRootAs(content)
    held = [model.Buffers(i) for i in range(model.BuffersLength())]
    places = [b._tab.Vector(b._tab.Offset(4)) for b in held if b.DataLength()]
    assert len(places) > 10
    assert all(place % 16 == 0 for place in places)


def test_the_signature_and_the_oldest_runtime_are_in_the_file(tiny):
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    content = tiny.artifact.files[ENTRY]
    signatures = Interpreter(model_content=content).get_signature_list()
    assert signatures == {"serving_default": {"inputs": ["x"], "outputs": ["output_0"]}}
    model = schema.Model.GetRootAs(content)
    assert model.Metadata(0).Name() == b"min_runtime_version"
    text = model.Buffers(model.Metadata(0).Buffer()).DataAsNumpy().tobytes()
    assert text.rstrip(b"\0") == b"2.3.0"


def test_tensors_are_called_as_the_values_they_hold(tiny):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=tiny.artifact.files[ENTRY])
    names = {d["name"] for d in interpreter.get_tensor_details()} - {""}
    assert {"x", "add", "linear"} <= names
    values = {node.name for node in tiny.program.graph.nodes}
    assert set(tiny.artifact.origins.values()) <= values
    assert tiny.artifact.origins["add"] == "add"
    spec = tiny.program.quant["add"]
    (detail,) = [d for d in interpreter.get_tensor_details() if d["name"] == "add"]
    assert detail["quantization"] == (float(spec.scale[0]), int(spec.zero_point[0]))


@pytest.mark.parametrize("precision", ["float32", "int8", "float16"])
def test_equal_programs_give_equal_bytes(backend, target, program_of, precision):
    made = []
    for _ in range(2):
        torch.manual_seed(3)
        program, _samples = program_of(Tiny(), torch.randn(1, 3, 16, 16), precision=precision)
        made.append(backend.compile(backend.lower(program, target), CompileOptions()))
    assert made[0].files == made[1].files
    assert made[0].metadata == made[1].metadata


def test_equal_constants_are_stored_once(compiled):
    weight = torch.randn(64, 64)

    def forward(x):
        for _ in range(8):
            x = torch.relu(nn.functional.linear(x, weight.clone()))
        return x

    case = compiled(forward, torch.randn(1, 64))
    case.assert_close()
    assert case.count("FULLY_CONNECTED") == 8
    assert case.artifact.size_bytes < 2 * weight.numel() * 4


def test_an_unused_input_is_not_in_the_file(compiled):
    case = compiled(lambda x, ignored, y: x * y, torch.randn(3), torch.randn(2), torch.randn(3))
    case.assert_close()
    assert [n["tensor"] for n in case.artifact.metadata["inputs"]] == [0, None, 1]


ODD_OUTPUTS = {
    "an input": lambda x: (x, x + 1),
    "a permuted input": lambda x: (x.permute(0, 3, 1, 2), x * 2),
    "one value twice": lambda x: [x * 2] * 2,
    "a constant": lambda x: (x + 1, torch.arange(6.0).reshape(2, 3)),
    "a view": lambda x: (x * 2).reshape(2, 12, 5).transpose(1, 2),
    "a value and its view": lambda x: (x * 2, (x * 2).flatten()),
    "a dict": lambda x: {"b": x + 1, "a": x - 1},
    "zeros": torch.zeros_like,
    "a number": lambda x: x.sum(),
}


@pytest.mark.parametrize("name", ODD_OUTPUTS)
def test_outputs(compiled, name):
    compiled(ODD_OUTPUTS[name], torch.randn(2, 3, 4, 5)).assert_close()


def test_an_activation_that_is_always_the_same(compiled):
    conv = nn.Conv2d(3, 4, 1)
    nn.init.zeros_(conv.weight)
    nn.init.constant_(conv.bias, 0.0)
    model = nn.Sequential(conv, nn.ReLU(), nn.Conv2d(4, 4, 1))
    compiled(model, torch.randn(1, 3, 4, 4), precision="int8").assert_steps(0)


def test_images_are_given_channels_last_and_quantized(tiny):
    (note,) = tiny.artifact.metadata["inputs"]
    assert note["order"] == [0, 2, 3, 1]
    spec = tiny.program.quant["x"]
    assert note["scale"] == pytest.approx(float(spec.scale[0]))
    assert note["zero_point"] == int(spec.zero_point[0])


def test_outputs_are_the_callers(tiny):
    (x,), (other,) = tiny.samples[:2]
    before, first = x.copy(), tiny.runner(x)
    held = first.copy()
    tiny.runner(other)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(first, held)


def test_values_beyond_the_grid_are_clipped(tiny):
    huge = np.full((2, 3, 16, 16), 1e9, np.float32)
    limit = np.full_like(huge, tiny.program.quant["x"].high)
    np.testing.assert_array_equal(tiny.runner(huge), tiny.runner(limit))


def test_facts(tiny, backend):
    facts = backend.load(tiny.artifact, threads=2).facts()
    assert facts["name"] == "LiteRT"
    assert facts["version"][0].isdigit()
    assert facts["threads"] == 2
    assert facts["xnnpack"] is True
    assert facts["partitions"] == 1


def test_a_closed_runner_refuses(tiny, backend):
    runner = backend.load(tiny.artifact)
    runner.close()
    with pytest.raises(InputError):
        runner(np.zeros((2, 3, 16, 16), np.float32))


def test_runs_where_edgeopt_is_not_installed(tiny, backend, target, tmp_path):
    """The runner's source needs only numpy, the runtime and the files that come with it."""
    device = backend.device_runtime(target)
    (tmp_path / "runtime.py").write_text(device.runner)
    for name, content in device.files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / ENTRY).write_bytes(tiny.artifact.files[ENTRY])
    np.save(tmp_path / "x.npy", tiny.samples[0][0])
    code = (
        "import sys, json, numpy as np; from runtime import Model; "
        f"m = Model({ENTRY!r}, json.loads(sys.argv[1]), 1); np.save('y.npy', m(np.load('x.npy'))[0]); "
        "print(*[n for n in ('torch', 'edgeopt') if n in sys.modules])"
    )
    import json

    command = [sys.executable, "-c", code, json.dumps(tiny.artifact.metadata)]
    out = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), tiny.runner(*tiny.samples[0]))


def test_support_of_the_lowered_program_is_support_of_the_program(tiny, backend, target):
    again = run_passes(tiny.program, backend.passes(target))
    assert backend.support(again, target) == backend.support(tiny.program, target)
