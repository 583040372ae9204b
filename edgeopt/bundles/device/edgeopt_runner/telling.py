"""Whether a run tells what its outputs mean. Needs no numpy: it is asked before anything is loaded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .bundle import USAGE, Stop

if TYPE_CHECKING:
    import argparse

__all__ = ["check_telling", "tells"]


def tells(args: argparse.Namespace, manifest: dict[str, Any]) -> bool:
    """Returns whether answers are told: where the bundle knows what outputs mean, and unless only
    ``--output`` was asked for.
    """
    if not manifest.get("postprocess") or args.verify:
        return False
    source = args.input or args.image or args.text or args.audio
    return bool(source and (args.draw or args.json or args.top or not args.output))


def check_telling(args: argparse.Namespace, manifest: dict[str, Any]) -> None:
    """Raises Stop where what is asked for cannot be said or drawn, before any work is done."""
    if (args.draw or args.json) and not manifest.get("postprocess"):
        hint = "pass --output FILE for the outputs themselves"
        raise Stop(USAGE, "this bundle does not say what its outputs mean", hint)
    if args.draw and not args.image:
        raise Stop(USAGE, "--draw draws on a picture", "pass --image FILE")
    if args.draw:
        _check_drawing(args.draw)


def _check_drawing(path: str) -> None:
    if not path.lower().endswith((".png", ".jpg", ".jpeg")):
        raise Stop(USAGE, f"{path}: .png or .jpg expected")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise Stop(USAGE, f"{path}: the folder {folder} does not exist")
