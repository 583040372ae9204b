"""What every device must do, as tests that any package can run on its own.

They need only the device's Python and a folder to write to.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from edgeopt.contracts import Completed, Device
from edgeopt.errors import DeviceError
from edgeopt.testing.device_file_conformance import FileConformance
from edgeopt.testing.device_suite import remote_content, remote_names

if TYPE_CHECKING:
    from pathlib import Path, PurePosixPath

__all__ = ["DeviceConformance", "small_wheel"]

HOSTILE = (
    "two words",
    "",
    "single ' and double \"",
    "semi;colon",
    "$(touch owned)",
    "`touch owned`",
    "$HOME ${PATH}",
    "a && b || c | d > e < f &",
    "*.py ?? [a-z]",
    "back\\slash \\n",
    "two\nlines",
    "tab\there",
    "-rf",
    "--",
    "ünïcödé 木 🦆",
    "~",
    "%s %(x)s {0}",
    "!history",
    "#comment",
)
"""Arguments that a shell would change; a device must not."""
ECHO = ["python3", "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"]
FACTS = (
    "cpu",
    "isa",
    "cores",
    "memory_mb",
    "os",
    "glibc",
    "python",
    "governor",
    "clock_mhz",
    "temperature_c",
)
# Writes a growing file, itself and from a child, until it is ended.
TICKING = """
import os, sys, time
if os.fork() == 0:
    name = "child"
else:
    name = "parent"
print("begun", flush=True)
while True:
    with open(name, "a") as stream:
        stream.write(".")
    time.sleep(0.05)
"""


def small_wheel(folder: Path, name: str = "edgeopt_probe", version: str = "1.0") -> Path:
    """Returns a wheel of one module, ``name``, whose ``VERSION`` is ``version``."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{path},{_record(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for entry, text in files.items():
            wheel.writestr(entry, text)
    return path


class DeviceConformance(FileConformance):
    """Subclass it as ``TestSomething`` and give the fixture ``device``.

    The tests close the devices that they are given.
    """

    # --- what it says of itself -----------------------------------------------------------------

    def test_fulfils_the_contract(self, device: Device) -> None:
        assert isinstance(device, Device)
        assert device.name
        assert device.emulated in {True, False}
        assert device.workdir().is_absolute()

    def test_facts_are_plain_and_complete(self, device: Device) -> None:
        facts = device.facts()
        assert json.loads(json.dumps(facts)) == facts
        assert not [name for name in FACTS if name not in facts]
        assert not [name for name, value in facts.items() if value in ("", {})]
        process = device.run(["python3", "-c", "import platform; print(platform.python_version())"])
        assert facts["python"] == process.stdout.strip()
        assert facts["emulated"] == device.emulated
        assert facts["cores"] >= 1

    # --- programs -------------------------------------------------------------------------------

    def test_run_returns_what_a_program_says(self, device: Device) -> None:
        code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"
        process = device.run(["python3", "-c", code])
        assert isinstance(process, Completed)
        assert (process.returncode, process.stdout, process.stderr) == (7, "out\n", "err\n")
        assert 0 < process.wall_s < 60  # noqa: PLR2004

    def test_output_that_is_no_text_is_replaced(self, device: Device) -> None:
        code = r"import sys; sys.stdout.buffer.write(b'a\xffb \xe2\x9c\x93')"
        assert device.run(["python3", "-c", code]).stdout == "a\ufffdb \u2713"

    def test_much_output_does_not_block(self, device: Device) -> None:
        code = "import sys; sys.stderr.write('e' * 300000); sys.stdout.write('o' * 300000)"
        process = device.run(["python3", "-c", code], timeout_s=120)
        assert (len(process.stdout), len(process.stderr)) == (300000, 300000)

    def test_there_is_no_input(self, device: Device) -> None:
        code = "import sys; print(repr(sys.stdin.read()))"
        assert device.run(["python3", "-c", code], timeout_s=60).stdout == "''\n"

    def test_a_signal_is_a_negative_status(self, device: Device) -> None:
        code = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
        assert device.run(["python3", "-c", code]).returncode == -15  # noqa: PLR2004

    def test_arguments_arrive_as_they_are(self, device: Device, room: PurePosixPath) -> None:
        process = device.run([*ECHO, *HOSTILE], cwd=room)
        assert json.loads(process.stdout) == list(HOSTILE)
        assert remote_names(device, room) == []

    def test_cwd_and_variables_arrive(self, device: Device, room: PurePosixPath) -> None:
        nasty = "a b'c\"d;$(touch owned)\n$HOME ü"
        code = "import json, os; print(json.dumps([os.getcwd(), os.environ['NASTY']]))"
        process = device.run(["python3", "-c", code], cwd=room, env={"NASTY": nasty})
        assert json.loads(process.stdout) == [str(room), nasty]
        assert remote_names(device, room) == []

    def test_pythonpath_is_heard(self, device: Device, room: PurePosixPath, tmp_path: Path) -> None:
        (tmp_path / "edgeopt_there.py").write_text("VALUE = 42\n")
        device.push(tmp_path / "edgeopt_there.py", room / "site" / "edgeopt_there.py")
        process = device.run(
            ["python3", "-c", "import edgeopt_there; print(edgeopt_there.VALUE)"],
            env={"PYTHONPATH": str(room / "site")},
        )
        assert process.stdout == "42\n", process.stderr

    def test_a_missing_folder_to_run_in_is_an_error(
        self, device: Device, room: PurePosixPath
    ) -> None:
        with pytest.raises(DeviceError, match="missing-folder"):
            device.run(["python3", "-c", "pass"], cwd=room / "missing-folder")

    def test_a_missing_program_is_an_error(self, device: Device) -> None:
        with pytest.raises(DeviceError, match="edgeopt-no-such-program"):
            device.run(["edgeopt-no-such-program"])

    def test_a_command_is_a_list_that_is_not_empty(self, device: Device) -> None:
        commands: tuple[Any, ...] = ([], "python3 -c pass")
        for wrong in commands:
            with pytest.raises(DeviceError):
                device.run(wrong)

    def test_a_time_limit_ends_all_that_was_started(
        self, device: Device, room: PurePosixPath, tmp_path: Path
    ) -> None:
        begun = time.perf_counter()
        with pytest.raises(DeviceError, match="4 s"):
            device.run(["python3", "-c", TICKING], cwd=room, timeout_s=4)
        assert time.perf_counter() - begun < 30  # noqa: PLR2004
        sizes = [self._ticks(device, room, tmp_path)]
        time.sleep(0.5)
        sizes.append(self._ticks(device, room, tmp_path))
        assert min(sizes[0]) > 0
        assert sizes[0] == sizes[1]

    def test_what_a_program_leaves_behind_holds_nothing_up(
        self, device: Device, room: PurePosixPath
    ) -> None:
        code = "import os, time; os.fork() or time.sleep(600); print('done')"
        begun = time.perf_counter()
        process = device.run(["python3", "-c", code], cwd=room, timeout_s=60)
        assert "done" in process.stdout
        assert time.perf_counter() - begun < 30  # noqa: PLR2004

    @staticmethod
    def _ticks(device: Device, room: PurePosixPath, tmp_path: Path) -> list[int]:
        return [len(remote_content(device, room / name, tmp_path)) for name in ("parent", "child")]

    # --- requirements ---------------------------------------------------------------------------

    def test_a_wheel_is_installed_where_it_was_asked_for(
        self, device: Device, room: PurePosixPath, tmp_path: Path
    ) -> None:
        device.install([str(small_wheel(tmp_path))], room / "site")
        assert _version(device, room / "site") == "1.0\n"

    def test_a_second_install_adds_and_replaces(
        self, device: Device, room: PurePosixPath, tmp_path: Path
    ) -> None:
        device.install([str(small_wheel(tmp_path))], room / "site")
        device.install([str(small_wheel(tmp_path, "edgeopt_other"))], room / "site")
        device.install([str(small_wheel(tmp_path, version="2.0"))], room / "site")
        assert _version(device, room / "site") == "2.0\n"
        assert _version(device, room / "site", "edgeopt_other") == "1.0\n"
        infos = [name for name in remote_names(device, room / "site") if name.endswith("dist-info")]
        assert infos == ["edgeopt_other-1.0.dist-info", "edgeopt_probe-2.0.dist-info"]

    def test_a_wheel_for_another_machine_is_refused(
        self, device: Device, room: PurePosixPath, tmp_path: Path
    ) -> None:
        wheel = small_wheel(tmp_path)
        foreign = wheel.rename(tmp_path / "edgeopt_probe-1.0-cp311-cp311-win_amd64.whl")
        with pytest.raises(DeviceError, match="edgeopt_probe"):
            device.install([str(foreign)], room / "site")
        assert remote_names(device, room) == []

    @pytest.mark.parametrize("wrong", ["-r secrets.txt", "--index-url=http://x", "", "a\nb", "./x"])
    def test_what_is_no_requirement_is_refused(
        self, device: Device, room: PurePosixPath, wrong: str
    ) -> None:
        with pytest.raises(DeviceError, match="requirement"):
            device.install([wrong], room / "site")
        assert remote_names(device, room) == []

    def test_installing_nothing_is_fine(self, device: Device, room: PurePosixPath) -> None:
        device.install([], room / "site")

    # --- the end --------------------------------------------------------------------------------

    def test_close_twice(self, device: Device) -> None:
        device.close()
        device.close()

    def test_closed_is_closed(self, device: Device) -> None:
        with device as entered:
            assert entered is device
            assert entered.run(["python3", "-c", "print(1)"]).stdout == "1\n"
        with pytest.raises(DeviceError):
            device.run(["python3", "-c", "print(1)"])


def _record(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
    return f"sha256={digest.decode()},{len(text.encode())}"


def _version(device: Device, site: PurePosixPath, name: str = "edgeopt_probe") -> str:
    code = f"import {name}; print({name}.VERSION)"
    process = device.run(["python3", "-c", code], env={"PYTHONPATH": str(site)})
    assert process.returncode == 0, process.stderr
    return process.stdout
