"""Boards that answer nothing, send noise, are reset in the middle, or hold another model."""

from __future__ import annotations

import os
import shutil

import msgspec
import pytest
from edgeopt_board.board import Board
from edgeopt_board.emulator import start_emulator
from edgeopt_board.errors import BoardError
from edgeopt_board.frames import Parser, packed
from edgeopt_board.link import SerialLink
from edgeopt_board.opening import open_board, parse_port
from serial_port import scripted_port
from tiny import ARENA_BYTES, OTHER_DIGEST, artifact_of, expected, sample, target_of


def _greeted(board_answers):
    with scripted_port(board_answers) as port:
        link = SerialLink(port, timeout_s=0.05)
        try:
            return Board(link)
        finally:
            link.close()


def test_a_silent_board():
    with pytest.raises(BoardError, match=r"answers nothing within 0\.25 s") as caught:
        _greeted(lambda _: b"")
    assert "reset the board, check port and baud" in caught.value.hint


def test_a_board_that_sends_noise():
    with pytest.raises(BoardError, match=r"bytes came in .* but no reply among them") as caught:
        _greeted(lambda _: os.urandom(64) + b"\0")
    assert "baud rate" in caught.value.hint


def _info(protocol: int, digest: bytes = b"ab") -> bytes:
    head = protocol.to_bytes(2, "little") + b"\0\2" + bytes(32)
    return head + b"tiny\0" + digest + b"\0a board\0"


def _replying(payload: bytes):
    def reply(piece: bytes) -> bytes:
        frames = Parser().feed(piece)
        return b"".join(packed(one._replace(payload=payload)) for one in frames)

    return reply


def test_a_firmware_of_another_protocol():
    with pytest.raises(BoardError, match="speaks protocol 2, this speaks 1"):
        _greeted(_replying(_info(2)))


def test_a_firmware_that_says_too_little():
    with pytest.raises(BoardError, match="answers wrongly: 3 bytes of facts"):
        _greeted(_replying(b"abc"))


@pytest.mark.parametrize("status", [1, 2, 3, 9])
def test_a_firmware_that_refuses(status):
    with pytest.raises(BoardError, match="answers wrongly"):
        _greeted(
            lambda piece: b"".join(packed(f._replace(status=status)) for f in Parser().feed(piece))
        )


def test_a_port_that_is_not_there_or_no_port(tmp_path):
    with pytest.raises(BoardError, match="cannot be opened: No such file"):
        SerialLink("/dev/nowhere0")
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    with pytest.raises(BoardError, match="is no serial port"):
        SerialLink(str(plain))


def test_a_port_in_use_and_a_strange_speed():
    with scripted_port(lambda _: b"") as port:
        link = SerialLink(port)
        with pytest.raises(BoardError, match="is in use by another program"):
            SerialLink(port)
        link.close()
        with pytest.raises(BoardError, match="at 12345 baud"):
            SerialLink(port, 12345)


@pytest.mark.parametrize(
    "spec", ["", "?baud=9600", "/dev/ttyACM0?baud=fast", "/dev/x?speed=1", "/dev/x?timeout=0"]
)
def test_a_port_that_says_something_else(spec):
    with pytest.raises(BoardError, match="is no serial port"):
        parse_port(spec)


@pytest.mark.parametrize("spec", ["", "usb", "emulated:x"])
def test_a_board_that_nobody_knows(spec, monkeypatch):
    monkeypatch.setenv("EDGEOPT_BOARD", spec)
    with pytest.raises(BoardError, match="no board") as caught:
        open_board("/nowhere", {})
    assert "EDGEOPT_BOARD=emulated" in caught.value.hint


@pytest.mark.qemu
@pytest.mark.parametrize("core", ["M3", "RV32"])
def test_a_fault_in_the_model_resets_the_board(core, model_of):
    model = model_of(artifact_of(target_of(core), "TINY_FAULT"))
    with pytest.raises(BoardError, match="the board was reset in the middle"):
        model(*sample())


@pytest.mark.qemu
def test_a_board_that_was_reset_serves_again(m3, model_of):
    model = model_of(artifact_of(m3))
    (x,) = sample()
    model(x)
    model._board.reset()
    assert model(x)[0].tobytes() == expected(x)[0].tobytes()


@pytest.mark.qemu
def test_a_session_that_ended_is_noticed(m3, model_of):
    model = model_of(artifact_of(m3))
    model._board._session += 2  # as after a reset whose frame was lost
    with pytest.raises(BoardError, match="the board was reset in the middle"):
        model(*sample())


@pytest.mark.qemu
def test_noise_on_the_line_is_overcome(m3, model_of):
    model = model_of(artifact_of(m3))
    link, (x,) = model._board._link, sample()
    read, write, count = link.read, link.write, iter(range(1 << 20))

    def noisy_read(timeout_s):
        content = read(timeout_s)
        lost = next(count) % 50 == 49
        return os.urandom(3) if content and lost else content

    def noisy_write(content, timeout_s):
        write(os.urandom(next(count) % 5) + content, timeout_s)

    link.read, link.write, link.timeout_s = noisy_read, noisy_write, 2.0
    for place in range(3):
        model._board.write(0, model._inputs[0].packed(x))
        assert model._board.step(place % 2)
    link.read = read
    assert model(x)[0].tobytes() == expected(x)[0].tobytes()
    assert model._board._parser.noise > 0


@pytest.mark.qemu
def test_a_firmware_of_another_model(m3, model_of):
    with pytest.raises(
        BoardError, match=r"holds another model: tiny abab.*, this bundle is"
    ) as caught:
        model_of(artifact_of(m3, digest=OTHER_DIGEST))
    assert "build and flash the firmware of this bundle" in caught.value.hint


def _with_main(artifact, old: str, new: str):
    main = artifact.files["firmware/main.c"].decode()
    assert old in main
    files = {**artifact.files, "firmware/main.c": main.replace(old, new).encode()}
    return msgspec.structs.replace(artifact, files=files)


@pytest.mark.qemu
def test_a_misaligned_arena(m3, model_of):
    artifact = _with_main(artifact_of(m3), "arena_start,", "arena_start + 4,")
    with pytest.raises(BoardError, match="misplaced: 4 bytes beyond a multiple of 16"):
        model_of(artifact)


@pytest.mark.qemu
def test_a_small_arena(m3, model_of):
    artifact = _with_main(artifact_of(m3), "(uint32_t)(arena_end - arena_start)", "1000")
    with pytest.raises(
        BoardError, match=f"needs {ARENA_BYTES} bytes of RAM; the firmware has 1000"
    ):
        model_of(artifact)


@pytest.mark.qemu
def test_a_model_that_refuses_its_arena(m3, model_of):
    with pytest.raises(
        BoardError, match="cannot run the model: its arena is missing or misaligned"
    ):
        model_of(artifact_of(m3, "TINY_BAD_ARENA"))(*sample())


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("sizes", "what"),
    [
        ({"flash_kb": 2}, r"needs [2-9]\.\d KiB of flash, tiny-m3 has 2\.0 KiB"),
        ({"ram_kb": 7}, r"needs 7\.\d KiB of RAM, tiny-m3 has 7\.0 KiB"),
    ],
)
def test_a_program_too_large_for_the_target(sizes, what, model_of):
    with pytest.raises(BoardError, match=what):
        model_of(artifact_of(target_of("M3", **sizes)))


@pytest.mark.qemu
def test_a_firmware_that_does_not_compile(m3, model_of):
    artifact = _with_main(artifact_of(m3), "board_start();", "no_such_thing();")
    with pytest.raises(BoardError, match=r"the firmware cannot be built: .*no_such_thing"):
        model_of(artifact)


def test_no_emulator_for_the_target(tmp_path):
    artifact = artifact_of(target_of("M3", emulator=""))
    with pytest.raises(BoardError, match="there is no emulator for tiny-m3"):
        start_emulator(str(tmp_path), artifact.metadata)


def test_no_emulator_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(BoardError, match="qemu-system-arm is not installed") as caught:
        start_emulator(str(tmp_path), artifact_of(target_of("M3")).metadata)
    assert caught.value.hint == "sudo apt-get install qemu-system-arm"
