"""A program as ONNX: checked, the same numbers, integers, and read by others."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import numpy as np
import pytest

import edgeopt
from edgeopt.errors import PluginError, UnsupportedError
from edgeopt.gate.parity import check_parity, run_all
from edgeopt.installation import install_command
from edgeopt.interchange.onnx import export_onnx
from edgeopt.ir import ReferenceRunner, capture_module
from edgeopt.passes import PassSpec, run_core, run_passes
from edgeopt.registry import find_target
from edgeopt.testing.specimens import SPECIMENS, specimen

pytestmark = pytest.mark.slow

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


class Session:
    """ONNX Runtime as a runner."""

    def __init__(self, path, optimized=None):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if optimized is not None:
            options.optimized_model_filepath = str(optimized)
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, *inputs):
        names = [i.name for i in self.session.get_inputs()]
        results = self.session.run(None, dict(zip(names, inputs, strict=True)))
        return tuple(results) if len(results) > 1 else results[0]


def made(name, precision):
    held = specimen(name)
    data = [tuple(sample) for sample in held.samples]
    bits = find_target("host").quantization.weight_bits  # other runtimes' products may saturate
    settings = {"precision": precision, "weight_bits": bits}
    program = edgeopt.quantize(held.model, data, example_inputs=held.samples[0], **settings)
    return program, [tuple(t.numpy() for t in sample) for sample in held.samples]


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("name", SPECIMENS)
def test_onnx_runtime_gives_the_numbers_of_the_reference(tmp_path, name, precision):
    program, samples = made(name, precision)
    session = Session(export_onnx(program, tmp_path / "model.onnx"))
    parity = check_parity(session, program, samples, run_all(ReferenceRunner(program), samples))
    assert parity.ok, str(parity)


def test_it_runs_as_integers(tmp_path):
    program, _ = made("residual", "int8")
    optimized = tmp_path / "optimized.onnx"
    Session(export_onnx(program, tmp_path / "model.onnx"), optimized)
    kinds = [node.op_type for node in onnx.load(optimized).graph.node]
    convolutions = sum(
        n.target.__name__ == "conv2d.default"
        for n in program.graph.nodes
        if n.op == "call_function"
    )
    assert kinds.count("QLinearConv") == convolutions
    assert "Conv" not in kinds


def test_the_file_holds_integers_and_no_trace_of_this_machine(tmp_path):
    program, _ = made("residual", "int8")
    content = export_onnx(program, tmp_path / "model.onnx").read_bytes()
    model = onnx.load_from_string(content)
    stored = {i.name: i.data_type for i in model.graph.initializer}
    weights = [t for n, t in stored.items() if n.endswith("weight_integers")]
    assert weights
    assert set(weights) == {onnx.TensorProto.INT8}
    assert str(tmp_path.home()).encode() not in content
    assert not any(node.metadata_props for node in model.graph.node)


def test_the_same_program_gives_the_same_bytes(tmp_path):
    program, _ = made("residual", "int8")
    one = export_onnx(program, tmp_path / "one.onnx").read_bytes()
    assert export_onnx(program, tmp_path / "two.onnx").read_bytes() == one


def test_openvino_reads_it(tmp_path):
    openvino = pytest.importorskip("openvino")
    program, samples = made("residual", "int8")
    path = export_onnx(program, tmp_path / "model.onnx")
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    expected = ReferenceRunner(program)(*samples[0])
    got = compiled(samples[0])[0]
    cosine = (expected * got).sum() / np.linalg.norm(expected) / np.linalg.norm(got)
    assert cosine > 0.999


@pytest.mark.slow
def test_tvm_reads_it(tmp_path):
    """In a process of its own: TVM and torch each bring an LLVM."""
    if importlib.util.find_spec("tvm") is None:
        pytest.skip("NOT TESTED WITH TVM: pip install apache-tvm")
    program, samples = made("residual", "int8")
    export_onnx(program, tmp_path / "model.onnx")
    np.save(tmp_path / "x.npy", samples[0][0])
    script = (
        "import sys, numpy, onnx, tvm\n"
        "from tvm.relax.frontend.onnx import from_onnx\n"
        "module = from_onnx(onnx.load(sys.argv[1]), keep_params_in_input=False)\n"
        "machine = tvm.relax.VirtualMachine(tvm.compile(module, 'llvm'), tvm.cpu())\n"
        "y = machine['main'](tvm.runtime.tensor(numpy.load(sys.argv[2])))\n"
        "numpy.save(sys.argv[3], (y if hasattr(y, 'numpy') else y[0]).numpy())\n"
    )
    names = [str(tmp_path / n) for n in ("model.onnx", "x.npy", "y.npy")]
    subprocess.run([sys.executable, "-W", "ignore", "-c", script, *names], check=True, timeout=300)
    expected = ReferenceRunner(program)(*samples[0])
    got = np.load(tmp_path / "y.npy")
    cosine = (expected * got).sum() / np.linalg.norm(expected) / np.linalg.norm(got)
    assert cosine > 0.999


def test_the_inserted_grids_give_the_same_numbers():
    program, samples = made("branches", "int8")
    expected = ReferenceRunner(program)(*samples[0])
    for unsigned in (False, True):
        decomposed = run_passes(program, (PassSpec("insert_quantize", {"unsigned": unsigned}),))
        assert not decomposed.quant
        np.testing.assert_allclose(ReferenceRunner(decomposed)(*samples[0]), expected, atol=1e-4)


def test_an_operator_without_a_counterpart_is_refused(tmp_path):
    import torch

    class Odd(torch.nn.Module):
        def forward(self, x):
            return torch.ops.aten.histc.default(x, 4)

    program = run_core(capture_module(Odd().eval(), torch.zeros(8)))
    target = tmp_path / "model.onnx"
    with pytest.raises(UnsupportedError, match="histc"):
        export_onnx(program, target)
    assert list(tmp_path.iterdir()) == []


def test_without_onnx_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    program, _ = made("residual", "float32")
    with pytest.raises(PluginError, match=re.escape(install_command("onnx"))):
        export_onnx(program, tmp_path / "model.onnx")


def test_recurrent_layers_are_operators_of_their_own(tmp_path):
    import torch
    from torch import nn

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(3, 4, 2, batch_first=True)
            self.gru, self.head = nn.GRU(4, 5, batch_first=True), nn.Linear(5, 2)

        def forward(self, x):
            return self.head(self.gru(self.lstm(x)[0])[0])

    torch.manual_seed(0)
    samples = [torch.randn(1, 6, 3) for _ in range(4)]
    program = run_core(capture_module(Recurrent().eval(), (samples[0],)))
    for exported in (program, edgeopt.quantize(program, samples)):
        path = export_onnx(exported, tmp_path / "recurrent.onnx")
        kinds = [node.op_type for node in onnx.load(path).graph.node]
        assert (kinds.count("LSTM"), kinds.count("GRU")) == (2, 1)
        want = ReferenceRunner(exported)(samples[1].numpy())
        step = float(exported.quant[exported.output_names[0]].scale[0]) if exported.quant else 0.0
        assert np.abs(Session(path)(samples[1].numpy()) - want).max() <= step + 1e-5
