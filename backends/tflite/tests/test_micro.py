"""Files for TFLite for Micro: run by its interpreter, in the arena that was measured, and as C++ source."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional

from edgeopt.errors import CompileError, PluginError, UnsupportedError
from edgeopt.installation import install_command
from edgeopt.ir import QuantSpec, capture_module
from edgeopt.lowering import NoRuleError
from edgeopt.options import CompileOptions
from edgeopt.registry.target_registry import find_target
from edgeopt.testing.specimens import program_of
from edgeopt_tflite.flatbuffer import Tensor
from edgeopt_tflite.micro import worker
from edgeopt_tflite.micro.arena import measure_arena
from edgeopt_tflite.micro.emitter import MicroEmitter
from edgeopt_tflite.micro.operators import require_micro
from edgeopt_tflite.ops.exact import tabulated

tflite_micro = pytest.importorskip("tflite_micro", reason="needs tflite-micro")

RANDOM = torch.Generator().manual_seed(0)
IMAGE = torch.randn(1, 3, 8, 8, generator=RANDOM)
BYTE = re.compile(rb"0x([0-9a-f]{2}),")


@pytest.fixture(scope="session")
def micro():
    return find_target("generic-cortex-m4f")


def convolution():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU()).eval()


def between(activation):
    torch.manual_seed(0)
    first, last = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Conv2d(8, 4, 1)
    return torch.nn.Sequential(first, activation, last).eval()


def parameters(scale, zero):
    return QuantSpec("int8", torch.tensor([scale]), torch.tensor([zero], dtype=torch.int32))


def fits(path, arena_bytes):
    command = [sys.executable, worker.__file__, str(path), str(arena_bytes)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_an_int8_convolution_is_at_most_a_step_from_the_reference(compiled, micro):
    case = compiled(convolution(), IMAGE, precision="int8", on=micro)
    case.assert_steps(most=1.0, share=0.02)
    assert case.runner.facts()["name"] == "TFLite for Micro"
    assert case.runner.facts()["arena_bytes"] == case.artifact.metadata["arena_bytes"]


def test_the_arena_is_enough_and_one_grain_less_is_not(compiled, micro, tmp_path):
    case = compiled(convolution(), IMAGE, precision="int8", on=micro)
    path = tmp_path / "model.tflite"
    path.write_bytes(case.artifact.files["model.tflite"])
    arena = case.artifact.metadata["micro"]
    assert arena["total_bytes"] >= arena["tensor_bytes"] + arena["structure_bytes"]
    assert fits(path, arena["total_bytes"])
    assert not fits(path, arena["total_bytes"] - 64)


def test_the_source_holds_the_file_the_arena_and_its_operators(compiled, micro):
    files = compiled(convolution(), IMAGE, precision="int8", on=micro).artifact.files
    data = b"".join(bytes.fromhex(byte.decode()) for byte in BYTE.findall(files["model_data.cc"]))
    assert data == files["model.tflite"]
    assert b"alignas(16) const unsigned char" in files["model_data.cc"]
    assert f"#define MODEL_DATA_BYTES {len(data)}".encode() in files["model_data.h"]
    assert b"resolver.AddConv2D()" in files["model_operators.h"]
    assert b"#define MODEL_OPERATORS 1\n" in files["model_operators.h"]


def test_the_source_compiles_for_the_core(compiled, micro, tmp_path):
    files = compiled(convolution(), IMAGE, precision="int8", on=micro).artifact.files
    for name in ("model_data.h", "model_data.cc"):
        (tmp_path / name).write_bytes(files[name])
    pytest.importorskip("ziglang", reason="needs zig")
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "c++",
        "-target",
        "thumb-freestanding-eabihf",
        "-mcpu=cortex_m4",
    ]
    command += [
        "-Wall",
        "-Wextra",
        "-Werror",
        "-c",
        str(tmp_path / "model_data.cc"),
        "-o",
        str(tmp_path / "o.o"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert files["model.tflite"] in (tmp_path / "o.o").read_bytes()


@pytest.mark.parametrize("function", [functional.gelu, functional.hardswish])
def test_what_is_looked_up_is_exact(function):
    source, result = parameters(0.04, -10), parameters(0.03, -120)
    e = MicroEmitter(capture_module(torch.nn.Identity().eval(), (torch.zeros(1),)))
    tensor = e.model.tensor("x", (1, 16, 16, 1), "int8", source)
    made = tabulated(e, tensor, result, function)
    content = e.model.finish([("x", tensor)], [("y", made)], "")
    integers = torch.arange(-128, 128).to(torch.int8)
    interpreter = tflite_micro.runtime.Interpreter.from_bytes(content, arena_size=1 << 16)
    interpreter.set_input(integers.numpy().reshape(1, 16, 16, 1), 0)
    interpreter.invoke()
    wanted = result.quantize(function(source.dequantize(integers)))
    np.testing.assert_array_equal(interpreter.get_output(0).reshape(-1), wanted.numpy())


def test_gelu_is_looked_up_where_there_is_no_operator(compiled, micro):
    case = compiled(between(torch.nn.GELU()), IMAGE, precision="int8", on=micro)
    assert (case.count("GATHER"), case.count("DEQUANTIZE")) == (1, 0)
    case.assert_steps(most=1.0, share=0.05)


def test_what_tflm_lacks_is_refused_with_the_reason(compiled, micro):
    with pytest.raises(UnsupportedError, match="TFLite for Micro has no ATAN2"):
        compiled(torch.atan2, IMAGE, IMAGE, on=micro)


@pytest.mark.parametrize(
    ("code", "kinds", "result", "reason"),
    [
        ("CUMSUM", ("int32", "int32"), "int32", "CUMSUM takes float32, int8, here int32"),
        (
            "CONV_2D",
            ("float32", "int8"),
            "float32",
            "CONV_2D takes one type, here float32 and int8",
        ),
        ("GATHER", ("int8", "int64"), "int8", "GATHER takes int32 indices, here int64"),
        ("CAST", ("float32",), "int64", "CAST does not give int64"),
        ("SPLIT", ("int32", "int64"), "int64", "SPLIT takes float32, int32, int8, here int64"),
    ],
)
def test_types_that_a_kernel_lacks_are_refused(code, kinds, result, reason):
    tensors = [Tensor(place, (1,), kind) for place, kind in enumerate((*kinds, result))]
    with pytest.raises(NoRuleError, match=reason):
        require_micro(code, tensors[:-1], tensors[-1:])


def test_without_an_fpu_functions_of_integers_are_looked_up(compiled, micro):
    model = between(torch.nn.Hardswish())
    small = find_target("generic-cortex-m0plus")
    counts = [
        compiled(model, IMAGE, precision="int8", on=one).count("HARD_SWISH")
        for one in (micro, small)
    ]
    assert counts == [1, 0]


def test_no_interpreter_is_said_with_what_to_type(backend, micro, monkeypatch):
    monkeypatch.setattr("edgeopt_tflite.micro.arena.find_spec", lambda _: None)
    lowered = backend.lower(program_of("residual", "int8"), micro)
    with pytest.raises(PluginError, match=re.escape(install_command("tflite-micro"))):
        backend.compile(lowered, CompileOptions())


def test_a_file_that_tflm_cannot_run_says_what_it_said(compiled):
    other = compiled(torch.atan2, IMAGE, IMAGE).artifact.files["model.tflite"]
    with pytest.raises(CompileError, match="Didn't find op for builtin opcode"):
        measure_arena(other)


def test_a_microcontroller_has_no_wheels(backend, micro):
    runtime = backend.device_runtime(micro)
    assert (runtime.name, runtime.wheels) == ("TFLite for Micro", ())
