"""Scripts for a device's shell: how one travels, and how its answer is told from noise.

A script is text for ``sh``. Names go into it through `shlex.quote`, and only there. The script itself
travels as one word without anything that a login shell could read otherwise (csh and fish quote
differently), so it makes no difference which shell the user has there.

The answer is framed: whatever a profile, a banner or the transport prints comes before the frame,
and an answer without its last line was cut off.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
from typing import TYPE_CHECKING

import msgspec

from edgeopt.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Answer", "Frame", "chosen_program", "export", "for_any_shell", "quote"]

_PLAIN = re.compile(rb"[A-Za-z0-9 _./=:@+,-]")
_LONGEST = 120_000  # Linux takes 131072 bytes in one argument
# `guard` ends the whole script when a command ends: `sleep`, or `cat` of the script's own input. Its
# output goes nowhere, or the transport would wait for it; `$!` in its trap is that command.
# A guard may outlive its process, where that is killed, and the number can be another's by then: `born`
# sets when a process started, `other` asks whether a number is another's now. Without /proc it is not.
_GUARD = """born() { b=; { read -r b <"/proc/$1/stat"; } 2>/dev/null; set -- ${b##*) }; b=${20}; }
other() { born "$1"; [ -n "$b" ] && [ "$b" != "$2" ]; }
guards=; script=$$; born $$; since=$b; exec 4<&0
guard() {
  ( trap 'kill $!; exit 0' TERM; sh -c "$1" <&4 & wait $!
    other "$script" "$since" || kill -9 "-$script" || kill -9 $script
  ) >/dev/null 2>&1 &
  guards="$guards $!"
}"""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def chosen_program(variable: str, usual: str) -> list[str]:
    """Returns the words of the command that an environment variable names, else ``usual``.

    Raises:
        DeviceError: It has a quote without an end.
    """
    try:
        return shlex.split(os.environ.get(variable, "")) or [usual]
    except ValueError as error:
        raise DeviceError(f"is no command: {error}", where=variable) from error


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

    def around(self, body: str, *, limit_s: int | None = None, watch: bool = False) -> str:
        """Returns ``body`` as a script that says where its answer begins and ends.

        Args:
            body: The script.
            limit_s: Seconds after which the device ends it, with all that it started.
            watch: Whether the device ends it when its input ends: then this machine, or the way to
                it, is gone.
        """
        mark = self._mark
        guards = [f"guard 'exec sleep {limit_s}'"] if limit_s is not None else []
        guards += ["guard 'exec cat'"] if watch else []
        return (
            f'end() {{ printf \'\\n{mark} %s %s\\n\' "$1" "$2" >&2; kill $guards 2>/dev/null; exit 0; }}\n'
            f"printf '{mark}\\n'; printf '{mark}\\n' >&2\n"
            + "\n".join([_GUARD, *guards, "exec 4<&-", body, ""])
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
        output, separator, last = inside.rpartition(f"\n{self._mark} ".encode())
        words = last.decode("ascii", "replace").split()
        if start < 0 or not separator or len(words) != 2 or not words[1].isdigit():  # noqa: PLR2004
            return Answer("", 0, 0, inside or stderr)
        return Answer(words[0], int(words[1]), start + len(begin), output)
