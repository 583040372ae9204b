"""Artefacts: the same bytes everywhere, names of the program, inputs and outputs of every kind."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.errors import UnsupportedError
from edgeopt.ir import capture_module
from edgeopt.lowering import RuleTable
from edgeopt.lowering.frontend import OperatorImporter
from edgeopt.options import CompileOptions
from edgeopt.passes import run_core
from edgeopt.registry.target_registry import find_target
from edgeopt_openvino import OpenVINOBackend, emitter, frontend

SAME = """
import hashlib, torch
from edgeopt.options import CompileOptions
from edgeopt.ir import capture_module
from edgeopt.passes import run_core
from edgeopt.registry.target_registry import find_target
from edgeopt_openvino import OpenVINOBackend
torch.manual_seed(0)
class M(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.c = torch.nn.Conv2d(3, 4, 3)
    def forward(self, x):
        return self.c(x).relu().cumsum(1), torch.linalg.vector_norm(x, dim=1)
p = run_core(capture_module(M().eval(), (torch.zeros(1, 3, 8, 8),)))
t = find_target("generic-x86-64-v3")
extra = {extra}
for _ in range(extra):
    OpenVINOBackend().compile(OpenVINOBackend().lower(p, t), CompileOptions())
a = OpenVINOBackend().compile(OpenVINOBackend().lower(p, t), CompileOptions())
print(hashlib.sha256(b"".join(a.files[k] for k in sorted(a.files))).hexdigest())
"""


def digest(extra):
    code = SAME.replace("{extra}", str(extra))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.split()[-1]


def test_another_process_writes_the_same_bytes_whatever_it_did_before():
    assert digest(0) == digest(2)


def test_files_hold_no_path_or_date_of_this_machine(make, tmp_path):
    made = make(nn.Linear(4, 4), torch.randn(1, 4), precision="float32")
    text = made.artifact.files["model.xml"].decode()
    for trace in (str(tmp_path.home()), tempfile.gettempdir(), "202", "Runtime_version"):
        assert trace not in text.replace('"version"', "")


def test_operators_are_named_after_the_values_of_the_program(make):
    made = make(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), torch.randn(1, 3, 8, 8), precision="float32"
    )
    names = {node.name for node in made.program.graph.nodes}
    assert set(made.artifact.origins.values()) <= names
    assert made.artifact.origins["relu"] == "relu"
    assert made.artifact.operators["Convolution"] == 1


def test_several_inputs_and_outputs_of_all_dtypes(make):
    class Many(nn.Module):
        def forward(self, x, ids, mask, unused):
            masked = torch.where(mask, x, x * 2)
            return {
                "big": masked.sum(1),
                "which": masked.argmax(1),
                "small": masked < 0,
                "ids": ids + 1,
            }

    made = make(
        Many(), torch.randn(2, 5), torch.zeros(2, 5, dtype=torch.int64),
        torch.zeros(2, 5, dtype=torch.bool), torch.randn(3), precision="float32",
    )  # fmt: skip
    for wanted, got in made.pairs():
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_an_input_that_is_an_output_and_a_scalar_one(make):
    class Through(nn.Module):
        def forward(self, x, factor):
            return x, x * factor, factor

    made = make(Through(), torch.randn(2, 3), torch.tensor(2.0), precision="float32")
    for wanted, got in made.pairs():
        assert got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted)


def test_inputs_are_not_written_to_and_outputs_are_the_callers(make):
    made = make(nn.Conv2d(3, 4, 3), torch.randn(1, 3, 8, 8))
    (x,), (other,) = made.samples[:2]
    before, first = x.copy(), made.runner(x)
    held = first.copy()
    made.runner(other)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(first, held)
    frozen = x.copy()
    frozen.setflags(write=False)
    np.testing.assert_array_equal(made.runner(frozen), held)


def test_a_read_only_float_input_is_taken(make):
    made = make(nn.Linear(4, 4), torch.randn(1, 4), precision="float32")
    frozen = made.samples[0][0].copy()
    frozen.setflags(write=False)
    np.testing.assert_array_equal(made.runner(frozen), made.runner(made.samples[0][0]))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_float_types_are_taken(make, dtype):
    class Half(nn.Module):
        def forward(self, x):
            return (x * 2 + 1).relu()

    made = make(Half(), torch.randn(2, 3).to(dtype), precision="float32", count=0)
    x = torch.randn(2, 3).to(dtype)
    got = made.runner(x.numpy())
    assert got.dtype == x.numpy().dtype
    np.testing.assert_allclose(got, ((x * 2 + 1).relu()).numpy(), rtol=1e-3)


def test_what_openvino_lacks_is_refused_with_its_line():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.special.bessel_j0(x)

    program = run_core(capture_module(Odd().eval(), (torch.ones(3),)))
    backend, target = OpenVINOBackend(), find_target("generic-x86-64-v3")
    (bad,) = backend.support(program, target).unsupported
    assert "bessel_j0" in bad.operator
    assert bad.source.startswith("test_artifact.py:")
    with pytest.raises(UnsupportedError, match="bessel_j0") as caught:
        backend.compile(backend.lower(program, target), CompileOptions())
    assert caught.value.report.unsupported == (bad,)


def test_what_openvino_refuses_after_all_is_named(monkeypatch):
    class Plain(nn.Module):
        def forward(self, x):
            return x.relu() + 1

    program = run_core(capture_module(Plain().eval(), (torch.ones(3),)))

    broken = RuleTable("OpenVINO")

    @broken(torch.ops.aten.relu.default)
    def _relu(*_):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(emitter.Emitter, "rules", broken)
    lowered = OpenVINOBackend().lower(program, find_target("generic-x86-64-v3"))
    (bad,) = lowered.support.unsupported
    assert bad.reason == "OpenVINO failed on it: no such kernel"
    assert bad.source.startswith("test_artifact.py:")
    with pytest.raises(UnsupportedError, match=r"aten\.relu\.default .*no such kernel"):
        OpenVINOBackend().compile(lowered, CompileOptions())


def test_damaged_bytes_are_a_device_error(make):
    import msgspec

    from edgeopt.errors import DeviceError

    made = make(nn.Linear(4, 4), torch.randn(1, 4), precision="float32")
    files = {**made.artifact.files, "model.xml": b"<net"}
    with pytest.raises(DeviceError):
        OpenVINOBackend().load(msgspec.structs.replace(made.artifact, files=files))


def test_the_digest_of_files_is_that_of_the_same_program(make):
    model = nn.Linear(4, 4)
    one, two = (make(model, torch.randn(1, 4), precision="float32") for _ in range(2))
    assert (
        hashlib.sha256(one.artifact.files["model.bin"]).digest()
        == hashlib.sha256(two.artifact.files["model.bin"]).digest()
    )
    assert one.artifact.files["model.xml"] == two.artifact.files["model.xml"]


def test_support_and_compile_agree_where_only_the_arguments_are_refused(monkeypatch):
    class Sampled(nn.Module):
        def forward(self, x):
            places = x.mean((1, 2, 3)).view(1, 1, 1, 1).expand(1, 2, 2, 2)
            return nn.functional.grid_sample(x, places, align_corners=False).relu()

    program = run_core(capture_module(Sampled().eval(), (torch.ones(1, 1, 4, 4),)))
    backend, target = OpenVINOBackend(), find_target("generic-x86-64-v3")

    def none(*_):
        raise RuntimeError("none")

    monkeypatch.setattr(frontend, "_importer", lambda: OperatorImporter("OpenVINO", none))
    (bad,) = backend.support(program, target).unsupported
    assert bad.operator == "aten.grid_sampler.default"
    with pytest.raises(UnsupportedError):
        backend.compile(backend.lower(program, target), CompileOptions())


@pytest.mark.parametrize(
    "function",
    [
        lambda x: nn.functional.elu(x, 0.7).cumsum(1),
        lambda x: torch.roll(x, 3),
        lambda x: torch.topk(x, 2, dim=1)[0],
        lambda x: torch.sort(x, dim=1)[1],
        lambda x: nn.functional.interpolate(x, scale_factor=1.7, mode="bilinear"),
        lambda x: nn.functional.interpolate(x, size=(7, 5), mode="nearest"),
        lambda x: nn.functional.interpolate(x, size=(7, 5), mode="bilinear", align_corners=True),
        lambda x: torch.linalg.vector_norm(x, dim=1),
        nn.functional.selu,
        lambda x: x.to(torch.int32).to(torch.float32) + (x > 0.5),
        lambda x: torch.cat([x[:, :1], x[..., ::2, :].repeat(1, 1, 2, 1)], 1),
        lambda x: x.abs().sqrt() + x.exp().log() + x.square().rsqrt().clamp(max=3),
        lambda x: torch.where(x.logical_not() | (x > 1), x.floor(), x.ceil() % 3),
        lambda x: x.amax(1) - x.amin((1, 2)).unsqueeze(1) + x.sum(),
        lambda x: torch.nn.functional.pad(x, (1, -1, 2, 0), value=1.5),
        lambda x: torch.einsum("nchw,ncwk->nchk", x, x.transpose(2, 3)),
    ],
)  # fmt: skip
def test_operators_beyond_networks(make, function):
    class Calls(nn.Module):
        def forward(self, x):
            return function(x)

    made = make(Calls(), torch.randn(1, 3, 4, 6), precision="float32", count=2)
    for wanted, got in made.pairs():
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_real_functions_of_integers_are_real(make):
    def several(x):
        return x.tanh(), x.sigmoid(), x.reciprocal(), x.rsqrt()

    class Several(nn.Module):
        def forward(self, x):
            return several(x)

    numbers = torch.tensor([1, 2, 3])
    made = make(Several(), numbers, precision="float32", count=1)
    for wanted, got in zip(several(numbers), made.runner(numbers.numpy()), strict=True):
        np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-6)


@pytest.mark.parametrize("module", ["edgeopt_openvino", "edgeopt_openvino.device.runtime"])
def test_openvino_reports_nothing_over_the_network(module):
    code = f"import {module}, openvino.tools.ovc.convert_impl as c; print(c.tm.__name__)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["openvino.tools.ovc.telemetry_stub"]
