"""Signs bundles with a key, through sigstore's ``model_signing`` command. Works offline.

The command is not imported: its dependencies and those of the TFLite converter exclude each other, so
it lives in an environment of its own. The signature is a file beside the bundle, whose bytes stay
as they are; whoever gets the bundle can check it with ``model_signing verify key`` as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgeopt.boundary import read_file
from edgeopt.errors import BundleError, InputError, PluginError

if TYPE_CHECKING:
    from edgeopt.bundles.read import Bundle

__all__ = ["sign_bundle", "signature_path", "verify_signature"]

INSTALL = "pipx install model-signing && pipx inject model-signing pyopenssl"
_TIMEOUT_S = 600.0
_MAX_SIGNATURE = 16 << 20


def signature_path(path: Path | str) -> Path:
    """Returns where the signature of the bundle at ``path`` lies: ``NAME.sig`` beside it."""
    path = Path(path)
    return path.with_name(f"{path.name}.sig")


def sign_bundle(path: Path | str, private_key: Path | str) -> Path:
    """Returns the path of the signature of the bundle at ``path``, which is read and checked first.

    Args:
        path: The bundle, a folder or a .zip.
        private_key: PEM file with an elliptic-curve key without a password, for example of
            ``openssl ecparam -name prime256v1 -genkey -noout``.

    Raises:
        InputError: The key cannot be used.
        BundleError: The bundle is damaged.
        PluginError: The command ``model_signing`` is not installed, or does not start.
    """
    from edgeopt.bundles.read import read_bundle  # noqa: PLC0415 (it imports this module)

    path, signature = Path(path), signature_path(path)
    _command()
    read_bundle(path)
    draft = signature.with_name(f".{signature.name}.{os.getpid()}.draft")
    try:
        key = ["--private_key", str(private_key)]
        said = _run(["sign", "key", str(path), "--signature", str(draft), *key])
        if said or not draft.is_file():
            raise InputError(f"cannot sign: {said}", where=str(private_key))
        draft.replace(signature)
    finally:
        draft.unlink(missing_ok=True)
    return signature


def verify_signature(bundle: Bundle | Path | str, public_key: Path | str) -> None:
    """Checks that the signature beside a bundle is of this key, and fits what was read of it.

    The command gets a copy, made of what the manifest in memory says: whatever is laid at the
    bundle's place meanwhile or later, either is what was signed, or is refused when it is read.

    Raises:
        InputError: There is no such key file.
        BundleError: There is no signature, it is of another key, or the bundle changed since.
        PluginError: The command ``model_signing`` is not installed, or does not start.
    """
    from edgeopt.bundles.read import Bundle, read_bundle  # noqa: PLC0415 (it imports this module)

    if not Path(public_key).is_file():
        raise InputError("no such file", where=str(public_key))
    signature = signature_path(bundle.path if isinstance(bundle, Bundle) else bundle)
    if not signature.is_file():
        raise BundleError("no signature", where=str(signature), hint="sign it with sign_bundle")
    if not isinstance(bundle, Bundle):
        bundle = read_bundle(bundle)
    signed = read_file(signature, most=_MAX_SIGNATURE, error=BundleError)
    with tempfile.TemporaryDirectory(prefix="edgeopt-") as folder:
        copy = Path(folder) / bundle.path.name
        _lay(bundle, copy)
        held = signature_path(copy)
        held.write_bytes(signed)
        words = ["verify", "key", str(copy), "--signature", str(held)]
        said = _run([*words, "--public_key", str(public_key)])
    if said:
        raise BundleError(f"the signature does not fit: {said}", where=str(bundle.path))


def _lay(bundle: Bundle, copy: Path) -> None:
    """Writes what was read of the bundle; a .zip has one form only, so it is the same bytes."""
    if bundle.is_zip:
        copy.write_bytes(bundle.pack())
        return
    for name, content in bundle.files().items():
        place = copy.joinpath(*name.split("/"))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def _run(words: list[str]) -> str:
    """Returns '' where the command succeeded, else the last line of what it said."""
    try:
        done = subprocess.run(
            [_command(), *words], check=False, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PluginError(f"model_signing does not start: {error}", hint=INSTALL) from error
    if done.returncode == 0:
        return ""
    last = (done.stderr.strip() or done.stdout.strip() or "it gave no reason").splitlines()[-1]
    if "ImportError" in last or "ModuleNotFoundError" in last:
        raise PluginError(f"model_signing does not start: {last}", hint=INSTALL)
    return last


def _command() -> str:
    found = shutil.which("model_signing")
    if found is None:
        what = "the command model_signing is not installed"
        raise PluginError(what, hint=INSTALL)
    return found
