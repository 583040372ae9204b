"""What a descriptor must satisfy beyond its types: a table of rules, each a small function."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import msgspec

from edgeopt.registry.isa import FEATURES, misspelt, saturates
from edgeopt.registry.microcontroller_rules import MICROCONTROLLER_RULES
from edgeopt.registry.schema import Problem, shown
from edgeopt.registry.suggest import canonical, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgeopt.contracts.target import Target

__all__ = ["RULES", "broken_rules"]

_TRIPLES = {
    "aarch64": ("aarch64", "arm64"),
    "armv7": ("arm", "armv7", "armv7a", "armv7l"),
    "riscv64": ("riscv64",),
    "cortex-m": (
        "thumbv6m",
        "thumbv7m",
        "thumbv7em",
        "thumbv8m.base",
        "thumbv8m.main",
        "thumbv8.1m.main",
    ),
    "riscv32": ("riscv32",),
    "x86_64": ("x86_64",),
}
_VERSION = re.compile(r"\d+\.\d+")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def broken_rules(target: Target) -> list[Problem]:
    """Returns everything in ``target`` that breaks a rule of `RULES`."""
    return [problem for rule in RULES for problem in rule(target)]


def _names(target: Target) -> Iterator[Problem]:
    if not _NAME.fullmatch(target.name):
        what = f"expected lower-case words joined by hyphens, got {shown(target.name)}"
        yield Problem("name", what)
    keys = {canonical(target.name)}
    for place, alias in enumerate(target.aliases):
        key = canonical(alias)
        if not key or key in keys:
            what = f"expected a name that differs from the others, got {shown(alias)}"
            yield Problem(f"aliases[{place}]", what, "case and punctuation make no difference")
        keys.add(key)


def _counts(target: Target) -> Iterator[Problem]:
    least = {
        "cpu.cores": (target.cpu.cores, 1),
        "cpu.vector_bits": (target.cpu.vector_bits, 0),
        "cpu.max_mhz": (target.cpu.max_mhz, 0),
        "cpu.fast_cores": (target.cpu.fast_cores, 0),
        "memory_mb": (target.memory_mb, 0),
        "quantization.channel_multiple": (target.quantization.channel_multiple, 1),
    }
    for path, (value, minimum) in least.items():
        if value < minimum:
            yield Problem(path, f"expected {minimum} or more, got {value}")
    if target.cpu.fast_cores > target.cpu.cores:
        what = f"expected at most cpu.cores ({target.cpu.cores}), got {target.cpu.fast_cores}"
        yield Problem("cpu.fast_cores", what)


def _triple(target: Target) -> Iterator[Problem]:
    first, *rest = target.cpu.triple.split("-")
    allowed = _TRIPLES[target.cpu.arch]
    if first not in allowed or not rest:
        what = f"expected a triple of {target.cpu.arch} ({allowed[0]}-…), got"
        yield Problem("cpu.triple", f"{what} {shown(target.cpu.triple)}")


def _isa(target: Target) -> Iterator[Problem]:
    for place, feature in enumerate(target.cpu.isa):
        meant = misspelt(feature, target.cpu.arch)
        if meant is not None:
            what = f"expected a feature of {target.cpu.arch}, got {shown(feature)}"
            yield Problem(f"cpu.isa[{place}]", what, f'did you mean "{meant}"?')
            continue
        others = [arch for arch, features in FEATURES.items() if feature in features]
        if others and target.cpu.arch not in others:
            what = f"expected a feature of {target.cpu.arch}, got {shown(feature)}"
            yield Problem(f"cpu.isa[{place}]", what, f"that is a feature of {' and '.join(others)}")


def _versions(target: Target) -> Iterator[Problem]:
    for path, value in (("os.glibc", target.os.glibc), ("os.python", target.os.python)):
        if value and not _VERSION.fullmatch(value):
            yield Problem(path, f'expected a version like "3.11", or "", got {shown(value)}')


def _backends(target: Target) -> Iterator[Problem]:
    if not target.backends:
        yield Problem("backends", "expected at least one backend, got []")
    for place, name in enumerate(target.backends):
        if name in target.backends[:place]:
            yield Problem(f"backends[{place}]", f"expected each name once, got {shown(name)} again")


def _saturation(target: Target) -> Iterator[Problem]:
    bits = target.quantization.weight_bits
    if bits == 8 and saturates(target.cpu.isa, target.cpu.arch):  # noqa: PLR2004 (bits of int8)
        hint = "8-bit products saturate on x86 without avx_vnni, avx512_vnni or amx_int8"
        yield Problem("quantization.weight_bits", "expected 7, got 8", hint)


def _rates(target: Target) -> Iterator[Problem]:
    names: set[str] = set()
    for place, rate in enumerate(target.rates):
        path = f"rates[{place}]"
        if not (math.isfinite(rate.value) and rate.value > 0):
            yield Problem(f"{path}.value", f"expected a number above 0, got {rate.value}")
        if not rate.source.strip():
            yield Problem(f"{path}.source", 'expected where the rate comes from, got ""')
        if rate.what in names:
            yield Problem(f"{path}.what", f"expected each rate once, got {shown(rate.what)} again")
        names.add(rate.what)


def _sources(target: Target) -> Iterator[Problem]:
    fields = _paths(target)
    for key, source in target.sources.items():
        path = f'sources."{key}"'
        if key not in fields:
            what = f"expected the path of a field, such as cpu.max_mhz, got {shown(key)}"
            yield Problem(path, what, did_you_mean(key, fields))
        elif not source.strip():
            yield Problem(path, 'expected the title of a document, got ""')


def _paths(struct: msgspec.Struct, prefix: str = "") -> list[str]:
    paths = []
    for name in struct.__struct_fields__:
        paths.append(prefix + name)
        value = getattr(struct, name)
        if isinstance(value, msgspec.Struct):
            paths += _paths(value, f"{prefix}{name}.")
    return paths


RULES: tuple[Callable[[Target], Iterator[Problem]], ...] = (
    _names,
    _counts,
    _triple,
    _isa,
    _versions,
    _backends,
    _saturation,
    _rates,
    _sources,
    *MICROCONTROLLER_RULES,
)
"""Each takes a target whose types are right, and yields what is wrong with it."""
