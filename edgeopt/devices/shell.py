"""Scripts for a device's shell: how one travels, and how its answer is told from noise.

A script is text for ``sh``. Names go into it through `shlex.quote`, and only there. The script itself
travels as one word without anything that a login shell could read otherwise (csh and fish quote
differently), so it makes no difference which shell the user has there.

The answer is framed: whatever a profile, a banner or the transport prints comes before the frame,
and an answer without its last line was cut off.
"""

from __future__ import annotations

import re
import secrets
import shlex
from typing import TYPE_CHECKING

import msgspec

from edgeopt.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Answer", "Frame", "export", "for_any_shell", "quote"]

_PLAIN = re.compile(rb"[A-Za-z0-9 _./=:@+,-]")
_LONGEST = 120_000  # Linux takes 131072 bytes in one argument
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def quote(text: object) -> str:
    """Returns ``text`` as one word of a script.

    Raises:
        DeviceError: It holds a NUL, which no program can be given.
    """
    word = str(text)
    if "\0" in word:
        raise DeviceError("could not be started: a NUL in an argument", where=repr(word)[:80])
    return shlex.quote(word)


def export(env: Mapping[str, str]) -> str:
    """Returns the part of a script that sets variables.

    Raises:
        DeviceError: A name is none that a shell can set.
    """
    for name in env:
        if not _NAME.fullmatch(name):
            raise DeviceError(f"{name!r} cannot be the name of a variable", where="env")
    return "".join(f"export {name}={quote(value)}; " for name, value in env.items())


def for_any_shell(script: str) -> str:
    """Returns a line that makes any login shell hand ``script`` to ``sh``.

    Raises:
        DeviceError: The script is too long for one argument.
    """
    encoded = "".join(
        chr(byte) if _PLAIN.match(bytes([byte])) else f"\\0{byte:03o}"
        for byte in script.encode("utf-8", "surrogateescape")
    )
    line = f'exec sh -c \'eval "$(printf "%b" "{encoded}")"\''
    if len(line) > _LONGEST:
        hint = "write it to a file, push that, and name the file"
        raise DeviceError("the command is too long", where="arguments", hint=hint)
    return line


class Answer(msgspec.Struct, frozen=True):
    """How a script ended.

    Attributes:
        word: What it said of its end; empty where it was cut off.
        number: The number that it said with it.
        stdout_at: Where its output begins, in bytes.
        stderr: Its error output, without the frame; all of it where it was cut off.
    """

    word: str
    number: int
    stdout_at: int
    stderr: bytes


class Frame:
    """One script's frame. Scripts end with ``end WORD NUMBER``."""

    def __init__(self) -> None:
        self._mark = f"@edgeopt-{secrets.token_hex(8)}"

    def around(self, body: str) -> str:
        """Returns ``body`` as a script that says where its answer begins and ends."""
        mark = self._mark
        return (
            f'end() {{ printf \'\\n{mark} %s %s\\n\' "$1" "$2" >&2; exit 0; }}\n'
            f"printf '{mark}\\n'; printf '{mark}\\n' >&2\n{body}\n"
        )

    def read(self, head: bytes, stderr: bytes) -> Answer:
        """Returns the answer in what came back.

        Args:
            head: The first bytes of its output.
            stderr: All of its error output.
        """
        begin = f"{self._mark}\n".encode()
        start = head.find(begin)
        _, _, inside = stderr.partition(begin)
        said, found, last = inside.rpartition(f"\n{self._mark} ".encode())
        words = last.decode("ascii", "replace").split()
        if start < 0 or not found or len(words) != 2 or not words[1].isdigit():  # noqa: PLR2004
            return Answer("", 0, 0, inside or stderr)
        return Answer(words[0], int(words[1]), start + len(begin), said)
