"""A program without its rounding: what quantization noise is measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.contracts.storage import Precision
from edgeopt.ir import Editor
from edgeopt.passes import run_core

if TYPE_CHECKING:
    from edgeopt.ir import Program

__all__ = ["float_program"]


def float_program(program: Program) -> Program:
    """Returns ``program`` with its own weights and without any rounding: a float one as it is."""
    if program.precision == Precision.FLOAT32:
        return program
    editor = Editor(program)
    editor.quant.clear()
    # An alias with parameters of its own was a rounding; without them it is nothing.
    return run_core(editor.finish(precision="float32"))
