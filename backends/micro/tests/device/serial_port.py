"""Serial ports for tests: an emulator's, and one with nobody, or nonsense, at the other end."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import tty
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from edgeopt_board.emulator import command, emulator_layout
from edgeopt_board.firmware import build
from edgeopt_board.machines import MACHINES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edgeopt.contracts import Artifact

_REDIRECTED = re.compile(rb"char device redirected to (\S+)")


@contextmanager
def emulated_port(artifact: Artifact, folder: Path) -> Iterator[str]:
    """Yields the port of an emulator that runs the artefact, its files laid out in ``folder``."""
    board = artifact.metadata["board"]
    machine = MACHINES[board["emulator"]]
    with TemporaryDirectory() as into:
        layout = emulator_layout(str(folder), board, machine)
        elf, _ = build(str(folder), artifact.metadata, layout, into)
        words = [*command(machine.program, board, machine, elf), "-serial", "pty"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            line = process.stdout.readline()
            yield _REDIRECTED.search(line)[1].decode()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


@contextmanager
def scripted_port(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """Yields a port at whose other end each piece that comes in is answered by ``answer``."""
    other, own = os.openpty()
    tty.setraw(own)
    port = os.ttyname(own)
    thread = threading.Thread(target=_answer, args=(other, answer))
    thread.start()
    try:
        yield port
    finally:
        os.write(own, _END)  # arrives at the thread
        thread.join()
        os.close(own)
        os.close(other)


_END = b"\xff the end \xff"


def _answer(other: int, answer: Callable[[bytes], bytes]) -> None:
    while True:
        piece = os.read(other, 4096)
        if _END in piece:
            return
        os.write(other, answer(piece))
