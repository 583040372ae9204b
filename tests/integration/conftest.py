"""What tests of examples share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
MODELS = Path(__file__).parents[2] / "out" / "models"
"""Where ``make out/models/.installed`` puts timm, torchvision and ultralytics."""


@pytest.fixture
def libraries(tmp_path):
    """The environment of a process that can import them."""
    if not (MODELS / "ultralytics").is_dir():
        pytest.skip("timm, torchvision and ultralytics are missing: make out/models/.installed")
    beside = Path(__file__).parents[1] / "libraries" / "site"
    paths = (str(MODELS), str(beside), os.environ.get("PYTHONPATH", ""))
    quiet = {"YOLO_OFFLINE": "true", "YOLO_VERBOSE": "false", "HF_HUB_OFFLINE": "1"}
    settings = {"YOLO_CONFIG_DIR": str(tmp_path), "MPLCONFIGDIR": str(tmp_path)}
    path = os.pathsep.join(filter(None, paths))
    return {**os.environ, **quiet, **settings, "PYTHONPATH": path}


@pytest.fixture
def emulated_pi():
    """Skips where this machine cannot emulate one."""
    if shutil.which("qemu-aarch64-static") is None:
        pytest.skip("qemu-aarch64-static is not installed: sudo apt-get install qemu-user-static")


@pytest.fixture
def run_example():
    """Runs an example as a reader would; returns what it says."""

    def run(name, folder, *options, environment=None):
        command = [sys.executable, str(EXAMPLES / name), str(folder), *options]
        environment = environment or {**os.environ, "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        # transformers, imported before edgeopt, says what it finds of torchao: that is between those two
        for chatter in ("XNNPACK", "Fast mode", "Warning"):
            assert chatter not in done.stdout + done.stderr
        return done.stdout

    return run
