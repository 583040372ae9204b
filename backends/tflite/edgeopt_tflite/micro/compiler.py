"""The files of a model for a microcontroller: the ``.tflite`` file, and it as C++ source."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from edgeopt_tflite.micro.arena import measure_arena
from edgeopt_tflite.micro.c_source import c_files

if TYPE_CHECKING:
    from edgeopt.lowering import ModelFiles

__all__ = ["micro_files"]


def micro_files(model: ModelFiles) -> ModelFiles:
    """Returns ``model`` with what a program with TFLite for Micro compiles, and what that takes.

    Raises:
        PluginError: The wheel of TFLM is not installed.
        CompileError: TFLM cannot run the file.
    """
    content = model.files[model.entry]
    arena = measure_arena(content)
    sources = c_files(content, model.operators, arena.total_bytes)
    facts = {"arena_bytes": arena.total_bytes, "micro": asdict(arena)}
    return replace(model, files={**model.files, **sources}, metadata={**model.metadata, **facts})
