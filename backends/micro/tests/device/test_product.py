"""Bundles on microcontrollers: verified, run and measured as on any device."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from serial_port import emulated_port, scripted_port
from tiny import DIGEST, OTHER_DIGEST, artifact_of, expected, laid_out, sample, target_of
from typer.testing import CliRunner

from edgeopt.cli.main import app
from edgeopt.deployment.on_device import opened, operators_on, placed, verify_on
from edgeopt.devices import find_device
from edgeopt.devices.board import EmulatedBoard, SerialBoard
from edgeopt.errors import DeviceError
from edgeopt.measure import OperatorCounts, PlacedBundle
from edgeopt.measure.record import make_record

QEMU = pytest.mark.qemu


@QEMU
def test_emulated_means_the_targets_own_core(m3, bundle_of):
    bundle = bundle_of(m3)
    with placed(bundle, "emulated") as there:
        assert there.device.name == "emulated:mps2-an385"
        assert there.device.emulated
        assert there.verify().ok
        inputs = [sample(seed) for seed in range(3)]
        for x, outputs in zip(inputs, there.run(inputs), strict=True):
            assert [o.tobytes() for o in outputs] == [o.tobytes() for o in expected(*x)]
        profile = there.profile()
    assert (profile.label, profile.latency, profile.samples_ns) == ("emulated", None, ())
    assert profile.instructions > 3 * 2 * 750
    assert profile.runs == 3
    assert f"{profile.instructions} instructions a call" in str(profile)
    assert profile.facts["device"] == {"board": "QEMU mps2-an385", "cores": 1}
    assert profile.facts["runtime"]["digest"] == DIGEST
    assert make_record(bundle, profile) is None  # no time to keep


@QEMU
def test_steps_are_counted(m3, bundle_of):
    counts = operators_on(bundle_of(m3), "emulated")
    assert isinstance(counts, OperatorCounts)
    assert (counts.unit, counts.per_second) == ("instructions", None)
    assert [one.name for one in counts.operators] == ["sums", "halves"]
    assert counts.sum == pytest.approx(counts.whole, abs=100)
    assert sum(one.share for one in counts.operators) == pytest.approx(1)
    assert counts.top(1)[0].count == max(one.count for one in counts.operators)


@QEMU
def test_the_command_line_shows_instructions_and_no_time(m3, bundle_of):
    path = str(bundle_of(m3).path)
    text = CliRunner().invoke(app, ["profile", path, "--device", "emulated", "--operators"]).output
    assert "instructions a call, emulated" in text
    assert "instructions  share" in text
    assert " ms" not in text


@QEMU
def test_run_shows_instructions(m3, bundle_of, tmp_path):
    np.save(tmp_path / "x.npy", sample()[0])
    words = ["run", str(bundle_of(m3).path), "-i", str(tmp_path / "x.npy"), "-d", "emulated"]
    report = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert report["latency_ms"] is None
    assert report["instructions"] > 0


@QEMU
def test_a_serial_port_serves_the_bundle(m3, bundle_of, tmp_path):
    artifact, bundle = artifact_of(m3), bundle_of(m3)
    laid_out(artifact, tmp_path / "artefact")
    with emulated_port(artifact, tmp_path / "artefact") as port:
        assert verify_on(bundle, f"serial:{port}?baud=115200&timeout=60") == []
        with find_device(f"serial:{port}?timeout=60") as device:
            assert isinstance(device, SerialBoard)
            there = PlacedBundle.push(bundle, device)
            (outputs,) = there.run([sample()])
            assert [o.tobytes() for o in outputs] == [o.tobytes() for o in expected(*sample())]
            profile = there.profile(runs=2)
    assert profile.label == "emulated"  # its counter says so
    assert profile.latency is None
    assert profile.instructions > 0


@QEMU
def test_a_serial_port_with_another_model_is_refused(m3, bundle_of, tmp_path):
    artifact = artifact_of(m3)
    laid_out(artifact, tmp_path / "artefact")
    other = bundle_of(m3, artifact_of(m3, digest=OTHER_DIGEST))
    with emulated_port(artifact, tmp_path / "artefact") as port:
        device = f"serial:{port}?timeout=60"
        with placed(other, device) as there, pytest.raises(DeviceError) as caught:
            there.run([sample()])
    assert "the firmware holds another model" in str(caught.value)
    assert "build and flash the firmware of this bundle" in str(caught.value)


@QEMU
def test_a_board_that_is_reset_in_the_middle_is_a_device_error(m3, bundle_of):
    bundle = bundle_of(m3, artifact_of(m3, "TINY_FAULT"))
    with placed(bundle, "emulated") as there, pytest.raises(DeviceError) as caught:
        there.run([sample()])
    assert "the board was reset in the middle" in str(caught.value)


def test_a_silent_board_is_a_device_error(bundle_of):
    bundle = bundle_of(target_of("M3"))
    with (
        scripted_port(lambda _: b"") as port,
        placed(bundle, f"serial:{port}?timeout=0.1") as there,
        pytest.raises(DeviceError) as caught,
    ):
        there.run([sample()])
    assert "the board answers nothing within 0.5 s" in str(caught.value)
    assert "flash the bundle's firmware" in str(caught.value)


def test_two_boards_are_not_run_in_turn(bundle_of):
    bundle = bundle_of(target_of("M3"))
    with opened("emulated", bundle.manifest.target) as device:
        there = PlacedBundle(bundle, device)
        with pytest.raises(DeviceError, match="it is emulated"):
            there.beside(there)


def test_a_port_that_is_not_there():
    with pytest.raises(DeviceError, match="there is no port /dev/nowhere0: No such file"):
        find_device("serial:/dev/nowhere0?baud=9600")
    with pytest.raises(DeviceError, match="it names no port"):
        find_device("serial:")
    with pytest.raises(DeviceError, match="/dev is no serial port"):
        find_device("serial:/dev")


def test_a_target_without_an_emulator():
    with pytest.raises(DeviceError, match="no emulator has its core"):
        EmulatedBoard(target_of("M3", emulator=""))


def test_facts_are_not_this_machines():
    with EmulatedBoard(target_of("M3")) as device:
        facts = device.facts()
    assert (facts["cpu"], facts["emulated"], facts["memory_mb"]) == ("M3", True, None)


@QEMU
def test_the_runner_alone_needs_neither_edgeopt_nor_a_device(m3, bundle_of):
    run = bundle_of(m3).path / "run.py"
    where = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}

    def call(*words: str, board: str = "") -> subprocess.CompletedProcess[str]:
        env = {**where, **({"EDGEOPT_BOARD": board} if board else {})}
        command = [sys.executable, str(run), *words]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    refused = call("--verify")
    assert refused.returncode == 1
    assert "no board is named" in refused.stderr
    assert "EDGEOPT_BOARD=emulated" in refused.stderr
    done = call("--verify", board="emulated")
    assert (done.returncode, done.stderr) == (0, "")
