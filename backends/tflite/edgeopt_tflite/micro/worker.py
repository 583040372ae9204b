"""Runs a model once in TFLM's interpreter, in a process of its own: in too small an arena it may end it.

``python worker.py MODEL ARENA_BYTES``: what TFLM allocated, or what went wrong, is on standard error. It imports
nothing of edgeopt: it starts once for each size that is tried.
"""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["run_once"]


def run_once(model: bytes, arena_bytes: int) -> None:
    """Runs ``model`` on zeros in an arena of ``arena_bytes``, and prints its allocations.

    Raises:
        RuntimeError: It does not fit, or a kernel failed; what and why is on standard error.
    """
    from tflite_micro import runtime  # noqa: PLC0415 (not for who imports this)

    interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena_bytes)
    interpreter.invoke()
    interpreter.print_allocations()


if __name__ == "__main__":
    run_once(Path(sys.argv[1]).read_bytes(), int(sys.argv[2]))
