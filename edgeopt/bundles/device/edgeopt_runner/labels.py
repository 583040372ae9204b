"""The classes with the highest scores, as text."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .bundle import USAGE, WRONG, Stop, open_plain, shown

__all__ = ["print_top", "read_labels"]

MAX_LABEL_BYTES = 16 << 20


def print_top(output: Any, count: int, labels: list[str]) -> None:
    """Prints the ``count`` highest scores of each row: rank, score, class, label."""
    rows = np.asarray(output).reshape(-1, output.shape[-1] if output.ndim else 1)
    if labels and len(labels) < rows.shape[1]:
        raise Stop(USAGE, f"{len(labels)} labels for {rows.shape[1]} classes")
    if rows.dtype.kind == "f" and np.isnan(rows).any():
        raise Stop(WRONG, "scores are NaN: they name no class", "look at the input's values")
    for number, row in enumerate(rows):
        if len(rows) > 1:
            print(f"row {number}")
        best = np.argsort(-row.astype(np.float64), kind="stable")[:count]
        for rank, index in enumerate(best, 1):
            label = f"  {shown(labels[index])}" if labels else ""
            print(f"{rank:3d}  {float(row[index]):12.6g}  {index}{label}")


def read_labels(path: str | None, root: str, manifest: dict[str, Any]) -> list[str]:
    """Returns the classes' names, one a line of the file; none where there is no file."""
    if path is None and manifest.get("labels"):
        path = os.path.join(root, manifest["labels"])
    if path is None:
        return []
    try:
        with open_plain(path, follow=True) as stream:
            content: bytes = stream.read(MAX_LABEL_BYTES + 1)
        if len(content) > MAX_LABEL_BYTES:
            raise OSError(f"more than {MAX_LABEL_BYTES >> 20} MiB")
        return content.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Stop(USAGE, f"{path}: labels cannot be read: {error}") from error
