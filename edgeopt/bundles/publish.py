"""Puts a bundle's files under a name in one step (`edgeopt.files`).

The manifest is written last, so a draft that a kill or a full disk left behind is no bundle either.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from edgeopt.boundary import decode_json
from edgeopt.bundles.archive import write_zip
from edgeopt.bundles.layout import MANIFEST, file_mode
from edgeopt.bundles.manifest import KIND
from edgeopt.bundles.storage import Folder, open_storage
from edgeopt.errors import BundleError, InputError
from edgeopt.files import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["publish"]

Found = TypeVar("Found")
_LOG = logging.getLogger(__name__)


def publish(
    files: Mapping[str, bytes],
    path: Path,
    *,
    as_zip: bool,
    overwrite: bool,
    check: Callable[[Path], Found],
) -> Found:
    """Returns what ``check`` says of ``files``, written as a folder or a .zip at ``path``.

    They are read back before they get that name: what others write there meanwhile is theirs.

    Args:
        files: Name to content.
        path: Where. Missing folders above it are made.
        as_zip: A .zip for a folder.
        check: Reads what was written, where it lies until it gets its name.
        overwrite: Replace a bundle of the same form that lies there, once the new one is whole.

    Raises:
        InputError: Something lies at ``path`` that may not be replaced.
        BundleError: The system did not let it be written; nothing new lies at ``path``.
    """
    _check_free(path, as_zip=as_zip, overwrite=overwrite)
    try:
        with replacing(path, overwrite=overwrite) as new:
            write = _write_zip if as_zip else _write_folder
            write(new, files)
            result = check(new)
            _check_free(path, as_zip=as_zip, overwrite=overwrite)
    except FileExistsError as error:  # somebody else was faster
        raise InputError("something lies there already", where=str(path)) from error
    except OSError as error:
        hint = "free some space, or write to another place"
        raise BundleError(f"cannot be written: {error}", where=str(path), hint=hint) from error
    _LOG.debug("%s is written: %d files", path, len(files))
    return result


def _write_folder(root: Path, files: Mapping[str, bytes]) -> None:
    root.mkdir()
    for name in [*(name for name in files if name != MANIFEST), MANIFEST]:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(files[name])
        file.chmod(file_mode(name))
    for folder in (root, *(entry for entry in root.rglob("*") if entry.is_dir())):
        folder.chmod(0o755)


def _write_zip(file: Path, files: Mapping[str, bytes]) -> None:
    with file.open("xb") as stream:
        write_zip(stream, files)
    file.chmod(0o644)


def _check_free(path: Path, *, as_zip: bool, overwrite: bool) -> None:
    """Refuses what may not be replaced; what others put in its place meanwhile is looked at anew."""
    while (identity := _identity(path)) is not None:
        if not overwrite:
            hint = "choose another name, or pass overwrite=True"
            raise InputError("something lies there already", where=str(path), hint=hint)
        if not path.is_symlink() and path.is_file() == as_zip and _is_bundle(path):
            return
        if _identity(path) == identity:
            hint = "overwrite=True replaces a bundle of the same form, nothing else; remove it yourself"
            raise InputError("what lies there is not such a bundle", where=str(path), hint=hint)


def _identity(path: Path) -> tuple[int, int] | None:
    """Returns what tells a file or folder from all others; None where nothing lies."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_bundle(path: Path) -> bool:
    """Returns whether a bundle, whole or not, lies at ``path``, and no file of somebody else."""
    try:
        storage = open_storage(path)
        with storage.open(MANIFEST) as stream:
            manifest = decode_json(stream.read(1 << 20), dict, where=MANIFEST, error=BundleError)
        entries = {MANIFEST, *manifest["files"]}
        mine = not isinstance(storage, Folder) or set(storage.sizes()) <= entries
        return mine and bool(manifest["kind"] == KIND)
    except (OSError, ValueError, KeyError, TypeError, BundleError):
        return _is_empty(path)
    except InputError:
        return True  # it is gone: somebody else is at it
    except Exception:  # noqa: BLE001 (zipfile: a damaged file is not a bundle that may be replaced)
        return False


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
