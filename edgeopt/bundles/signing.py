"""Signs bundles with a key, through sigstore's ``model_signing`` command. Works offline.

The command is not imported: its dependencies and those of the TFLite converter exclude each other, so
it lives in an environment of its own. The signature is a file beside the bundle, whose bytes stay
as they are; whoever gets the bundle can check it with ``model_signing verify key`` as well.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from edgeopt.errors import BundleError, InputError, PluginError

__all__ = ["check_command", "run_command", "signature_path", "verify_signature"]

INSTALL = "pipx install model-signing && pipx inject model-signing pyopenssl"
_TIMEOUT_S = 600.0


def signature_path(path: Path | str) -> Path:
    """Returns where the signature of the bundle at ``path`` lies: ``NAME.sig`` beside it."""
    path = Path(path)
    return path.with_name(f"{path.name}.sig")


def verify_signature(path: Path | str, public_key: Path | str) -> None:
    """Checks that the signature beside the bundle at ``path`` is of this key, and fits it.

    Raises:
        InputError: There is no such key file.
        BundleError: There is no signature, it is of another key, or the bundle changed since.
        PluginError: The command ``model_signing`` is not installed, or does not start.
    """
    path, signature = Path(path), signature_path(path)
    if not Path(public_key).is_file():
        raise InputError("no such file", where=str(public_key))
    if not signature.is_file():
        raise BundleError("no signature", where=str(signature), hint="sign it with sign_bundle")
    words = ["verify", "key", str(path), "--signature", str(signature)]
    said = run_command([*words, "--public_key", str(public_key)])
    if said:
        raise BundleError(f"the signature does not fit: {said}", where=str(path))


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
        raise PluginError(f"model_signing does not start: {error}", hint=INSTALL) from error
    if done.returncode == 0:
        return ""
    last = (done.stderr.strip() or done.stdout.strip() or "it gave no reason").splitlines()[-1]
    if "ImportError" in last or "ModuleNotFoundError" in last:
        raise PluginError(f"model_signing does not start: {last}", hint=INSTALL)
    return last


def check_command() -> str:
    """Returns where the command is.

    Raises:
        PluginError: It is not installed.
    """
    found = shutil.which("model_signing")
    if found is None:
        what = "the command model_signing is not installed"
        raise PluginError(what, hint=INSTALL)
    return found
