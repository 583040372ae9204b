from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from edgeopt.contracts import Device
from edgeopt.errors import DeviceError
from edgeopt.testing import ScriptedDevice


def test_it_is_a_device():
    assert isinstance(ScriptedDevice(), Device)
    assert ScriptedDevice(facts={"cpu": "x"}, emulated=True).facts() == {
        "name": "scripted",
        "emulated": True,
        "cpu": "x",
    }


def test_it_answers_in_order_and_notes_what_ran():
    device = ScriptedDevice().expect("python3", "*.py", stdout="ok", files={"out.txt": b"made"})
    device.expect("python3", error=DeviceError("lost"))
    done = device.run(["python3", "run.py", "--verify"], cwd=PurePosixPath("b"), env={"A": "1"})
    assert done.stdout == "ok"
    assert device.files[PurePosixPath("/device/b/out.txt")] == b"made"
    assert device.calls[0].command == ("python3", "run.py", "--verify")
    assert device.calls[0].env == {"A": "1"}
    with pytest.raises(DeviceError, match="lost"):
        device.run(["python3"])
    device.finish()


def test_it_objects_to_what_is_not_in_the_script():
    device = ScriptedDevice().expect("python3", "a.py")
    with pytest.raises(AssertionError, match="expects: python3 a"):
        device.run(["python3", "b.py"])
    with pytest.raises(AssertionError, match="never run"):
        device.finish()
    with pytest.raises(AssertionError, match="nothing more"):
        ScriptedDevice().run(["true"])


def test_files_come_back_and_folders_are_replaced(tmp_path):
    device = ScriptedDevice()
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "file").write_bytes(b"1")
    device.push(tmp_path / "in", PurePosixPath("bundle"))
    device.pull(PurePosixPath("/device/bundle"), tmp_path / "out")
    assert (tmp_path / "out" / "sub" / "file").read_bytes() == b"1"
    (tmp_path / "in" / "sub" / "file").unlink()
    device.push(tmp_path / "in", PurePosixPath("bundle"))
    assert device.files == {}
    for wrong in (
        lambda: device.pull(PurePosixPath("no"), tmp_path / "x"),
        lambda: device.push(tmp_path / "no", PurePosixPath("x")),
    ):
        with pytest.raises(DeviceError, match="no such file"):
            wrong()


def test_it_notes_installations_and_the_end():
    with ScriptedDevice() as device:
        device.install(["numpy==2.4.6"], PurePosixPath("site"))
    assert device.installed == [(("numpy==2.4.6",), PurePosixPath("site"))]
    assert device.closed
