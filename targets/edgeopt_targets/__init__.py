"""Descriptors of edge devices for edgeopt: TOML files, and where they are."""

from __future__ import annotations

from pathlib import Path

__all__ = ["descriptors"]


def descriptors() -> Path:
    """Returns the folder of the descriptors; the entry point ``edgeopt.targets`` calls this."""
    return Path(__file__).with_name("descriptors")
