"""Frames on a serial line: byte stuffing (COBS), checksum, sequence number. ``serve.h`` has their form.

Cheshire and Baker, "Consistent overhead byte stuffing", IEEE/ACM Transactions on Networking 7(2), 1999.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

__all__ = ["Frame", "Parser", "packed"]

_HEAD = struct.Struct("<BBHHH")
_CRC = struct.Struct("<I")
_BLOCK = 254
_MOST = 1 << 16
"""Bytes between two zeros; more is noise."""


class Frame(NamedTuple):
    """A request or reply.

    Attributes:
        command: What is asked for.
        status: 0 in a request, and in the reply of one that was carried out.
        session: Number that the host chose; 0 after a reset.
        sequence: Number of the request.
        payload: Its content.
    """

    command: int
    status: int
    session: int
    sequence: int
    payload: bytes


def packed(frame: Frame) -> bytes:
    """Returns the bytes of ``frame`` on the line, with a zero before and after them."""
    head = _HEAD.pack(*frame[:4], len(frame.payload))
    body = head + frame.payload
    return b"\0" + _stuffed(body + _CRC.pack(zlib.crc32(body))) + b"\0"


class Parser:
    """Finds frames in what comes in, in pieces of any size; what is damaged is dropped."""

    def __init__(self) -> None:
        self._rest = b""
        self.noise = 0
        """Bytes that belonged to no frame."""

    def feed(self, content: bytes) -> list[Frame]:
        """Returns the frames that are complete with ``content``."""
        *blocks, self._rest = (self._rest + content).split(b"\0")
        if len(self._rest) > _MOST:
            self.noise += len(self._rest)
            self._rest = b""
        frames = []
        for block in filter(None, blocks):
            frame = _unpacked(block)
            if frame is None:
                self.noise += len(block)
            else:
                frames.append(frame)
        return frames


def _unpacked(block: bytes) -> Frame | None:
    body = _unstuffed(block)
    if body is None or len(body) < _HEAD.size + _CRC.size:
        return None
    content, crc = body[: -_CRC.size], body[-_CRC.size :]
    command, status, session, sequence, size = _HEAD.unpack_from(content)
    payload = content[_HEAD.size :]
    if size != len(payload) or _CRC.pack(zlib.crc32(content)) != crc:
        return None
    return Frame(command, status, session, sequence, payload)


def _stuffed(content: bytes) -> bytes:
    out = bytearray()
    parts = content.split(b"\0")
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        for at in range(0, len(part), _BLOCK):
            piece = part[at : at + _BLOCK]
            out += bytes([len(piece) + 1]) + piece
        if len(part) % _BLOCK == 0 and (part == b"" or not last):
            out.append(1)  # an empty block: a zero, or the end
    return bytes(out)


def _unstuffed(block: bytes) -> bytes | None:
    out, at = bytearray(), 0
    while at < len(block):
        code = block[at]
        piece = block[at + 1 : at + code]
        if len(piece) != code - 1:
            return None
        out += piece
        at += code
        if code <= _BLOCK and at < len(block):
            out.append(0)
    return bytes(out)
