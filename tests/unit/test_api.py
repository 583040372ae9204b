"""What `import edgeopt` offers, and what it costs."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import edgeopt
from edgeopt.errors import CalibrationError, GateError, InputError, PluginError, TargetError
from edgeopt.ir import ReferenceRunner
from edgeopt.reference_backend import ReferenceBackend
from edgeopt.testing.specimens import float_program, program_of, specimen

HEAVY = ("torch", "numpy", "openvino", "tvm", "onnx", "ai_edge_litert", "rich", "typer")


def test_importing_loads_nothing_heavy():
    code = (
        "import sys, time; start = time.perf_counter(); import edgeopt; "
        "taken = time.perf_counter() - start; edgeopt.backends(); edgeopt.targets(); "
        "import json; print(json.dumps([taken, sorted(sys.modules)]))"
    )
    best = float("inf")
    for _ in range(3):
        out = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        seconds, modules = json.loads(out.stdout)
        best = min(best, seconds)
        assert not set(HEAVY) & set(modules)
    assert best < 0.5  # 0.15 on an idle machine: benchmarks/startup.py


def test_every_public_name_is_there_and_documented():
    for name in edgeopt.__all__:
        assert inspect.getdoc(getattr(edgeopt, name)), name
    assert set(edgeopt.__all__) <= set(dir(edgeopt))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="deplyo"):
        edgeopt.deplyo  # noqa: B018 (asking is the test)


def test_the_signatures_others_rely_on():
    deploy = inspect.signature(edgeopt.deploy).parameters
    assert list(deploy)[:2] == ["model", "target"]
    for name, default in {
        "example_inputs": None,
        "calibration_data": None,
        "evaluate": None,
        "max_drop": None,
        "precision": "auto",
        "backend": "auto",
        "device": None,
        "output": None,
    }.items():
        assert deploy[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert deploy[name].default == default
    assert list(inspect.signature(edgeopt.capture).parameters) == ["model", "example_inputs"]
    assert inspect.signature(edgeopt.profile).parameters["device"].default == "local"


def test_capture_quantize_reference():
    held = specimen("residual")
    program = edgeopt.capture(held.model, held.example)
    assert program.digest == float_program("residual").digest
    assert "batch_norm" not in program.text
    quantized = edgeopt.quantize(held.model, held.samples, example_inputs=held.example)
    assert quantized.digest == edgeopt.quantize(program, held.samples).digest
    x = held.example[0].numpy()
    got, wanted = edgeopt.reference(quantized)(x), edgeopt.reference(program)(x)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() < 0.1


def test_quantize_takes_settings_or_a_config():
    program, data = float_program("perceptron"), specimen("perceptron").samples
    config = edgeopt.QuantizationConfig(rounding="nearest")
    by_config = edgeopt.quantize(program, data, config=config)
    assert by_config.digest == edgeopt.quantize(program, data, rounding="nearest").digest
    with pytest.raises(InputError, match="both"):
        edgeopt.quantize(program, data, config=config, rounding="nearest")
    with pytest.raises(InputError, match=r"expected one of the fields .*, got .round."):
        edgeopt.quantize(program, data, round="nearest")


def test_quantize_without_data():
    program = float_program("perceptron")
    assert edgeopt.quantize(program, precision="int8-dynamic").precision == "int8-dynamic"
    assert edgeopt.quantize(program, precision="float16").precision == "float16"
    with pytest.raises(CalibrationError, match="none is ever invented"):
        edgeopt.quantize(program)


def test_compile_and_load(tmp_path):
    held = specimen("two_by_two")
    bundle = edgeopt.compile(
        program_of("two_by_two", "int8"),
        "host",
        backend="reference",
        output=tmp_path / "bundle",
        samples=held.samples,
    )
    assert bundle.manifest.precision == "int8"
    assert len(bundle.golden().inputs) == 4
    runner = edgeopt.load(tmp_path / "bundle")
    outputs = runner(*(t.numpy() for t in held.example))
    assert isinstance(outputs, tuple)
    assert not bundle.golden().differences(edgeopt.load(bundle))


def test_compile_refuses_what_is_no_program():
    with pytest.raises(InputError, match=r"edgeopt\.capture"):
        edgeopt.compile(torch.nn.Linear(2, 2), "host", backend="reference")


def test_compile_refuses_an_output_that_exists(tmp_path):
    (tmp_path / "bundle").mkdir()
    with pytest.raises(InputError, match="something lies there"):
        edgeopt.compile(
            float_program("perceptron"), "host", backend="reference", output=tmp_path / "bundle"
        )


def test_load_without_the_backend_says_what_to_type(tmp_path, monkeypatch):
    edgeopt.compile(
        float_program("perceptron"), "host", backend="reference", output=tmp_path / "bundle"
    )
    from edgeopt.registry import plugins

    monkeypatch.setattr(plugins, "DEFAULT_GROUP", "edgeopt.nothing")
    with pytest.raises(PluginError, match="reference"):
        edgeopt.load(tmp_path / "bundle")


def test_load_says_where_nothing_lies(tmp_path):
    with pytest.raises(InputError, match="no such bundle"):
        edgeopt.load(tmp_path / "none")


def test_targets_and_backends():
    assert edgeopt.targets()["rpi4"].cpu.model == "Cortex-A72"
    assert "reference" in edgeopt.backends()


def test_export_names_its_formats(tmp_path):
    with pytest.raises(InputError, match="formats: onnx"):
        edgeopt.export(float_program("perceptron"), tmp_path / "x", format="caffe")


def test_unknown_targets_suggest_the_nearest():
    with pytest.raises(TargetError, match="rpi4"):
        edgeopt.compile(float_program("perceptron"), "rp4", backend="reference")


class Negated(ReferenceRunner):
    """An artefact that computes something else than its program."""

    def __call__(self, *inputs):
        return tuple(-one for one in super().__call__(*inputs))


def test_compile_refuses_what_does_not_compute_its_program(tmp_path, monkeypatch):
    samples, program = specimen("two_by_two").samples, program_of("two_by_two", "int8")
    monkeypatch.setattr(ReferenceBackend, "load", lambda *_, **__: Negated(program))
    with pytest.raises(GateError, match="does not compute what the program does"):
        edgeopt.compile(
            program, "host", backend="reference", output=tmp_path / "b", samples=samples
        )
    assert not (tmp_path / "b").exists()
