"""Where edgeopt keeps things: what it can make again, what the user wrote, what was measured.

They are the folders of the XDG specification, on every system.
"""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from functools import cache
from pathlib import Path

__all__ = ["cache_folder", "config_folder", "data_folder", "is_shut"]

_LOG = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Returns ``$EDGEOPT_CACHE``, or ``edgeopt`` in the user's cache folder; it need not exist.

    Where the latter cannot be written (a container without a home), it is one in the system's
    folder for temporary files, and the log says so.
    """
    setting = os.environ.get("EDGEOPT_CACHE")
    if setting:
        return Path(setting).expanduser().absolute()
    folder = _user_folder("XDG_CACHE_HOME", ".cache")
    return folder if _is_writable(folder) else _temporary(folder, Path(tempfile.gettempdir()))


def config_folder() -> Path:
    """Returns ``edgeopt`` in the user's configuration folder; it need not exist."""
    return _user_folder("XDG_CONFIG_HOME", ".config")


def data_folder() -> Path:
    """Returns ``edgeopt`` in the user's data folder; it need not exist."""
    return _user_folder("XDG_DATA_HOME", ".local/share")


def is_shut(path: Path) -> bool:
    """Returns whether this user may not even look whether ``path`` exists."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _user_folder(variable: str, default: str) -> Path:
    general = Path(os.environ.get(variable, ""))
    if not general.is_absolute():  # the specification says to ignore it
        # A user without an entry in the system's table, and without HOME, has no home at all.
        general = Path(os.path.expanduser("~"), default)  # noqa: PTH111 (Path.home raises)
    return general / "edgeopt"


def _is_writable(folder: Path) -> bool:
    """Returns whether ``folder`` can be written, or made."""
    if not folder.is_absolute():
        return False
    for place in (folder, *folder.parents):
        if is_shut(place):
            return False
        if place.exists():
            return place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    return False


@cache
def _temporary(wanted: Path, parent: Path) -> Path:
    """Returns a folder of this user's own below ``parent`` that takes the place of ``wanted``."""
    user = os.geteuid() if hasattr(os, "geteuid") else 0
    folder = parent / f"edgeopt-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
        if not stat.S_ISDIR(state.st_mode) or state.st_uid != user or state.st_mode & 0o022:
            folder = Path(tempfile.mkdtemp(prefix="edgeopt-", dir=parent))  # somebody else made it
    except OSError:
        return wanted  # whoever writes there says what is wrong
    _LOG.warning("%s cannot be written, so %s is the cache; EDGEOPT_CACHE sets one", wanted, folder)
    return folder
