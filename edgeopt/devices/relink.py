"""Makes absolute links below a root folder lead into that folder."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["relink"]


def relink(root: Path) -> None:
    """Rewrites each absolute link below ``root`` as a relative one.

    One whose target is missing is removed: this machine's file of that name is not meant.
    """
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            link = Path(folder, name)
            if not link.is_symlink():
                continue
            target = link.readlink()
            if target.is_absolute():
                inside = root / target.relative_to("/")
                link.unlink()
                if os.path.lexists(inside):
                    link.symlink_to(os.path.relpath(inside, link.parent))
