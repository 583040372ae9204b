"""Reads safetensors from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.boundary.files import read_file
from edgeopt.errors import EdgeoptError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    import torch

__all__ = ["decode_tensors", "read_tensors"]

MAX_FILE = 32 << 30


def read_tensors(
    path: Path | str, *, error: type[EdgeoptError] = InputError, hint: str | None = None
) -> dict[str, torch.Tensor]:
    """Returns the tensors of a safetensors file.

    Raises:
        EdgeoptError: It is not such a file, or damaged.
    """
    content = read_file(path, most=MAX_FILE, error=error, hint=hint)
    return decode_tensors(content, where=str(path), error=error, hint=hint)


def decode_tensors(
    content: bytes | bytearray | memoryview,
    *,
    where: str,
    error: type[EdgeoptError] = InputError,
    hint: str | None = None,
) -> dict[str, torch.Tensor]:
    """Returns the tensors of a safetensors file's content.

    Raises:
        EdgeoptError: It is not such a file, or damaged.
    """
    from safetensors.torch import load  # noqa: PLC0415 (heavy)

    try:
        return load(bytes(content))
    except Exception as refused:  # of its own, and torch's for types that it does not have
        what = f"damaged, no safetensors: {refused}"[:500]
        raise error(what, where=where, hint=hint) from refused
