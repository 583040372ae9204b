"""What a study is of: model, target, evaluation, data, space and tools, each as a short text."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.contracts import Target
    from edgeopt.deployment.samples import Samples
    from edgeopt.ir import Program

__all__ = ["FORMAT", "digest_of", "function_name", "identity_of", "samples_digest"]

FORMAT = "1"
"""Of what edgeopt writes into a study."""


def identity_of(
    program: Program, target: Target, samples: Samples, parts: dict[str, Any]
) -> dict[str, str]:
    """Returns what must be the same for trials to mean the same.

    Args:
        program: The float program.
        target: The device's descriptor.
        samples: What is calibrated and checked with.
        parts: Other parts: name to plain values.
    """
    return {
        "format": FORMAT,
        "model": program.digest,
        "target": f"{target.name} {digest_of(target)[:16]}",
        "data": samples_digest(samples),
        **{name: v if isinstance(v, str) else digest_of(v) for name, v in parts.items()},
    }


def samples_digest(samples: Samples) -> str:
    """Returns the SHA-256 of the samples' values."""
    total = hashlib.sha256()
    for sample in samples.calibration:
        for tensor in sample:
            total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    for arrays in samples.checks:
        for array in arrays:
            total.update(array.tobytes())
    return total.hexdigest()


def function_name(function: Callable[..., Any] | None) -> str:
    """Returns the name under which a function is known; empty for None."""
    if function is None:
        return ""
    target = getattr(function, "func", function)  # functools.partial
    name = getattr(target, "__qualname__", None) or type(target).__qualname__
    return f"{getattr(target, '__module__', '')}:{name}"


def digest_of(value: Any) -> str:
    """Returns the SHA-256 of plain values."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()
