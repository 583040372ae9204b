from __future__ import annotations

import shutil

import pytest


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
