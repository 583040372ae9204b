"""The file for Ethos-U, by the real Vela: beside the CPU's file, with Vela's estimates named as such."""

import re

import msgspec
import pytest

from edgeopt.errors import CompileError, PluginError
from edgeopt.installation import install_command
from edgeopt.options import CompileOptions
from edgeopt.registry.target_registry import find_target
from edgeopt.testing.specimens import program_of
from edgeopt_tflite import TFLiteBackend
from edgeopt_tflite.ethos_u import NPU_ENTRY

pytest.importorskip("ethosu", reason="needs ethos-u-vela")


def artifact(name, target, precision="int8"):
    backend = TFLiteBackend()
    lowered = backend.lower(program_of(name, precision), find_target(target))
    return backend.compile(lowered, CompileOptions())


def test_the_processor_runs_convolutions_and_what_it_leaves_is_named():
    made = artifact("squeeze", "imx93")
    facts = made.metadata["ethos_u"]
    assert facts["processor"] == "ethos-u65-256"
    assert made.entry == "model.tflite"
    assert b"ethos-u" in made.files[NPU_ENTRY]
    assert b"ethos-u" not in made.files[made.entry]
    assert not [row for row in facts["on_cpu"] if "CONV" in row["operator"]]
    assert all(row["tensor"] for row in facts["on_cpu"])
    estimates = facts["estimates"]
    assert estimates["by"] == "Vela, without the device"
    assert estimates["cycles"] > 0
    assert estimates["multiply_accumulates"] > 10_000


def test_a_microcontroller_gets_both_and_a_float_model_only_its_own():
    made = artifact("residual", "corstone-300-u55")
    assert {NPU_ENTRY, "model_data.cc", "model.tflite"} <= made.files.keys()
    assert made.metadata["ethos_u"]["on_cpu"] == []
    assert NPU_ENTRY not in artifact("residual", "imx93", "float32").files


def test_the_same_file_comes_out_twice():
    assert artifact("residual", "imx93").files == artifact("residual", "imx93").files


def test_a_missing_vela_is_said_with_what_to_type(monkeypatch):
    monkeypatch.setattr("edgeopt_tflite.ethos_u.find_spec", lambda _: None)
    with pytest.raises(PluginError, match=re.escape(install_command("ethos-u"))):
        artifact("residual", "imx93")


def test_a_system_that_vela_does_not_know_is_its_error():
    target = find_target("imx93")
    npu = msgspec.structs.replace(target.npu, system="Ethos_U99")
    target = msgspec.structs.replace(target, npu=npu)
    backend = TFLiteBackend()
    lowered = backend.lower(program_of("residual", "int8"), target)
    with pytest.raises(CompileError, match=r"Vela failed: .*Ethos_U99"):
        backend.compile(lowered, CompileOptions())
