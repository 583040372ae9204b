"""What is tried where a precision loses too much: keep what does harm in float, then all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgeopt.gate.harm import Harm

__all__ = ["HARM_SAMPLES", "ways_out"]

HARM_SAMPLES = 4
"""How many samples the search for harmful values runs on."""

WORST = 3
"""How many values are kept in float at once."""


def ways_out(
    precision: str, settings: Mapping[str, Any], harms: Sequence[Harm], known: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields precision and settings of the quantization, in the order in which they are tried.

    Args:
        precision: What lost too much.
        settings: Its settings.
        harms: Its most harmful values.
        known: What the backend can compile.
    """
    if precision == "int8" and harms:
        kept = [*settings.get("keep_float", ()), *(n for h in harms[:WORST] for n in h.keep)]
        yield "int8", {**settings, "keep_float": list(dict.fromkeys(kept))}
    for other in ("float16", "float32"):
        if other in known and precision not in {other, "float32"}:
            yield other, {"precision": other} if other != "float32" else {}
