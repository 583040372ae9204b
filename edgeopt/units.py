"""Figures as people read them."""

from __future__ import annotations

__all__ = ["shown_bytes"]


def shown_bytes(size: int) -> str:
    """Returns a size for people, in powers of 1024."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"
