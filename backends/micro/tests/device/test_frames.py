"""Byte stuffing and checksums: what goes in comes out, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest
from edgeopt_board.frames import Frame, Parser, packed

PAYLOADS = [b"", b"\0", b"\0" * 600, b"\1" * 246, b"\1" * 247, b"x" * 254, b"x" * 508, b"x\0" * 300]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_frame_comes_back(payload):
    frame = Frame(5, 0, 0x1234, 0xFF00, payload)
    line = packed(frame)
    assert b"\0" not in line.strip(b"\0")
    assert Parser().feed(line) == [frame]


def test_frames_come_in_pieces_of_any_size():
    frames = [Frame(1, 0, 7, number, bytes([number]) * number) for number in range(20)]
    line = b"".join(map(packed, frames))
    parser = Parser()
    assert [f for at in range(0, len(line), 3) for f in parser.feed(line[at : at + 3])] == frames
    assert parser.noise == 0


def test_no_damaged_frame_is_taken():
    line = packed(Frame(5, 0, 1, 2, bytes(range(64))))
    for place in range(1, len(line) - 1):
        for bit in range(8):
            damaged = bytearray(line)
            damaged[place] ^= 1 << bit
            assert Parser().feed(bytes(damaged)) == []


def test_a_frame_after_noise_is_taken():
    noise = np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8).tobytes()
    frame = Frame(5, 0, 1, 2, b"abc")
    parser = Parser()
    assert parser.feed(noise + packed(frame))[-1] == frame
    assert parser.noise > 4900


def test_noise_without_an_end_takes_no_memory():
    parser = Parser()
    for _ in range(8):
        parser.feed(b"\1" * (1 << 14))
    assert parser.noise >= 1 << 16
