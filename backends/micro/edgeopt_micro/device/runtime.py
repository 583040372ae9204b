"""Runs a model on the board at the end of a serial line, real or emulated. numpy; Python 3.9.

This module runs on the host: the board holds a firmware that serves the model (``serve.h``).
"""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Any

from edgeopt_board.errors import BoardError
from edgeopt_board.opening import open_board
from edgeopt_board.ports import Port

if TYPE_CHECKING:
    import numpy as np
    from edgeopt_board.board import Board

__all__ = ["Model"]

_INPUT, _OUTPUT = 0, 1


class Model:
    """A model on a board that answers as the float model does.

    Args:
        path: The artefact's entry, ``src/model.c``.
        metadata: What the compiler noted.
        threads: Not used: the board has one.
    """

    def __init__(self, path: str, metadata: dict[str, Any], threads: int = 0) -> None:
        del threads
        self._board: Board = open_board(
            os.path.dirname(os.path.dirname(os.path.abspath(path))), metadata
        )
        atexit.register(self.close)
        info = self._board.info
        self._inputs = self._ports(metadata["inputs"], _INPUT)
        self._outputs = self._ports(metadata["outputs"], _OUTPUT)
        self._stack_free = info.stack_free

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Returns the outputs in the float model's shapes and types."""
        self._fill(inputs)
        self._run(0, self._board.info.steps)
        parts = [self._board.read(place, port.size) for place, port in enumerate(self._outputs)]
        return [port.unpacked(part) for port, part in zip(self._outputs, parts)]

    def counts(self, runs: int, *inputs: np.ndarray) -> dict[str, Any]:
        """Returns what the board's own counter says of ``runs`` runs.

        Returns:
            ``unit`` (``cycles`` or ``instructions``), ``counts`` (one for each run) and, of cycles,
            ``per_second``: the clock in Hz.
        """
        unit = self._unit()
        counts = []
        for _ in range(runs):  # inputs lie in the arena: a run may overwrite them
            self._fill(inputs)
            counts.append(self._run(0, self._board.info.steps))
        clock = self._board.info.counts_per_second if unit == "cycles" else None
        return {"unit": unit, "counts": counts, "per_second": clock}

    def step_counts(self, *inputs: np.ndarray) -> dict[str, Any]:
        """Returns what each step takes in one run, by the board's own counter.

        Returns:
            ``unit``, ``per_second``, and ``steps``: ``name``, ``layers`` and ``count``.
        """
        whole = self.counts(1, *inputs)
        self._fill(inputs)
        steps = []
        for place in range(self._board.info.steps):
            name = self._board.step(place)
            count = self._run(place, place + 1)
            steps.append({"name": name, "kind": name, "layers": [name], "count": count})
        return {**whole, "steps": steps}

    def self_test(self) -> int | None:
        """Returns how many values the library's own test finds wrong; None where it has none."""
        wrong: int | None = self._board.self_test()
        return wrong

    def facts(self) -> dict[str, Any]:
        """Returns what the board says of itself."""
        info = self._board.info._asdict()
        return {"name": "edgeopt-micro", "version": "1", **info, "stack_free": self._stack_free}

    def memory_bytes(self) -> int:
        """Returns the arena's bytes: what the model needs of the board's RAM beside its stack."""
        size: int = self._board.info.arena_bytes
        return size

    def device(self) -> dict[str, Any]:
        """Returns the board's facts in place of this machine's."""
        return {"board": self._board.info.board, "cores": 1}

    def close(self) -> None:
        """Ends the connection, and the emulator. A second call does nothing."""
        self._board.close()

    def _ports(self, tensors: list[dict[str, Any]], side: int) -> list[Port]:
        ports = [Port(tensor) for tensor in tensors]
        for place, port in enumerate(ports):
            size = self._board.tensor(side, place).size
            if size != port.size:
                what = f"the board's tensor has {size} bytes, the bundle's {port.size}"
                raise BoardError(what, "build and flash the firmware of this bundle")
        return ports

    def _fill(self, inputs: tuple[np.ndarray, ...]) -> None:
        if len(inputs) != len(self._inputs):
            raise ValueError(f"{len(inputs)} inputs, {len(self._inputs)} expected")
        for place, (port, array) in enumerate(zip(self._inputs, inputs)):
            self._board.write(place, port.packed(array))

    def _run(self, first: int, last: int) -> int:
        done = self._board.run(first, last)
        self._stack_free = done.stack_free
        counts: int = done.counts
        return counts

    def _unit(self) -> str:
        unit: str = self._board.info.unit
        if not unit:
            hint = "write board_count and board.unit for it (firmware/board.h)"
            raise BoardError(f"{self._board.info.board} has no counter", hint)
        return unit
