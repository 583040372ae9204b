"""What is known of a model at a peer: one line of JSON, which a later run does not measure again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgeopt.files import write_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Row", "Timing", "read_rows", "stored", "write_rows"]


class Timing(msgspec.Struct, frozen=True):
    """The latency with so many threads.

    Attributes:
        threads: How many; the process has as many cores.
        median_ms: Of one call, input and output in float.
        ratio: To edgeopt's on ``beside``, medians of the same rounds; below 1 the peer is faster.
        low: Lower end of the 95 % interval of that.
        high: Upper end.
    """

    threads: int
    median_ms: float
    ratio: float
    low: float
    high: float


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model at a peer.

    Attributes:
        model: Name of the case.
        peer: Name of the peer with its preset.
        precision: What the artefact computes in, as the peer says.
        failure: Why there is no artefact or no answer; empty where there is.
        stage: Where it failed: ``install``, ``deploy``, ``load`` or ``run``.
        size_mb: The artefact's files, in 10^6 bytes.
        deploy_s: From the start of the process to the artefact.
        processor_s: The same on processors, all threads added.
        peak_mb: Of memory meanwhile, in MiB.
        figures: Of accuracy: ``snr_db``, ``agreement``, ``task`` and ``task_float``, as far as they apply.
        timings: One for each number of threads.
        beside: The peer that ratios are to.
    """

    model: str
    peer: str
    precision: str = ""
    failure: str = ""
    stage: str = ""
    size_mb: float | None = None
    deploy_s: float | None = None
    processor_s: float | None = None
    peak_mb: float | None = None
    figures: dict[str, float] = {}
    timings: tuple[Timing, ...] = ()
    beside: str = ""


def read_rows(path: Path) -> list[Row]:
    """Returns the rows of the file; none where there is no file."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Row) for line in lines]


def stored(row: Row, path: Path) -> Row:
    """Puts ``row`` in the place of what the file has of its model and peer; returns it."""
    others = [one for one in read_rows(path) if (one.model, one.peer) != (row.model, row.peer)]
    write_rows([*others, row], path)
    return row


def write_rows(rows: Iterable[Row], path: Path) -> None:
    """Writes the file anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
