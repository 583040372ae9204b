"""What is tried where a precision loses too much: keep what does harm in float, then all of it.

Weights of few bits get 8 before anything is float. A model of linear layers keeps its weights in integers where more
than one value does the harm: with rounded inputs row by row it is nearly as fast as with all values on integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.contracts.storage import INT8, INT16, Precision

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgeopt.gate.sensitivity import Sensitivity

__all__ = ["SENSITIVITY_SAMPLES", "SENSITIVITY_TRIES", "fallbacks", "keep_counts", "kept_names"]

SENSITIVITY_SAMPLES = 4
"""How many samples the search for harmful values runs on."""

SENSITIVITY_TRIES = 48
"""How many values are put back to float, one by one, to see which of them do harm."""

FIRST = 1
"""How many values are kept in float at first; then twice as many, until all harmful ones are."""


def keep_counts(sensitive_count: int) -> tuple[int, ...]:
    """Returns how many of ``sensitive_count`` values to keep in float, step by step: 1, 2, 4, … all."""
    counts = []
    count = FIRST
    while count < sensitive_count:
        counts.append(count)
        count *= 2
    return (*counts, sensitive_count) if sensitive_count else ()


def kept_names(
    sensitivities: Sequence[Sensitivity], count: int, others: Sequence[str] = ()
) -> list[str]:
    """Returns what ``keep_float`` names to keep the ``count`` worst values in float.

    Args:
        sensitivities: The harmful values, the worst first.
        count: How many of them.
        others: What it names besides.
    """
    return list(dict.fromkeys([*others, *(name for h in sensitivities[:count] for name in h.keep)]))


def fallbacks(
    precision: str,
    settings: Mapping[str, Any],
    sensitivities: Sequence[Sensitivity],
    known: Sequence[str],
    *,
    wide: bool = False,
    dynamic_after: int | None = None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields precision and settings of the quantization, in the order in which they are tried.

    Args:
        precision: What lost too much.
        settings: Its settings.
        sensitivities: Its harmful values, the worst first.
        known: What the backend can compile.
        wide: Whether its kernels take integers of 16 bits.
        dynamic_after: How many steps of kept values ``int8-dynamic`` follows, all where there are fewer; None for never.
    """
    if Precision(precision).is_integer:
        yield from _with_values_kept(
            settings, sensitivities, known, wide=wide, dynamic_after=dynamic_after
        )
    if Precision(precision).weight_type.is_packed:
        for count in keep_counts(len(sensitivities)):
            yield (
                precision,
                {**settings, "overrides": _of_eight_bits(sensitivities[:count], settings)},
            )
        if Precision.INT8_DYNAMIC in known:
            yield "int8-dynamic", {"precision": "int8-dynamic"}
    for other in ("float16", "float32"):
        if other in known and precision not in {other, "float32"}:
            yield other, {"precision": other} if other != Precision.FLOAT32 else {}


def _with_values_kept(
    settings: Mapping[str, Any],
    sensitivities: Sequence[Sensitivity],
    known: Sequence[str],
    *,
    wide: bool,
    dynamic_after: int | None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields ``int8`` with ever more values kept, and ``int8-dynamic`` among them."""
    counts = keep_counts(len(sensitivities))
    early = len(counts) if dynamic_after is None else dynamic_after
    for count in counts[:early]:
        yield from _kept(settings, sensitivities, count, wide=wide)
    if dynamic_after is not None and Precision.INT8_DYNAMIC in known:
        yield "int8-dynamic", {"precision": "int8-dynamic"}
    for count in counts[early:]:
        yield from _kept(settings, sensitivities, count, wide=wide)


def _kept(
    settings: Mapping[str, Any], sensitivities: Sequence[Sensitivity], count: int, *, wide: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    if wide:
        yield "int8", {**settings, "overrides": _widened(sensitivities[:count], settings)}
    names = kept_names(sensitivities, count, settings.get("keep_float", ()))
    yield "int8", {**settings, "keep_float": names}


def _of_eight_bits(
    sensitivities: Sequence[Sensitivity], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns overrides that give weights 8 bits, beside those that there are."""
    names = [name for one in sensitivities for name in one.shared]
    return _overridden(names, settings, weight_bits=INT8.bits)


def _widened(sensitivities: Sequence[Sensitivity], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns overrides that give values 16 bits, beside those that there are."""
    names = [name for one in sensitivities for name in one.shared]
    return _overridden(names, settings, bits=INT16.bits)


def _overridden(names: Sequence[str], settings: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    overrides: Mapping[str, Any] = settings.get("overrides", {})
    own = {name: msgspec.to_builtins(overrides.get(name, {})) for name in names}
    return {**overrides, **{name: {**one, **fields} for name, one in own.items()}}
