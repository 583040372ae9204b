from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from edgeopt.devices import EmulatedDevice


def _beside(name):
    """Returns a module that lies here: tests are collected by path, not as a package."""
    spec = importlib.util.spec_from_file_location(
        f"edgeopt_tests_{name}", Path(__file__).with_name(f"{name}.py")
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def beside():
    """Returns what imports a module that lies here."""
    return _beside


@pytest.fixture(scope="session")
def ssh_server():
    """Returns the class of a server on the loopback; skips where there is none."""
    module = _beside("sshd")
    module.need_sshd()
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)  # sshd insists on it
    return module.Sshd


@pytest.fixture(scope="module")
def sshd(ssh_server, tmp_path_factory):
    """Yields a server whose users get this machine's shell; ``ssh`` finds its keys."""
    server = ssh_server(tmp_path_factory.mktemp("sshd"))
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEOPT_SSH", f"ssh -F {server.config}")
        yield server
    server.stop()


@pytest.fixture(scope="session")
def emulation():
    """Skips, and says so, where this machine lacks the tools; whatever else fails, fails."""
    for tool, package in (
        ("qemu-aarch64", "qemu-user-static"),
        ("apt-get", "apt"),
        ("dpkg-deb", "dpkg"),
    ):
        if shutil.which(tool) is None and shutil.which(f"{tool}-static") is None:
            pytest.skip(
                f"NOT TESTED ON AN ARM DEVICE: {tool} is missing (apt-get install {package})"
            )


ARM = """#!/bin/sh
cd {home} && HOME={home} PATH={tools}:/usr/bin:/bin
export HOME PATH; exec sh -c "$SSH_ORIGINAL_COMMAND"
"""
ARM_PYTHON = """#!/bin/sh
PYTHONHOME={root}/usr exec {start} -L {view} {python} "$@"
"""
ARM_UNAME = """#!/bin/sh
case $1 in -m) echo aarch64 ;; *) exec /usr/bin/uname "$@" ;; esac
"""


@pytest.fixture(scope="module")
def arm_sshd(emulation, ssh_server, tmp_path_factory):
    """Yields a server whose Python, processor and system's name are those of an emulated Pi 4."""
    folder = tmp_path_factory.mktemp("arm")
    with EmulatedDevice() as inside, pytest.MonkeyPatch.context() as patch:
        server = ssh_server(folder)
        tools = folder / "arm tools"
        tools.mkdir()
        words = {
            "home": server.home,
            "tools": tools,
            "root": inside.sysroot.root,
            "view": inside._view,
            "python": inside.sysroot.python_program,
        }
        quoted = {key: shlex.quote(str(value)) for key, value in words.items()}
        start = shlex.join(inside._start)
        for path, text in (
            (server.login, ARM),
            (tools / "python3", ARM_PYTHON),
            (tools / "uname", ARM_UNAME),
        ):
            path.write_text(text.format(**quoted, start=start))
            path.chmod(0o755)
        server.start()
        patch.setenv("EDGEOPT_SSH", f"ssh -F {server.config}")
        yield server
        server.stop()
