"""What a bundle of a very deep network says of itself: for tests and measurements of the report's page."""

from __future__ import annotations

import random
from typing import Any

__all__ = ["deep_report"]

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_STAGE = 100  # calls of a stage
_BLOCK = 10  # calls of a block, the last of which adds what went into it


def deep_report(calls: int = 2000) -> dict[str, Any]:
    """Returns a report.json with residual blocks in stages, ``calls`` in all; the same each time."""
    chance = random.Random(0)  # noqa: S311 (nothing secret)
    names = [f"convolution_{place}" for place in range(calls)]
    return {
        "target": "host",
        "backend": "tflite",
        "precision": "int8",
        "size_bytes": 1_000_000,
        "float_size_bytes": 3_900_000,
        "values": [_value(names, place) for place in range(calls)],
        "statistics": [_statistics(name, chance) for name in names[:: max(1, calls // 512)]],
    }


def _value(names: list[str], place: int) -> dict[str, Any]:
    stage, block = place // _STAGE, place % _STAGE // _BLOCK
    reads = [names[place - 1]] if place else []
    adds = place % _BLOCK == _BLOCK - 1
    if adds:
        reads.append(names[place - _BLOCK + 1])
    return {
        "value": names[place],
        "makes": names[place],
        "operator": "aten.add.Tensor" if adds else "aten.conv2d.default",
        "module": f"stages.{stage}.blocks.{block}.layer_{place % _BLOCK}",
        "source": f"networks/deep.py:{20 + place % 40}",
        "kind": "float" if place % 97 == 0 else "integer",
        "reason": "no integer kernel" if place % 97 == 0 else "",
        "macs": 0 if adds else 1000 * (1 + place % 13),
        "bytes": 4096,
        "inputs": reads,
        "shape": [1, 64, 28, 28],
    }


def _statistics(name: str, chance: random.Random) -> dict[str, Any]:
    return {
        "value": name,
        "low": -1.5,
        "high": round(chance.uniform(1, 6), 3),
        "elements": 4096,
        "snr_db": round(chance.uniform(15, 50), 2),
        "storage": "int8",
        "grid_low": -1.4,
        "grid_high": 3.2,
        "scale": 0.018,
        "zero_point": -50,
        "method": "mse",
        "clipped": round(chance.uniform(0, 0.002), 5),
        "histogram": "".join(chance.choice(_LETTERS) for _ in range(32)),
        "bin_low": -1.5,
        "bin_high": 6.0,
    }
