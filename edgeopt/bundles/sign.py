"""Signs a bundle, and checks the signature of one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgeopt.bundles.read import open_bundle, read_bundle
from edgeopt.bundles.signing import check_command, run_command, signature_path
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from edgeopt.bundles.read import Bundle

__all__ = ["sign_bundle", "verify_signature"]


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
    path, signature = Path(path), signature_path(path)
    check_command()
    read_bundle(path)
    draft = signature.with_name(f".{signature.name}.{os.getpid()}.draft")
    try:
        key = ["--private_key", str(private_key)]
        said = run_command(["sign", "key", str(path), "--signature", str(draft), *key])
        if said or not draft.is_file():
            raise InputError(f"cannot sign: {said}", where=str(private_key))
        draft.replace(signature)
    finally:
        draft.unlink(missing_ok=True)
    return signature


def verify_signature(bundle: Bundle | Path | str, public_key: Path | str) -> None:
    """Checks that the signature beside a bundle is of this key, and fits what was read of it.

    Args:
        bundle: The bundle, or its folder or .zip, which is read and checked first.
        public_key: PEM file with the public key.

    Raises:
        InputError: There is no such key file, or nothing at that path.
        BundleError: The bundle is damaged, there is no signature, it is of another key, or the
            bundle changed since.
        PluginError: The command ``model_signing`` is not installed, or does not start.
    """
    open_bundle(bundle, public_key)
