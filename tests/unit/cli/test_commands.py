"""The commands, each run as a process: output, JSON, exit status."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from edgeopt.bundles import GoldenSamples, Tolerance, write_bundle
from edgeopt.cli.guard import EXIT_CODES, exit_code
from edgeopt.errors import BundleError, DeviceError, GateError, InputError, PluginError
from edgeopt.options import CompileOptions
from edgeopt.reference_backend import ReferenceBackend
from edgeopt.registry import find_target
from edgeopt.testing.specimens import float_program, specimen

pytestmark = pytest.mark.slow

DEPLOY = ("deploy", "toy_models:make", "-t", "host", "-b", "reference")


@pytest.fixture
def bundle(edgeopt, folder):
    """Returns the name of a bundle in the current folder."""
    done = edgeopt(*DEPLOY, "-o", "bundle")
    assert done.returncode == 0, done.stderr
    return "bundle"


def test_help_lists_every_command_and_status(edgeopt):
    done = edgeopt("--help")
    assert done.returncode == 0
    for name in [
        "deploy",
        "plan",
        "targets",
        "backends",
        "inspect",
        "verify",
        "profile",
        "export",
        "doctor",
    ]:
        assert re.search(rf"\b{name}\b", done.stdout)
    flat = " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.stdout).split())
    for code, meaning in EXIT_CODES.items():
        assert f"{code} {meaning}" in flat


def test_version(edgeopt):
    import edgeopt as package

    assert edgeopt("--version").stdout.strip() == package.__version__


def test_deploy_writes_a_bundle_and_prints_a_table(process, folder):
    done = process(*DEPLOY, "-o", "bundle")
    assert done.returncode == 0, done.stderr
    names = [line.split()[0] for line in done.stdout.splitlines() if line.strip()]
    for name in ("target", "backend", "precision", "size", "agreement", "parity", "bundle"):
        assert name in names
    assert done.stderr == ""
    assert (folder / "bundle" / "manifest.json").is_file()


def test_deploy_as_json(edgeopt, folder):
    done = edgeopt(*DEPLOY, "-o", "bundle.zip", "--json", "--max-drop", "0.5")
    found = json.loads(done.stdout)
    assert found["precision"] == "int8"
    assert found["accuracy"]["kind"] == "agreement"
    assert found["bundle"] == "bundle.zip"
    assert (folder / "bundle.zip").is_file()


def test_dry_run_prints_the_plan_and_writes_nothing(edgeopt, folder):
    done = edgeopt(*DEPLOY, "-o", "bundle", "--dry-run")
    assert done.returncode == 0
    assert "fold_batch_norm" in done.stdout
    assert "bundle" in done.stdout
    assert not (folder / "bundle").exists()


def test_plan_with_and_without_a_model(edgeopt):
    with_model = edgeopt("plan", "toy_models:make", "-t", "host", "-b", "reference", "--json")
    plan = json.loads(with_model.stdout)
    assert plan["precision"] == "int8"
    assert plan["candidates"] == [
        {"backend": "reference", "chosen": True, "reason": "asked for"},
    ]
    without = edgeopt("plan", "-t", "host", "-b", "reference")
    assert without.returncode == 0
    assert "operators were not checked" in without.stdout


def test_ram_over_time_is_drawn_also_where_it_does_not_fit(edgeopt, folder):
    words = ("plan", "toy_models:make", "-t", "pico2", "-b", "micro", "--picture", "ram.svg")
    for more, code in (((), 0), (("--max-ram-kb", "1"), 1)):
        assert edgeopt(*words, *more).returncode == code
        assert "fullest at" in (folder / "ram.svg").read_text()
        (folder / "ram.svg").unlink()
    unknown = edgeopt(*words[:3], "host", "-b", "reference", *words[6:])
    assert (unknown.returncode, "of RAM is not known" in unknown.stderr) == (2, True)


def test_settings_reach_the_quantization(edgeopt):
    done = edgeopt(
        *DEPLOY, "-o", "b", "--dry-run", "--json", "-s", "rounding=nearest", "-s", "max_samples=7"
    )
    plan = json.loads(done.stdout)
    assert plan["quantization"]["rounding"] == "nearest"
    assert plan["quantization"]["max_samples"] == 7


def test_inspect_a_bundle_and_a_program(edgeopt, bundle):
    text = edgeopt("inspect", bundle).stdout
    assert re.search(r"^input +x float32\[1, 3, 16, 16\]$", text, re.MULTILINE)
    held = json.loads(edgeopt("inspect", bundle, "--json").stdout)
    assert held["manifest"]["backend"] == "reference"
    assert held["report"]["parity"]["ok"]
    assert edgeopt("inspect", "toy_models:make", "--text").stdout.startswith("program float32\n")
    assert "aten.conv2d.default" in edgeopt("inspect", "toy_models:make").stdout


def test_verify_says_what_it_checked(edgeopt, bundle):
    done = edgeopt("verify", bundle, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert found["ok"]
    assert found["golden_samples"] > 0


def test_verify_finds_one_changed_byte(edgeopt, bundle, folder):
    path = folder / bundle / "model" / "program.zip"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = edgeopt("verify", bundle)
    assert done.returncode == 1
    assert "model/program.zip" in done.stderr
    assert "Traceback" not in done.stderr


def test_verify_fails_where_golden_samples_differ(edgeopt, folder):
    """A whole bundle whose runtime computes something else than when it was made."""
    backend, target, program = ReferenceBackend(), find_target("host"), float_program("perceptron")
    artifact = backend.compile(backend.lower(program, target), CompileOptions())
    x = [specimen("perceptron").example[0].numpy()]
    golden = GoldenSamples.of([x], [[np.full((1, 5), 9, np.float32)]], Tolerance(atol=0.1))
    write_bundle(artifact, backend.device_runtime(target), target, path="odd", golden=golden)
    done = edgeopt("verify", "odd")
    assert done.returncode == 1
    assert "out of tolerance" in done.stdout
    assert "golden sample 0" in done.stdout


def test_export_a_program_archive(edgeopt, folder):
    words = ("export", "toy_models:make", "-f", "program", "-p", "int8", "-o", "program.zip")
    done = edgeopt(*words, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["precision"] == "int8"
    assert "int8" in edgeopt("inspect", "program.zip").stdout
    assert edgeopt(*words).returncode == 2


def test_targets_in_columns_and_one_in_full(edgeopt):
    lines = edgeopt("targets").stdout.splitlines()
    assert lines[0].split()[:2] == ["target", "device"]
    assert any(line.startswith("rpi4 ") for line in lines)
    one = edgeopt("targets", "raspberry-pi-4").stdout
    assert "Cortex-A72" in one
    assert "source" in one
    micro = edgeopt("targets", "pico2").stdout
    assert "SRAM0-7: 512 KiB of ram at 0x20000000" in micro
    assert "4096 KiB flash, 516 KiB RAM" in micro
    assert {t["name"] for t in json.loads(edgeopt("targets", "--json").stdout)} >= {"rpi4", "host"}


def test_backends_name_the_reference(edgeopt):
    table = json.loads(edgeopt("backends", "--json").stdout)
    assert {"name": "reference", "ready": True}.items() <= next(
        b for b in table if b["name"] == "reference"
    ).items()
    assert "reference" in edgeopt("backends").stdout


def test_doctor_says_what_to_type(edgeopt):
    done = edgeopt("doctor", "--json")
    found = {c["name"]: c for c in json.loads(done.stdout)}
    assert found["torch"]["status"] == "ok"
    assert "this machine" in found
    assert all(c["fix"] for c in found.values() if c["status"] == "missing")
    usable = any(c["kind"] == "backend" and c["status"] == "ok" for c in found.values())
    assert done.returncode == (0 if usable else 3)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("deploy", "toy_models:make"), 2, "--target"),
        (("deploy", "toy_models:make", "-t", "rpi44"), 2, 'did you mean "rpi4"'),
        (("deploy", "toy_models:mkae", "-t", "host"), 2, 'did you mean "make"'),
        (("deploy", "toy_models:bare", "-t", "host", "-b", "reference"), 2, "example_inputs"),
        (("deploy", "toy_models:make", "-t", "host", "-b", "tensorrt"), 3, "installed"),
        ((*DEPLOY, "-p", "int9"), 2, 'did you mean "int4-dynamic", "int8"'),
        ((*DEPLOY, "-s", "rounding"), 2, "NAME=VALUE"),
        ((*DEPLOY, "-s", "roundng=nearest", "-o", "b"), 2, "roundng"),
        ((*DEPLOY, "-d", "toaster", "-o", "b"), 4, "toaster"),
        ((*DEPLOY, "-c", "photos", "-o", "b"), 2, "no calibration data"),
        (("deploy", "toy_models:make", "-t", "rpi4", "-b", "reference"), 2, "torch"),
        (("inspect", "nowhere"), 2, "nowhere"),
        (("verify", "nowhere"), 2, "no such bundle"),
        (("targets", "toaster"), 2, "toaster"),
        (("targets", "esp32-s3"), 2, "Xtensa"),
        (("plan", "-t", "rpi4", "--max-ram-kb", "9"), 2, "rpi4 is no microcontroller"),
        (("plan", "-t", "pico2", "-b", "tvm"), 2, "needs an operating system"),
        (("export", "toy_models:make", "-o", "x", "-f", "caffe"), 2, "caffe"),
    ],
)
def test_errors_are_messages_with_a_status(edgeopt, words, code, says):
    done = edgeopt(*words)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_gate_that_fails_is_status_1_with_a_diagnosis(edgeopt, folder):
    words = ("--evaluate", "toy_models:bad_score", "--max-drop", "0.1", "-p", "int8", "-o", "b")
    done = edgeopt(*DEPLOY, *words)
    assert done.returncode == 1
    assert "outside --max-drop" in done.stderr
    assert "try:" in done.stderr
    assert not (folder / "b").exists()
    failed = json.loads(edgeopt(*DEPLOY, *words, "--json").stdout)["error"]
    assert failed["type"] == "GateError"
    assert failed["deployment"]["accuracy"]["drop"] == 1.0


def test_an_output_that_exists_is_kept_unless_told(edgeopt, folder):
    (folder / "taken").mkdir()
    (folder / "taken" / "file").write_text("mine")
    done = edgeopt(*DEPLOY, "-o", "taken")
    assert done.returncode == 2
    assert (folder / "taken" / "file").read_text() == "mine"


def test_debug_shows_the_traceback(edgeopt, monkeypatch):
    monkeypatch.setenv("EDGEOPT_DEBUG", "")
    done = edgeopt("--debug", "inspect", "nowhere")
    assert done.returncode != 0
    assert isinstance(done.exception, InputError)


def test_an_error_is_a_message_in_a_process_too(process):
    done = process("inspect", "nowhere")
    assert done.returncode == 2
    assert done.stderr.startswith("error: nowhere: no such file")
    assert "Traceback" not in done.stderr


def test_a_defect_is_reported_as_such(edgeopt, monkeypatch):
    assert exit_code(RuntimeError("x")) == 70
    assert exit_code(KeyError("x")) == 70


@pytest.mark.parametrize(
    ("error", "code"),
    [(GateError, 1), (BundleError, 1), (InputError, 2), (PluginError, 3), (DeviceError, 4)],
)
def test_each_error_has_its_status(error, code):
    assert exit_code(error("x")) == code


def test_a_closed_pipe_is_no_error(folder):
    command = f"{sys.executable} -c 'from edgeopt.cli.main import run; run()' targets | head -1"
    shell = ["/bin/bash", "-c", f"set -o pipefail; {command}"]
    done = subprocess.run(shell, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
