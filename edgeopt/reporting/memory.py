"""Memory over time: the backend's plan, or what the program's order alone needs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgeopt.contracts.storage import STORAGE_TYPES
from edgeopt.reporting.content import Memory, Moment
from edgeopt.reporting.stored import MOST

if TYPE_CHECKING:
    from edgeopt.reporting.content import Layer
    from edgeopt.reporting.stored import Stored

__all__ = ["memory_of"]

FLOAT_BYTES = 4
COMPUTED = (
    "Computed from the program's order: each value from the call that makes it to the last that reads it. "
    "The runtime's own plan may differ, and its code and weights come on top"
)


def memory_of(stored: Stored, layers: tuple[Layer, ...]) -> Memory | None:
    """Returns memory over time; None where no shape is known."""
    if stored.memory is not None and stored.memory.use.moments:
        use = stored.memory.use
        moments = tuple(
            Moment(
                one.operator,
                sum(part.size_bytes for part in one.tensors),
                max(one.tensors, key=lambda part: part.size_bytes).name if one.tensors else "",
            )
            for one in use.moments
        )
        limit = int(1024 * stored.memory.limits.arena_kb)
        return Memory(moments, limit, "The arena, as the backend planned it", use.notes)
    if not any(layer.shape for layer in layers):
        return None
    return Memory(tuple(_moments(layers)), None, COMPUTED)


def _moments(layers: tuple[Layer, ...]) -> list[Moment]:
    last = {place: place for place in range(len(layers))}
    for place, layer in enumerate(layers):
        last.update(dict.fromkeys(layer.inputs, place))
    ends: dict[int, list[int]] = {}
    for place, end in last.items():
        ends.setdefault(end, []).append(place)
    live: dict[int, int] = {}
    moments = []
    for place, layer in enumerate(layers):
        if layer.kind != "folded":  # a view has no memory of its own
            live[place] = _bytes(layer)
        largest = max(live, key=lambda key: live[key], default=place)
        moments.append(Moment(layer.makes, sum(live.values()), layers[largest].makes))
        for ended in ends.get(place, ()):
            live.pop(ended, None)
    return moments


def _bytes(layer: Layer) -> int:
    count = min(math.prod(layer.shape), MOST >> 8)
    storage = STORAGE_TYPES.get(layer.storage)
    return count * FLOAT_BYTES if storage is None else storage.bytes_for(count)
