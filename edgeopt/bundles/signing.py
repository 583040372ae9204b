"""Signs bundles with a key, through sigstore's ``model-signing``. Works offline.

The signature is a file of its own beside the bundle, so the bundle's bytes stay as they are; the
command ``model_signing verify key`` accepts it as well.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from edgeopt.errors import BundleError, InputError, PluginError

__all__ = ["sign_bundle", "signature_path", "verify_signature"]


def signature_path(path: Path | str) -> Path:
    """Returns where the signature of the bundle at ``path`` lies: ``NAME.sig`` beside it."""
    path = Path(path)
    return path.with_name(f"{path.name}.sig")


def sign_bundle(path: Path | str, private_key: Path | str, *, password: str | None = None) -> Path:
    """Returns the path of the signature of the bundle at ``path``, which is read and checked first.

    Args:
        path: The bundle, a folder or a .zip.
        private_key: PEM file with an elliptic-curve key, for example of
            ``openssl ecparam -name prime256v1 -genkey``.
        password: Of the key, if it has one.

    Raises:
        InputError: The key cannot be used.
        BundleError: The bundle is damaged.
        PluginError: ``model-signing`` is not installed.
    """
    from edgeopt.bundles.read import read_bundle  # noqa: PLC0415 (it imports this module)

    signing, _ = _library()
    path, signature = Path(path), signature_path(path)
    read_bundle(path)
    draft = signature.with_name(f".{signature.name}.{os.getpid()}.draft")
    try:
        config = signing.Config().use_elliptic_key_signer(
            private_key=Path(private_key), password=password
        )
        config.sign(path, draft)
        draft.replace(signature)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"cannot sign: {error}", where=str(private_key)) from error
    finally:
        draft.unlink(missing_ok=True)
    return signature


def verify_signature(path: Path | str, public_key: Path | str) -> None:
    """Checks that the signature beside the bundle at ``path`` is of this key, and fits it.

    Raises:
        InputError: The key cannot be read.
        BundleError: There is no signature, it is of another key, or the bundle changed since.
        PluginError: ``model-signing`` is not installed.
    """
    _, verifying = _library()
    path, signature = Path(path), signature_path(path)
    if not signature.is_file():
        raise BundleError("no signature", where=str(signature), hint="sign it with sign_bundle")
    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=Path(public_key))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"not a public key: {error}", where=str(public_key)) from error
    try:
        config.verify(path, signature)
    except Exception as error:  # the library and cryptography raise kinds of their own
        what = f"the signature does not fit: {error or type(error).__name__}"
        raise BundleError(what, where=str(path)) from error


def _library() -> tuple[Any, Any]:
    try:
        from model_signing import signing, verifying  # noqa: PLC0415 (optional, heavy)
    except ImportError as error:
        hint = "pip install 'edgeopt[sign]'"
        raise PluginError(f"model-signing cannot be imported: {error}", hint=hint) from error
    return signing, verifying
