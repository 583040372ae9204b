"""Signs bundles with a key, through sigstore's ``model_signing`` command. Works offline.

The command is not imported: its dependencies and those of the TFLite converter exclude each other, so
it lives in an environment of its own. The signature is a file beside the bundle, whose bytes stay
as they are; whoever gets the bundle can check it with ``model_signing verify key`` as well.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgeopt.boundary import read_file
from edgeopt.errors import BundleError, InputError, PluginError
from edgeopt.installation import application_command

if TYPE_CHECKING:
    from edgeopt.bundles.read import Bundle

__all__ = [
    "check_command",
    "check_signature",
    "run_command",
    "signature_path",
    "signing_install",
]

_TIMEOUT_S = 600.0
_MAX_SIGNATURE = 16 << 20


def signature_path(path: Path | str) -> Path:
    """Returns where the signature of the bundle at ``path`` lies: ``NAME.sig`` beside it."""
    path = Path(path)
    return path.with_name(f"{path.name}.sig")


def check_signature(bundle: Bundle, public_key: Path | str) -> None:
    """Checks that the signature beside a bundle is of this key, and fits what was read of it.

    The command gets a copy, made of what the manifest in memory says: whatever is laid at the
    bundle's place meanwhile or later, either is what was signed, or is refused when it is read.

    Raises:
        InputError: There is no such key file.
        BundleError: There is no signature, it is of another key, or the bundle changed since.
        PluginError: The command ``model_signing`` is not installed, or does not start.
    """
    if not Path(public_key).is_file():
        raise InputError("no such file", where=str(public_key))
    signature = signature_path(bundle.path)
    if not signature.is_file():
        raise BundleError("no signature", where=str(signature), hint="sign it with sign_bundle")
    signed = read_file(signature, most=_MAX_SIGNATURE, error=BundleError)
    with tempfile.TemporaryDirectory(prefix="edgeopt-") as folder:
        copy = Path(folder) / bundle.path.name
        _lay(bundle, copy)
        copied = signature_path(copy)
        copied.write_bytes(signed)
        words = ["verify", "key", str(copy), "--signature", str(copied)]
        said = run_command([*words, "--public_key", str(public_key)])
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


def run_command(words: list[str]) -> str:
    """Returns '' where the command succeeded, else the last line of what it said."""
    try:
        done = subprocess.run(
            [check_command(), *words],
            check=False,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PluginError(
            f"model_signing does not start: {error}", hint=signing_install()
        ) from error
    if done.returncode == 0:
        return ""
    last = (done.stderr.strip() or done.stdout.strip() or "it gave no reason").splitlines()[-1]
    if "ImportError" in last or "ModuleNotFoundError" in last:
        raise PluginError(f"model_signing does not start: {last}", hint=signing_install())
    return last


def signing_install() -> str:
    """Returns what to type for the command."""
    return application_command("model-signing", "pyopenssl")


def check_command() -> str:
    """Returns where the command is.

    Raises:
        PluginError: It is not installed.
    """
    command = shutil.which("model_signing")
    if command is None:
        what = "the command model_signing is not installed"
        raise PluginError(what, hint=signing_install())
    return command
