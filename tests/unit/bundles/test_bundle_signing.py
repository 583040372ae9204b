"""Signatures with keys of one's own, offline, by the real command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from edgeopt.bundles import read_bundle, sign_bundle, verify_signature
from edgeopt.errors import BundleError, InputError, PluginError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with two pairs of keys, mine and somebody else's."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make keys with")
    folder = tmp_path_factory.mktemp("keys")
    for name in ("mine", "other"):
        private, public = str(folder / f"{name}.pem"), str(folder / f"{name}.pub")
        make = ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private]
        subprocess.run([openssl, *make], check=True, capture_output=True)
        derive = ["ec", "-in", private, "-pubout", "-out", public]
        subprocess.run([openssl, *derive], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def command(folder):
    """The folder of the command: on the path, else in an environment made now."""
    if shutil.which("model_signing"):
        return os.path.dirname(shutil.which("model_signing"))  # noqa: PTH120
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    pip = [str(folder / "env/bin/python"), "-m", "pip", "install", "-q"]
    done = subprocess.run([*pip, "model-signing>=1.1", "pyopenssl"], check=False)
    if done.returncode:
        pytest.skip("model-signing cannot be installed here")
    return str(folder / "env/bin")


@pytest.fixture
def keys(folder, command, monkeypatch):
    monkeypatch.setenv("PATH", command + os.pathsep + os.environ["PATH"])
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["toy", "toy.zip"])
def test_signed_and_read(make, keys, name):
    bundle = make(name)
    signature = sign_bundle(bundle.path, keys / "mine.pem")
    assert signature == bundle.path.with_name(f"{name}.sig")
    again = read_bundle(bundle.path, public_key=keys / "mine.pub")
    assert again.digest == bundle.digest
    with pytest.raises(BundleError, match="the signature does not fit"):
        read_bundle(bundle.path, public_key=keys / "other.pub")


@pytest.mark.slow
def test_a_bundle_made_anew_by_somebody_else(make, keys):
    """Its digests are right, but it is not what was signed."""
    bundle = make()
    sign_bundle(bundle.path, keys / "mine.pem")
    make(report={"accuracy": 1.0}, overwrite=True)
    read_bundle(bundle.path)
    with pytest.raises(BundleError, match="the signature does not fit"):
        read_bundle(bundle.path, public_key=keys / "mine.pub")


@pytest.mark.slow
def test_a_damaged_signature(make, keys):
    bundle = make()
    signature = sign_bundle(bundle.path, keys / "mine.pem")
    for content in (b"", b"{}", signature.read_bytes()[:-40], b"\xff" * 100):
        signature.write_bytes(content)
        with pytest.raises(BundleError, match="the signature does not fit"):
            verify_signature(bundle.path, keys / "mine.pub")


@pytest.mark.slow
def test_keys_that_are_none(make, keys, tmp_path):
    bundle = make()
    for wrong in (tmp_path / "nope.pem", bundle.path / "run.py"):
        with pytest.raises(InputError, match="cannot sign"):
            sign_bundle(bundle.path, wrong)
    sign_bundle(bundle.path, keys / "mine.pem")
    with pytest.raises(InputError, match="no such file"):
        verify_signature(bundle.path, tmp_path / "nope.pub")
    with pytest.raises(BundleError, match="the signature does not fit"):
        verify_signature(bundle.path, bundle.path / "run.py")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["toy", "toy.sig"]


@pytest.mark.slow
def test_a_damaged_bundle_is_not_signed(make, keys):
    bundle = make()
    (bundle.path / "runtime.py").write_text("evil")
    with pytest.raises(BundleError, match=r"runtime\.py"):
        sign_bundle(bundle.path, keys / "mine.pem")


def test_no_signature(make, folder):
    with pytest.raises(BundleError, match="no signature"):
        read_bundle(make().path, public_key=folder / "mine.pub")


def test_without_the_command(make, monkeypatch, tmp_path):
    bundle = make()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PluginError, match="pipx install model-signing"):
        sign_bundle(bundle.path, tmp_path / "key.pem")


def test_a_command_that_does_not_start(make, monkeypatch, tmp_path):
    broken = tmp_path / "bin/model_signing"
    broken.parent.mkdir()
    broken.write_text(
        "#!/bin/sh\necho \"ModuleNotFoundError: No module named 'OpenSSL'\" >&2; exit 1\n"
    )
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(broken.parent))
    with pytest.raises(PluginError, match="does not start: ModuleNotFoundError"):
        sign_bundle(make().path, tmp_path / "key.pem")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["toy", "toy.zip"])
def test_a_bundle_that_is_swapped_around_the_check_is_found(make, keys, name, monkeypatch):
    """What is verified is what was read: the signed bundle comes back only for the command's eyes."""
    from edgeopt.bundles import signing
    from edgeopt.testing.toy import toy_artifact

    signed = make(name)
    sign_bundle(signed.path, keys / "mine.pem")
    aside = signed.path.with_name("aside")
    signed.path.rename(aside)
    make(name, artifact=toy_artifact(factor=3.0))
    real = signing.run_command

    def swapped(words):
        signed.path.rename(signed.path.with_name("hostile"))
        aside.rename(signed.path)
        return real(words)

    monkeypatch.setattr(signing, "run_command", swapped)
    with pytest.raises(BundleError, match="the signature does not fit"):
        read_bundle(signed.path, public_key=keys / "mine.pub")
