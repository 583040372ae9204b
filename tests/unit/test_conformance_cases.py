"""What does not apply to a backend is not collected, and --no-skips forbids every skip."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SUITE = """
import pytest
from edgeopt.testing import BackendConformance

class TestIt(BackendConformance):
    refused = {"residual": "too deep", "tokens": "no tokens"}
    precisions = ("float32",)
    runs_everything = %s
"""


def pytest_run(folder, text, *options, code):
    (folder / "test_it.py").write_text(text)
    (folder / "conftest.py").write_bytes((ROOT / "conftest.py").read_bytes())
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(folder)]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", *options, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("everything", [True, False])
def test_what_does_not_apply_is_not_collected(tmp_path, everything):
    listed = pytest_run(tmp_path, SUITE % everything, "--collect-only", code=0)
    assert "int8" not in listed
    assert "test_parity_with_the_reference[perceptron-float32]" in listed
    assert "test_parity_with_the_reference[residual-float32]" not in listed
    assert "test_support_gives_each_node_one_verdict[residual-float32]" in listed
    assert "test_same_program_same_bytes" not in listed
    assert "test_reports_progress" in listed
    assert ("test_refuses_an_unknown_operator" in listed) is not everything


NOTE = "--no-skips"
CASES = {
    "a test": "import pytest\ndef test_a(): pytest.skip('no tool')\ndef test_b(): pass\n",
    "a mark": "import pytest\n@pytest.mark.skipif(True, reason='x')\ndef test_a(): pass\n",
    "a file": "import pytest\npytest.importorskip('no_such_module_here')\ndef test_a(): pass\n",
    "a fixture": (
        "import pytest\n@pytest.fixture\ndef it(): pytest.skip('no')\n"
        "def test_a(it): pass\ndef test_b(): pass\n"
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_skip_fails_where_nothing_may_be_skipped(tmp_path, case):
    (tmp_path / "test_other.py").write_text("def test_c(): pass\n")
    assert f"{NOTE} forbids" in pytest_run(tmp_path, CASES[case], NOTE, code=1)


def test_a_skip_in_another_process_fails_too(tmp_path):
    (tmp_path / "test_other.py").write_text(CASES["a file"])
    pytest_run(tmp_path, CASES["a test"], "-n", "2", code=0)
    said = pytest_run(tmp_path, CASES["a test"], NOTE, "-n", "2", code=1)
    assert {"test_it.py::test_a", "test_other.py"} <= set(said.split())


def test_an_expected_failure_is_no_skip(tmp_path):
    text = "import pytest\n@pytest.mark.xfail\ndef test_a(): assert False\n"
    pytest_run(tmp_path, text, NOTE, code=0)
