"""A user without a home, or with one that cannot be read, has a cache all the same."""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import contextmanager

import pytest

import edgeopt
from edgeopt.devices.registry import Known, add_device, known_devices
from edgeopt.errors import EdgeoptError
from edgeopt.files import cache_folder, config_folder, data_folder
from edgeopt.measure.history import read_history
from edgeopt.registry import targets
from edgeopt.tuning import open_database

NOBODY = 65534


@contextmanager
def nobody():
    """Makes this process another user's for a while, where it is root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shut(tmp_path, monkeypatch):
    """Yields a home that may not even be looked into."""
    home = tmp_path / "home"
    home.mkdir()
    open_to_all = tmp_path / "tmp"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.stat().st_uid == os.geteuid() and folder != folder.parent:
            folder.chmod(folder.stat().st_mode | 0o011)
    home.chmod(0)
    monkeypatch.setenv("HOME", str(home))
    for name in ("EDGEOPT_CACHE", "EDGEOPT_HISTORY", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(open_to_all))
    yield home
    home.chmod(0o700)


def test_the_cache_moves_and_the_log_says_so(shut, caplog):
    with nobody(), caplog.at_level(logging.WARNING):
        folder = cache_folder()
        assert folder.is_dir()
        assert folder.stat().st_mode & 0o077 == 0
        assert cache_folder() == folder
    assert str(shut) in caplog.text
    assert "EDGEOPT_CACHE" in caplog.text


def test_somebody_elses_folder_is_not_taken(shut):
    (shut.parent / "tmp" / f"edgeopt-{NOBODY if os.geteuid() == 0 else os.geteuid()}").symlink_to(
        "/"
    )
    with nobody():
        folder = cache_folder()
        assert folder.is_dir()
        assert folder.parent == shut.parent / "tmp"
        assert not folder.is_symlink()


def test_nothing_that_reads_fails(shut):
    with nobody():
        assert known_devices() == {}
        assert "rpi4" in targets()
        assert read_history() == ([], 0)
        assert open_database() is None


def test_what_writes_there_says_so_in_our_words(shut):
    with nobody(), pytest.raises(EdgeoptError, match="cannot be written"):
        add_device("pi", Known("ssh://pi"))


def test_without_any_home(monkeypatch, tmp_path):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # no entry for this user
    for name in ("EDGEOPT_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert cache_folder().is_relative_to(tmp_path)
    assert config_folder().name == data_folder().name == "edgeopt"
    assert edgeopt.__version__
