"""Finds the board that is meant: ``emulated``, or ``serial:/dev/ttyACM0?baud=115200``."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qsl

from .board import Board
from .emulator import start_emulator
from .errors import BoardError
from .flashing import FLASH, flash
from .link import Link, SerialLink

__all__ = ["VARIABLE", "open_board", "parse_port"]

VARIABLE = "EDGEOPT_BOARD"
_TIMEOUT = "EDGEOPT_BOARD_TIMEOUT"
_LONGEST_S = 3600.0
_CHOICES = f"{VARIABLE}=emulated, or {VARIABLE}=serial:/dev/ttyACM0?baud=115200"


def open_board(folder: str, metadata: dict[str, Any]) -> Board:
    """Returns the board that the environment names, which serves this very model.

    One at a serial port that does not is flashed, where the environment says how (`flash`).

    Args:
        folder: Where the artefact lies.
        metadata: The artefact's.

    Raises:
        BoardError: There is none, or it holds another model.
    """
    try:
        return _opened(folder, metadata)
    except BoardError:
        if not os.environ.get(FLASH) or not os.environ.get(VARIABLE, "").startswith("serial:"):
            raise
    flash(folder, metadata)
    return _opened(folder, metadata)


def _opened(folder: str, metadata: dict[str, Any]) -> Board:
    link = _link(os.environ.get(VARIABLE, ""), folder, metadata)
    try:
        board = Board(link, run_timeout_s=_seconds(os.environ.get(_TIMEOUT, "")))
        _check(board, metadata)
    except BaseException:
        link.close()
        raise
    return board


def parse_port(spec: str) -> tuple[str, int, float]:
    """Returns port, baud rate and a reply's seconds of ``/dev/ttyACM0?baud=115200&timeout=1``.

    Raises:
        BoardError: It says something else.
    """
    port, _, query = spec.partition("?")
    options = {"baud": "115200", "timeout": "1", **dict(parse_qsl(query, keep_blank_values=True))}
    try:
        baud, timeout_s = int(options.pop("baud")), float(options.pop("timeout"))
    except ValueError:
        options["number"] = ""
    if options or not port or not 0 < timeout_s < _LONGEST_S:
        hint = "serial:/dev/ttyACM0?baud=115200&timeout=1"
        raise BoardError(f"serial:{spec} is no serial port", hint)
    return port, baud, timeout_s


def _link(spec: str, folder: str, metadata: dict[str, Any]) -> Link:
    kind, _, rest = spec.partition(":")
    if kind == "emulated" and not rest:
        return start_emulator(folder, metadata)
    if kind == "serial":
        return SerialLink(*parse_port(rest))
    what = f"{VARIABLE} is {spec!r}, which is no board" if spec else "no board is named"
    raise BoardError(what, _CHOICES)


def _seconds(text: str) -> float:
    try:
        return float(text or 60.0)
    except ValueError:
        raise BoardError(f"{_TIMEOUT} is {text!r}", f"{_TIMEOUT}=60, in seconds") from None


def _check(board: Board, metadata: dict[str, Any]) -> None:
    info = board.info
    if info.digest != metadata["digest"]:
        what = (
            f"the firmware holds another model: {info.model} {info.digest[:16]}, this bundle is "
            f"{metadata['model']} {metadata['digest'][:16]}"
        )
        raise BoardError(what, "build and flash the firmware of this bundle")
