"""Layers one behind the other, executed by stripes of rows: what lies between them is never there as a whole.

As in "MCUNetV2: Memory-Efficient Patch-based Inference for Tiny Deep Learning" (Lin et al., 2021), but by rows
that are kept as long as they are read, so that nothing is computed twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgeopt_micro.calls import KernelCall
from edgeopt_micro.overlap import safe_distance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgeopt_micro.emitter import Step
    from edgeopt_micro.values import Buffer

__all__ = ["MOST_LAYERS", "chains", "striped"]

MOST_LAYERS = 16
"""EDGEOPT_MOST_LAYERS of edgeopt_stripes.h."""
_ALIGNMENT = 16


class _Rows(NamedTuple):
    """What a run by stripes holds and reads.

    Attributes:
        window_rows: For each layer but the last the most rows of its output that are there at once.
        ends: For each stripe the row behind the last output's rows that it writes.
        starts: For each stripe the first row of the input that it reads.
    """

    window_rows: list[int]
    ends: list[int]
    starts: list[int]


def chains(steps: Sequence[Step], kept: set[Buffer]) -> Iterator[range]:
    """Yields the longest runs of layers that can be executed by stripes, two of them at least.

    Args:
        steps: All steps.
        kept: What is read from outside: inputs and outputs of the program.
    """
    start = 0
    for end in range(1, len(steps) + 1):
        if end == len(steps) or not _follows(steps, end, kept):
            if end - start > 1:
                yield range(start, end)
            start = end


def _follows(steps: Sequence[Step], number: int, kept: set[Buffer]) -> bool:
    """Returns whether a step is a layer over the step before it, whose output nobody else reads."""
    before, step = steps[number - 1], steps[number]
    between = before.output.buffer
    touched = sum(value.buffer is between for one in steps for value in (*one.inputs, one.output))
    if not (_is_layer(before) and _is_layer(step)) or between in kept or touched != 2:  # noqa: PLR2004 (written, read)
        return False
    writer, reader = before.call.fields, step.call.fields
    sides = ("height", "width", "channels")
    return step.inputs[0].buffer is between and all(
        writer[f"out_{side}"] == reader[f"in_{side}"] for side in sides
    )


def _is_layer(step: Step) -> bool:
    fields = step.call.fields
    return step.call.struct == "edgeopt_weighted" and fields["batch"] == 1


def striped(steps: Sequence[Step], stripe: int) -> Step:
    """Returns one step that executes ``steps``, a part of a chain, by stripes.

    Args:
        steps: Two layers or more, each of which reads the output of the one before alone.
        stripe: Rows of the last output at a time.
    """
    calls = [step.call for step in steps]
    rows = _rows(calls, stripe)
    offsets, end = [], 0
    for call, height in zip(calls[:-1], rows.window_rows, strict=True):
        offsets.append(end)
        end += -(-height * _pitch(call, "out") // _ALIGNMENT) * _ALIGNMENT
    offsets.append(0)
    distance = safe_distance(
        _pitch(calls[-1], "out") * np.array(rows.ends),
        _pitch(calls[0], "in") * np.array(rows.starts),
        reads_first=True,
    )
    call = KernelCall(
        function="edgeopt_run_stripes",
        struct="edgeopt_stripes",
        fields={"count": len(calls), "stripe": stripe, "own": end},
        sources=tuple(dict.fromkeys(["edgeopt_stripes.h", *(s for c in calls for s in c.sources)])),
        scratch_bytes=end + max(call.scratch_bytes for call in calls),
        overlaps={0: distance},
        layers=tuple(zip(calls, offsets, strict=True)),
    )
    return replace(steps[-1], call=call, inputs=steps[0].inputs)


def _rows(calls: Sequence[KernelCall], stripe: int) -> _Rows:
    """Returns what `edgeopt_run_stripes` holds and reads, by doing the same with numbers alone."""
    last = len(calls) - 1
    ends, firsts, window_rows = [0] * len(calls), [0] * len(calls), [0] * last
    rows = _Rows(window_rows, [], [])
    while ends[last] < _number(calls[last], "out_height"):
        needed = [0] * len(calls)
        needed[last] = min(ends[last] + stripe, _number(calls[last], "out_height"))
        for k in range(last, 0, -1):
            needed[k - 1] = _end_row(calls[k], needed[k])
        rows.starts.append(_first_row(calls[0], ends[0], _number(calls[0], "in_height")))
        for k in range(last):
            firsts[k] = _first_row(calls[k + 1], ends[k + 1], ends[k])
            ends[k] = max(ends[k], needed[k])
            window_rows[k] = max(window_rows[k], ends[k] - firsts[k])
        # What is dropped follows from how far the next layer was before this stripe: as in C, front to back.
        ends[last] = needed[last]
        rows.ends.append(needed[last])
    return rows


def _first_row(call: KernelCall, row: int, most: int) -> int:
    return min(max(row * _number(call, "stride_y") - _number(call, "top"), 0), most)


def _end_row(call: KernelCall, end: int) -> int:
    reach = (_number(call, "kernel_height") - 1) * _number(call, "dilation_y") + 1
    first = (end - 1) * _number(call, "stride_y") - _number(call, "top")
    return min(max(first + reach, 0), _number(call, "in_height"))


def _pitch(call: KernelCall, side: str) -> int:
    """Returns the bytes of a row of a call's input or output."""
    return _number(call, f"{side}_width") * _number(call, f"{side}_channels")


def _number(call: KernelCall, name: str) -> int:
    value = call.fields[name]
    assert isinstance(value, int)  # noqa: S101 (a member of the C struct that is one)
    return value
