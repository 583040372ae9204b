"""Puts files under a name in one step: before it there is nothing (or the old), after it all.

A draft is written beside the name, synced to the disk, and renamed. The manifest is written last,
so a draft that a kill or a full disk left behind (``.NAME.xxxxxxxx.draft``) is no bundle either.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edgeopt.boundary import decode_json
from edgeopt.bundles.archive import write_zip
from edgeopt.bundles.layout import MANIFEST, file_mode
from edgeopt.bundles.manifest import KIND
from edgeopt.bundles.storage import Folder, open_storage
from edgeopt.errors import BundleError, EdgeoptError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["publish"]

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)  # FAT has none


def publish(files: Mapping[str, bytes], path: Path, *, as_zip: bool, overwrite: bool) -> None:
    """Writes ``files`` as a folder or a .zip at ``path``.

    Args:
        files: Name to content.
        path: Where. Missing folders above it are made.
        as_zip: A .zip for a folder.
        overwrite: Replace a bundle of the same form that lies there, once the new one is whole.

    Raises:
        InputError: Something lies at ``path`` that may not be replaced.
        BundleError: The system did not let it be written; nothing new lies at ``path``.
    """
    _check_free(path, as_zip=as_zip, overwrite=overwrite)
    draft: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".draft"))
        made = _write_zip(draft, files) if as_zip else _write_folder(draft, files)
        _check_free(path, as_zip=as_zip, overwrite=overwrite)
        _put(made, path, overwrite=overwrite)
        _sync_folder(path.parent)
    except OSError as error:
        hint = "free some space, or write to another place"
        raise BundleError(f"cannot be written: {error}", where=str(path), hint=hint) from error
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)


def _write_folder(draft: Path, files: Mapping[str, bytes]) -> Path:
    root = draft / "bundle"
    root.mkdir()
    for name in [*(name for name in files if name != MANIFEST), MANIFEST]:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as stream:
            stream.write(files[name])
            stream.flush()
            os.fsync(stream.fileno())
        file.chmod(file_mode(name))
    for folder in (root, *(held for held in root.rglob("*") if held.is_dir())):
        folder.chmod(0o755)
        _sync_folder(folder)
    return root


def _write_zip(draft: Path, files: Mapping[str, bytes]) -> Path:
    file = draft / "bundle.zip"
    with file.open("xb") as stream:
        write_zip(stream, files)
        stream.flush()
        os.fsync(stream.fileno())
    file.chmod(0o644)
    return file


def _put(made: Path, path: Path, *, overwrite: bool) -> None:
    """Renames ``made`` to ``path``; what lay there is in the draft's folder afterwards."""
    if made.is_file():
        _put_file(made, path, overwrite=overwrite)
    elif not overwrite or not os.path.lexists(path):
        _put_folder(made, path)
    elif not _exchange(made, path):
        old = made.parent / "old"
        path.rename(old)
        try:
            made.rename(path)
        except OSError:
            old.rename(path)
            raise


def _put_folder(made: Path, path: Path) -> None:
    try:
        made.rename(path)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:  # somebody else was faster
            raise InputError("something lies there already", where=str(path)) from error
        raise


def _put_file(made: Path, path: Path, *, overwrite: bool) -> None:
    if not overwrite:
        try:
            os.link(made, path)  # unlike a rename, fails where somebody else was faster
        except FileExistsError as error:
            raise InputError("something lies there already", where=str(path)) from error
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            return
    made.replace(path)


def _exchange(made: Path, path: Path) -> bool:
    """Returns whether the system could exchange two folders in one step (Linux can)."""
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    with suppress(OSError, AttributeError):
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
        return bool(renameat2(here, os.fsencode(made), here, os.fsencode(path), exchange) == 0)
    return False


def _sync_folder(path: Path) -> None:
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems have no such call for folders
            raise
    finally:
        os.close(handle)


def _check_free(path: Path, *, as_zip: bool, overwrite: bool) -> None:
    if not os.path.lexists(path):
        return
    if not overwrite:
        hint = "choose another name, or pass overwrite=True"
        raise InputError("something lies there already", where=str(path), hint=hint)
    if path.is_symlink() or path.is_file() != as_zip or not _is_bundle(path):
        hint = "overwrite=True replaces a bundle of the same form, nothing else; remove it yourself"
        raise InputError("what lies there is not such a bundle", where=str(path), hint=hint)


def _is_bundle(path: Path) -> bool:
    """Returns whether a bundle, whole or not, lies at ``path``, and no file of somebody else."""
    storage = open_storage(path)
    try:
        with storage.open(MANIFEST) as stream:
            manifest = decode_json(stream.read(1 << 20), dict, where=MANIFEST)
        known = {MANIFEST, *manifest["files"]}
        mine = not isinstance(storage, Folder) or set(storage.sizes()) <= known
        return mine and bool(manifest["kind"] == KIND)
    except (OSError, ValueError, KeyError, TypeError, EdgeoptError):
        return _is_empty(path)
    except Exception:  # noqa: BLE001 (zipfile: a damaged file is not a bundle that may be replaced)
        return False


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
