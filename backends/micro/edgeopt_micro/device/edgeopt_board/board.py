"""A board that serves a model: requests and replies, with repeats where the line loses something."""

from __future__ import annotations

import os
import struct
import time
from typing import TYPE_CHECKING, NamedTuple

from .errors import BoardError
from .frames import Frame, Parser, packed

if TYPE_CHECKING:
    from .link import Link

__all__ = ["Board", "Info", "Run", "Tensor"]

PROTOCOL = 1
_BOOT, _INFO, _TENSOR, _STEP, _WRITE, _RUN, _READ, _SELF_TEST, _RESET = range(9)
_NO_ROOM, _NO_SESSION = 4, 5
_STATUS = {1: "an unknown command", 2: "a payload of another size", 3: "no such tensor or bytes"}
_RESULT = {-1: "its arena is missing or misaligned"}
_INFO_FORM = struct.Struct("<HHHHHHIIIIII")
_TENSOR_FORM = struct.Struct("<BBIfi")
_RUN_FORM = struct.Struct("<iQI")
_UNITS = ("", "cycles", "instructions")
_UNKNOWN = 0xFFFFFFFF
_TRIES, _GREETINGS = 3, 5  # opening the port starts some boards anew, which takes seconds


class Info(NamedTuple):
    """What a board says of itself.

    Attributes:
        model: Name of the model.
        digest: Of the program that it was made of.
        board: Name of the board.
        inputs: How many there are.
        outputs: How many there are.
        steps: How many there are.
        payload: Most bytes of a payload.
        unit: What its counter counts: ``cycles``, ``instructions`` or nothing.
        counts_per_second: Of the counter's clock; 0 of instructions, which are no times.
        arena_bytes: Size of the arena.
        arena_there: What there is for it.
        stack_free: Bytes of the stack that were never used; None where it is not known.
    """

    model: str
    digest: str
    board: str
    inputs: int
    outputs: int
    steps: int
    payload: int
    unit: str
    counts_per_second: int
    arena_bytes: int
    arena_there: int
    stack_free: int | None


class Tensor(NamedTuple):
    """An input or output, as ``edgeopt_model.h`` has it."""

    name: str
    dtype: int
    shape: tuple[int, ...]
    size: int
    scale: float
    zero_point: int


class Run(NamedTuple):
    """What a run of some steps took: counts in the board's unit, and the stack that is left."""

    counts: int
    stack_free: int | None


class Board:
    """A board at the other end of a link.

    Args:
        link: The line to it; closed with the board.
        run_timeout_s: How long a run may take.

    Raises:
        BoardError: Nothing that speaks the protocol is there.
    """

    def __init__(self, link: Link, *, run_timeout_s: float = 60.0) -> None:
        self._link, self._parser = link, Parser()
        self._run_timeout_s = run_timeout_s
        self._sequence = 0
        self._session = int.from_bytes(os.urandom(2), "little") | 1
        self._greeted = False
        self.info = self._greet()

    def tensor(self, side: int, index: int) -> Tensor:
        """Returns input (``side`` 0) or output (1) number ``index``."""
        payload = self._ask(_TENSOR, struct.pack("<BH", side, index))
        dtype, rank, size, scale, zero_point = _TENSOR_FORM.unpack_from(payload)
        shape = struct.unpack_from(f"<{rank}I", payload, _TENSOR_FORM.size)
        name = _texts(payload[_TENSOR_FORM.size + 4 * rank :])[0]
        return Tensor(name, dtype, shape, size, scale, zero_point)

    def step(self, index: int) -> str:
        """Returns the name of the value that step ``index`` makes."""
        return _texts(self._ask(_STEP, struct.pack("<H", index)))[0]

    def write(self, index: int, content: bytes) -> None:
        """Writes input ``index``."""
        head = struct.Struct("<HI")
        most = self.info.payload - head.size
        for at in range(0, len(content), most):
            self._ask(_WRITE, head.pack(index, at) + content[at : at + most])

    def read(self, index: int, size: int) -> bytes:
        """Returns output ``index``, of ``size`` bytes."""
        content = b""
        while len(content) < size:
            part = min(self.info.payload, size - len(content))
            piece = self._ask(_READ, struct.pack("<HIH", index, len(content), part))
            if len(piece) != part:
                raise self._wrong(f"{len(piece)} bytes of an output, {part} were asked for")
            content += piece
        return content

    def run(self, first: int = 0, last: int | None = None) -> Run:
        """Runs steps ``first`` to ``last`` - 1; all where they are not said."""
        asked = struct.pack("<HH", first, self.info.steps if last is None else last)
        payload = self._ask(_RUN, asked, timeout_s=self._run_timeout_s)
        result, counts, stack = _RUN_FORM.unpack(payload)
        if result != 0:
            what = _RESULT.get(result, f"error {result}")
            hint = "give it memory at a multiple of arena_align, in RAM (edgeopt_model.h)"
            raise BoardError(f"the board cannot run the model: {what}", hint)
        return Run(counts, None if stack == _UNKNOWN else stack)

    def self_test(self) -> int | None:
        """Returns how many values the firmware's own test finds wrong; None where it has none."""
        asked = self._ask(_SELF_TEST, b"", timeout_s=self._run_timeout_s)
        wrong = int(struct.unpack("<i", asked)[0])
        return None if wrong < 0 else wrong

    def reset(self) -> None:
        """Starts the board anew, and greets it."""
        self._ask(_RESET, b"")
        self._greeted = False
        self.info = self._greet()

    def close(self) -> None:
        """Closes the link. A second call does nothing."""
        self._link.close()

    def _greet(self) -> Info:
        payload = self._ask(_INFO, struct.pack("<H", self._session))
        if len(payload) < _INFO_FORM.size:
            raise self._wrong(f"{len(payload)} bytes of facts")
        protocol, *counts = _INFO_FORM.unpack_from(payload)
        if protocol != PROTOCOL:
            what = f"the firmware speaks protocol {protocol}, this speaks {PROTOCOL}"
            raise BoardError(what, "build and flash the firmware of this bundle")
        room, inputs, outputs, steps, unit, clock, arena, align, off, there, stack = counts
        model, digest, board = _texts(payload[_INFO_FORM.size :])[:3]
        if there < arena:
            what = f"the arena needs {arena} bytes of RAM; the firmware has {there} for it"
            raise BoardError(what, "a smaller model, or more memory for edgeopt_serve")
        if off:
            what = f"its arena is misplaced: {off} bytes beyond a multiple of {align}"
            raise BoardError(what, f"place it at a multiple of {align} (edgeopt_model.h)")
        self._greeted = True
        return Info(
            model, digest, board, inputs, outputs, steps, room, _UNITS[unit], clock, arena, there,
            None if stack == _UNKNOWN else stack,
        )  # fmt: skip

    def _ask(self, command: int, payload: bytes, timeout_s: float | None = None) -> bytes:
        """Returns the payload of the reply; asks again where none comes.

        A run is not asked for again before the board is known to wait for a request.
        """
        limit = self._link.timeout_s if timeout_s is None else timeout_s
        tries = {_RUN: 1, _SELF_TEST: 1, _RESET: 1, _INFO: _GREETINGS}.get(command, _TRIES)
        for _ in range(tries):
            self._sequence = (self._sequence + 1) & 0xFFFF
            request = Frame(command, 0, self._session, self._sequence, payload)
            self._link.write(packed(request), self._link.timeout_s)
            reply = self._reply(request, limit)
            if reply is not None:
                return self._checked(reply)
        raise self._silence(command, limit * tries)

    def _reply(self, request: Frame, timeout_s: float) -> Frame | None:
        ends = time.monotonic() + timeout_s
        while (left := ends - time.monotonic()) > 0:
            for frame in self._parser.feed(self._link.read(left)):
                if frame.command == _BOOT and self._greeted:
                    raise _reset_error()
                if (frame.command, frame.sequence) == (request.command, request.sequence):
                    return frame
        return None

    def _checked(self, reply: Frame) -> bytes:
        if reply.status == _NO_SESSION:
            raise _reset_error()
        if reply.status == _NO_ROOM:
            raise self._wrong("its arena cannot be used")
        if reply.status:
            raise self._wrong(_STATUS.get(reply.status, f"status {reply.status}"))
        return reply.payload

    def _silence(self, command: int, passed_s: float) -> BoardError:
        name, noise = self._link.name, self._parser.noise
        if noise:
            what = f"{name}: {noise} bytes came in {passed_s:g} s, but no reply among them"
            return BoardError(what, "is it the firmware of this bundle, and the right baud rate?")
        if command == _RUN:
            what = f"{name}: no end of the run within {passed_s:g} s"
            return BoardError(what, "EDGEOPT_BOARD_TIMEOUT=SECONDS for a slow one; else reset it")
        what = f"{name}: the board answers nothing within {passed_s:g} s"
        return BoardError(what, "flash the bundle's firmware, reset the board, check port and baud")

    def _wrong(self, what: str) -> BoardError:
        hint = "build and flash the firmware of this bundle"
        return BoardError(f"{self._link.name}: the board answers wrongly: {what}", hint)


def _reset_error() -> BoardError:
    what = "the board was reset in the middle"
    return BoardError(what, "a fault, a watchdog, too little stack or current: look, and run again")


def _texts(content: bytes) -> list[str]:
    texts = [part.decode("utf-8", "replace") for part in content.split(b"\0")]
    return [*texts, "", "", ""]
