"""A board that holds another program is flashed by the user's tool: here one that starts an emulator."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec
import pytest
from edgeopt_board import emulator
from edgeopt_board.errors import BoardError
from edgeopt_board.flashing import flash
from edgeopt_board.linker import linker_script
from serial_port import scripted_port
from tiny import artifact_of, expected, laid_out, sample, target_of

from edgeopt.contracts import MemoryRegion
from edgeopt_micro.board import board_metadata, firmware_files

KIB = 1024
TOOL = r"""
import os, re, shutil, subprocess, sys
elf, port, pid = sys.argv[1:]
elf = shutil.copy(elf, pid + ".elf")  # the emulator says its port before it reads the program, which goes with this tool
words = ["qemu-system-arm", "-machine", "mps2-an385", "-display", "none", "-monitor", "none", "-nodefaults"]
words += ["-icount", "shift=0", "-kernel", elf, "-serial", "pty"]
process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
open(pid, "w").write(str(process.pid))
found = re.search(rb"redirected to (\S+)", process.stdout.readline())[1].decode()
os.remove(port)
os.symlink(found, port)
"""
BOARD = """
#define UART 0x40004000u
#define BOARD_NAME "my board"
#include "../artefact0/firmware/board_mps.c"
"""


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A board's own folder."""
    folder = tmp_path / "my_board"
    folder.mkdir()
    files = firmware_files()
    counter = b"#define BOARD_TICK_QUARTER_NS 160u\n" + files["firmware/count_qemu.c"]
    (folder / "board.c").write_text(BOARD)
    (folder / "count.c").write_bytes(counter)
    (folder / "start.c").write_bytes(files["firmware/start_cortex_m.c"])
    monkeypatch.setenv("EDGEOPT_BOARD_SOURCES", str(folder))
    return folder


@pytest.mark.qemu
def test_a_silent_board_is_flashed(m3, sources, tmp_path, monkeypatch, model_of):
    tool, port, pid = tmp_path / "tool.py", tmp_path / "port", tmp_path / "pid"
    tool.write_text(TOOL)
    monkeypatch.setenv("EDGEOPT_FLASH", f"{sys.executable} {tool} {{elf}} {port} {pid}")
    with scripted_port(lambda _: b"") as silent:
        port.symlink_to(silent)
        try:
            # the second link is to the emulator: long enough for a busy machine
            model = model_of(artifact_of(m3), f"serial:{port}?timeout=5")
            assert model.facts()["board"] == "my board"
            assert model(*sample())[0].tobytes() == expected(*sample())[0].tobytes()
        finally:
            os.kill(int(Path(pid).read_text()), signal.SIGKILL)


def _flash(monkeypatch, tmp_path, command: str) -> None:
    artifact = artifact_of(target_of("M3"))
    laid_out(artifact, tmp_path / "artefact0")
    monkeypatch.setenv("EDGEOPT_FLASH", command)
    flash(str(tmp_path / "artefact0"), artifact.metadata)


def test_a_tool_that_fails(sources, tmp_path, monkeypatch):
    failing = f"{sys.executable} -c \"import sys; sys.exit('no probe')\" {{elf}}"
    with pytest.raises(BoardError, match="ended with status 1: no probe"):
        _flash(monkeypatch, tmp_path, failing)


def test_a_tool_that_is_not_there(sources, tmp_path, monkeypatch):
    with pytest.raises(BoardError, match=r"`no-such-tool .*` failed: .*No such file"):
        _flash(monkeypatch, tmp_path, "no-such-tool {elf}")


def test_a_command_without_the_program(sources, tmp_path, monkeypatch):
    with pytest.raises(BoardError, match=r"does not name \{elf\}"):
        _flash(monkeypatch, tmp_path, "pyocd flash")


def test_a_board_without_sources(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEOPT_BOARD_SOURCES", str(tmp_path / "nothing"))
    with pytest.raises(BoardError, match="a folder without C files"):
        _flash(monkeypatch, tmp_path, "pyocd flash {elf}")


def test_the_linker_script_has_the_map():
    script = linker_script((0x1000, 0x8000), (0x20000000, 0x4000), stack=1024)
    assert "FLASH (rx) : ORIGIN = 0x1000, LENGTH = 0x8000" in script
    assert "arena_end = ABSOLUTE(0x20000000 + 0x4000)" in script


def test_the_arena_may_lie_in_memory_of_its_own():
    script = linker_script(
        (0, 0x8000), (0x20000000, 0x4000), stack=1024, arena=(0x24000000, 0x80000)
    )
    assert "arena_end = ABSOLUTE(0x24000000 + 0x80000);\n  } > ARENA" in script
    same = (0x20000000, 0x4000)
    assert "} > ARENA" not in linker_script((0, 0x8000), same, stack=1024, arena=same)


@pytest.mark.qemu
def test_an_arena_apart_on_the_emulated_core(m3, model_of, monkeypatch):
    own = emulator.emulator_layout
    apart = (0x20000000, 4 << 20)  # of an385, before the memory that the stack is in
    monkeypatch.setattr(emulator, "emulator_layout", lambda *a: own(*a)._replace(arena=apart))
    model = model_of(artifact_of(m3))
    assert model(*sample())[0].tobytes() == expected(*sample())[0].tobytes()


@pytest.mark.parametrize(
    ("regions", "arena_kb", "ram", "arena"),
    [
        ([(0x20000000, 128), (0x24000000, 512)], 100, (0x20000000, 128), (0x20000000, 128)),
        ([(0x20000000, 128), (0x24000000, 512)], 126, (0x24000000, 512), (0x20000000, 128)),
        ([(0x20000000, 128), (0x24000000, 512)], 300, (0x20000000, 128), (0x24000000, 512)),
        ([(0x24000000, 512), (0x20000000, 128)], 510, (0x20000000, 128), (0x24000000, 512)),
        ([(0x20000000, 192), (0x20030000, 64)], 240, (0x20000000, 256), (0x20000000, 256)),
        ([(0x20000000, 8)], 100, (0x20000000, 8), (0x20000000, 8)),  # refused later, with numbers
    ],
)
def test_the_arena_lies_where_it_fits(regions, arena_kb, ram, arena):
    micro = target_of("M3").microcontroller
    flash = [region for region in micro.regions if region.kind == "flash"]
    held = tuple(MemoryRegion(f"r{k}", "ram", *one) for k, one in enumerate(regions))
    micro = msgspec.structs.replace(micro, regions=(*flash, *held), reserved_ram_kb=4)
    board = board_metadata(target_of("M3"), micro, "d", arena_kb * KIB)["board"]
    assert (board["ram"], board["arena"]) == ([ram[0], ram[1] * KIB], [arena[0], arena[1] * KIB])
