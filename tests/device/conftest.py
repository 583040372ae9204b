from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest


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
