"""What a bundle says of its programs, as C source for the runner without Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edgeopt.contracts.storage import Precision
from edgeopt_tvm.c_text import c_array, c_text
from edgeopt_tvm.meaning_source import NO_MEANING, NO_PICTURE, after_source, before_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeopt.contracts import BundledProgram, BundledPrograms

__all__ = ["Facts", "bundle_facts", "plain_facts"]

_ALIGNMENT = 64


class Facts(msgspec.Struct, frozen=True):
    """What is linked into the runner.

    Attributes:
        source: Content of ``bundle.c``.
        states: What the states begin with.
    """

    source: str
    states: bytes = b""

    def to_files(self) -> dict[str, bytes]:
        """Returns file name to content."""
        return {"bundle.c": self.source.encode("ascii"), "states.bin": self.states}


def plain_facts(precision: str = Precision.FLOAT32) -> Facts:
    """Returns the facts of one program of which nothing but its precision is said."""
    return Facts(_source(["forward"], ["{0, 0, NULL, NULL, 0, 0},"], [], [], precision=precision))


def bundle_facts(bundled: BundledPrograms) -> Facts:
    """Returns the facts of a bundle."""
    methods = list(dict.fromkeys(one.method for one in bundled.programs))
    names = list(bundled.states)
    links, entries = [], []
    for number, one in enumerate(bundled.programs):
        links += _links(one, number, names)
        pads = sum(1 << axis for axis in one.pads)
        method = methods.index(one.method)
        entries.append(
            f"{{{number}, {method}, reads_{number}, writes_{number}, {pads}u, {int(one.splits)}}},"
        )
    shapes, states, blob = _states(bundled.states)
    meaning = (before_source(bundled), after_source(bundled.postprocess))
    arrays = [*links, *shapes]
    source = _source(
        methods,
        entries,
        arrays,
        states,
        precision=bundled.programs[0].artifact.precision,
        meaning=meaning,
        labels=bundled.labels,
    )
    return Facts(source, blob)


def _source(  # noqa: PLR0913 (the parts of one file)
    methods: Sequence[str],
    entries: Sequence[str],
    arrays: Sequence[str],
    states: Sequence[str],
    *,
    precision: str,
    meaning: tuple[str, str] = (NO_PICTURE, NO_MEANING),
    labels: Sequence[str] = (),
) -> str:
    return "\n".join(
        [
            '#include "bundle.h"',
            *arrays,
            f"static const char *const methods[] = {{{', '.join(map(c_text, methods))}}};",
            "static const struct entry entries[] = {",
            *entries,
            "};",
            "static const struct state states[] = {",
            *states,
            "{0}};",
            "static const char *const labels[] = {",
            *(f"{c_text(label)}," for label in labels),
            "NULL};",
            '#include "digest.h"',
            "const struct bundle bundle = {MODEL_DIGEST, methods, entries, states, labels,",
            f"{len(methods)}, {len(entries)}, {len(states)}, {len(labels)},",
            f"{int(Precision(precision).has_integer_weights)},",
            f"{meaning[0]}, {meaning[1]}}};",
            "",
        ]
    )


def _links(one: BundledProgram, number: int, states: list[str]) -> list[str]:
    """Returns which input and output of a program is which state."""
    signature = one.artifact.signature
    return [
        c_array(f"{side}_{number}", [states.index(links[s.name]) if s.name in links else -1 for s in specs])
        for side, links, specs in (
            ("reads", one.reads, signature.inputs),
            ("writes", one.writes, signature.outputs),
        )
    ]  # fmt: skip


def _states(states: Mapping[str, np.ndarray]) -> tuple[list[str], list[str], bytes]:
    """Returns the shapes of the states, their rows, and what they begin with where that is not zeros."""
    shapes, rows, blob = [], [], bytearray()
    for number, (name, value) in enumerate(states.items()):
        initial = f"bundle_states + {len(blob)}" if value.any() else "NULL"
        if value.any():
            content = np.ascontiguousarray(value).tobytes()
            blob += content + bytes(-len(content) % _ALIGNMENT)
        shapes.append(c_array(f"state_{number}", value.shape, "int64_t"))
        texts = f"{c_text(name)}, {c_text(value.dtype.name)}"
        rows.append(f"{{{texts}, state_{number}, {value.ndim}, {value.nbytes}, {initial}}},")
    return shapes, rows, bytes(blob)
