"""A board that QEMU emulates: a process of its own, whose serial line is its standard input and output."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import Any

from .errors import BoardError
from .firmware import Layout, build
from .link import Link
from .machines import MACHINES, Machine

__all__ = ["EmulatorLink", "command", "emulator_layout", "start_emulator"]

_INSTALL = {
    "qemu-system-arm": "sudo apt-get install qemu-system-arm",
    "qemu-system-riscv32": "sudo apt-get install qemu-system-misc",
}
_TIMEOUT_S = 60.0  # its bytes go one by one, each after a switch of threads: slow on a busy machine
_PRCTL: Any = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


class EmulatorLink(Link):
    """The serial line of an emulator, which ends with it.

    Args:
        words: Its command line.
        folder: What it needs, removed when it has ended.
    """

    def __init__(self, words: list[str], folder: str = "") -> None:
        self._folder = folder
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the link)
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            preexec_fn=_die_with_parent if _PRCTL else None,  # noqa: PLW1509 (one system call)
        )
        source, sink = self._process.stdout, self._process.stdin
        assert source is not None and sink is not None  # noqa: S101, PT018 (pipes were asked for)
        super().__init__(source.fileno(), sink.fileno(), os.path.basename(words[0]), _TIMEOUT_S)

    def close(self) -> None:
        """Ends the emulator. A second call does nothing."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _lost(self, error: OSError | None) -> BoardError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        self._errors.seek(0)
        text = self._errors.read().decode("utf-8", "replace").strip()[-1000:]
        return BoardError(f"the emulator ended: {text or error or 'it said nothing'}")


def start_emulator(folder: str, metadata: dict[str, Any]) -> EmulatorLink:
    """Returns the line to an emulator that runs the artefact's firmware, built now.

    Args:
        folder: Where the artefact lies.
        metadata: The artefact's.

    Raises:
        BoardError: It cannot be built or started, or is too large for the target.
    """
    board = metadata["board"]
    machine = MACHINES.get(board["emulator"])
    if machine is None:
        what = f"there is no emulator for {board['target']}"
        raise BoardError(what, "run it on a board: EDGEOPT_BOARD=serial:/dev/ttyACM0")
    program = shutil.which(machine.program)
    if program is None:
        what = f"the emulator {machine.program} is not installed"
        raise BoardError(what, _INSTALL[machine.program])
    into = tempfile.mkdtemp(prefix="edgeopt-board-")
    try:
        elf, _ = build(folder, metadata, emulator_layout(folder, board, machine), into)
        words = command(program, board, machine, elf)
        return EmulatorLink([*words, "-chardev", _LINE, "-serial", "chardev:line"], into)
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise


_LINE = "stdio,id=line,signal=off"


def emulator_layout(folder: str, board: dict[str, Any], machine: Machine) -> Layout:
    """Returns the memory map: at the emulator's addresses, as much as the target has where that is there."""
    sources = tuple(os.path.join(folder, "firmware", name) for name in machine.sources)
    defines = [
        f'BOARD_NAME="QEMU {board["emulator"]}"',
        f"BOARD_TICK_QUARTER_NS={round(4 * machine.tick_ns)}u",
        f"UART={machine.uart:#x}u",
    ]
    ram = min(machine.ram[1], board["ram_bytes"])
    flash = machine.flash  # all of it: what is too large for the target is told in numbers
    return Layout(flash, (machine.ram[0], ram), sources, tuple(defines), machine.vectors)


def command(program: str, board: dict[str, Any], machine: Machine, elf: str) -> list[str]:
    """Returns the emulator's command line, without its serial line."""
    sizes = {"flash": machine.flash[1], "ram": min(machine.ram[1], board["ram_bytes"])}
    options = [option.format(**sizes) for option in machine.options]
    quiet = ("-display", "none", "-monitor", "none", "-nodefaults")
    return [
        *(program, "-machine", board["emulator"], *quiet, "-icount", "shift=0", *options),
        *("-kernel", elf),
    ]


def _die_with_parent() -> None:
    """Has the kernel end the emulator when who started it is killed."""
    _PRCTL(_SET_DEATH_SIGNAL, signal.SIGKILL)
