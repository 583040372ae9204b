"""What libraries say at their import stays off the terminal."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from edgeopt.cli.quiet import quieten


@pytest.fixture
def logger():
    one = logging.getLogger("torchao")
    before = one.level
    one.setLevel(logging.NOTSET)
    yield one
    one.setLevel(before)


def test_only_errors_come_through(logger):
    quieten()
    assert not logger.isEnabledFor(logging.WARNING)
    assert logger.getChild("kernel").isEnabledFor(logging.ERROR)


def test_a_level_that_somebody_set_stays(logger):
    logger.setLevel(logging.DEBUG)
    quieten()
    assert logger.level == logging.DEBUG


@pytest.mark.slow
def test_transformers_is_imported_without_a_word():
    pytest.importorskip("transformers")
    code = "from edgeopt.cli.quiet import quieten; quieten(); from transformers import BertModel"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
