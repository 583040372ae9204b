"""Whether a candidate computes what the kernel does, compiled without any schedule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import tvm

from edgeopt_tvm.tuning.worker.inputs import Guarded, parameters, random_inputs, sizes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "CASES",
    "CLIPPED",
    "EXTREME",
    "Case",
    "call",
    "differs",
    "make_cases",
    "reads_where_told",
    "sums_floats",
]

_SCALES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
_WIDER = 8.0
"""Times as large as fills a grid best: then results are clipped at its ends, too."""
WHOLE, CLIPPED, EXTREME = (False, 1.0), (False, _WIDER), (True, 1.0)
"""Whether numbers of 8 and 16 bits are only the least and the greatest, and the factor on floats: numbers of the whole
range, the same beyond the ends of a grid, and extremes."""
CASES = (WHOLE, CLIPPED, EXTREME)
_FLOAT32, _FLOAT16 = 1e-4, 1e-2
_GRIDS = ("int8", "uint8", "int16")
_LAST_BITS = 8 * 2.0**-24
_FARTHEST = 1e4


@dataclass
class Case:
    """Inputs, and what must come out.

    Attributes:
        inputs: Arrays that are read.
        outputs: Arrays that are written.
        expected: What they must hold then.
        exact: Whether every bit counts.
        factor: The largest number that the kernel multiplies or adds by itself.
    """

    inputs: list[Guarded]
    outputs: list[Guarded]
    expected: list[np.ndarray]
    exact: bool
    factor: float = 1.0

    def tensors(self, device: Any = None) -> list[Any]:
        """Returns all arrays as the kernel takes them: shared, or copied to ``device``."""
        every = [g.array for g in (*self.inputs, *self.outputs)]
        if device is None:
            # Of no elements numpy keeps no alignment, and TVM asks for it; there is nothing to copy.
            return [
                tvm.runtime.from_dlpack(a) if a.size else tvm.runtime.tensor(a, device=device)
                for a in every
            ]
        return [tvm.runtime.tensor(a, device=device) for a in every]


def make_cases(
    function: Any,
    plain: Callable[..., Any],
    outputs: int,
    seed: int = 0,
    kinds: Sequence[tuple[bool, float]] = CASES,
) -> list[Case]:
    """Returns a case of each of ``kinds``.

    Args:
        function: The kernel, unscheduled.
        plain: The same, compiled.
        outputs: How many of its last parameters are written.
        seed: Where the numbers come from.
        kinds: Some of `CASES`.
    """
    every = parameters(function)
    read, written = every[: len(every) - outputs], every[len(every) - outputs :]
    exact, places = not sums_floats(function), reads_where_told(function)
    factor, sizes = _largest_constant(function), sizes_of(function)
    rng = np.random.default_rng(seed)
    scale, start = 1.0, len(_SCALES) // 2
    cases = []
    for extreme, wider in kinds:
        state = rng.bit_generator.state

        def case(scale: float, *, extreme: bool = extreme, state: Any = state) -> Case:
            rng.bit_generator.state = state
            arrays = random_inputs(read, rng, extreme=extreme, scale=scale)
            if places:  # only the first element is sure to be there
                arrays = [a if a.itemsize < 4 or a.dtype.kind == "f" else a * 0 for a in arrays]  # noqa: PLR2004 (bytes)
            for array, size in zip(arrays, sizes, strict=False):
                if array.dtype.kind == "f":
                    np.multiply(array, size, out=array)
            inputs = [Guarded(p, a) for p, a in zip(read, arrays, strict=True)]
            example = Case(inputs, [Guarded(p) for p in written], [], exact, factor)
            call(plain, example)
            example.expected = [g.array.copy() for g in example.outputs]
            return example

        if any(p.dtype.startswith("float") for p in read) and written[0].dtype in _GRIDS:
            start = _widest(lambda place: _spread(case(_SCALES[place]).expected[0]), start)
            scale = _SCALES[start]
        cases.append(case(scale * wider))
    return cases


def _widest(spread: Callable[[int], float], start: int) -> int:
    """Returns which scale's results are spread widest, climbing from ``start``: past it they become fewer."""
    spread = cache(spread)
    place = start
    while True:
        near = range(max(place - 1, 0), min(place + 2, len(_SCALES)))
        best = max(near, key=lambda p: (spread(p), p == place))
        if best == place:
            return place
        place = best


def _spread(values: np.ndarray) -> float:
    """Returns how much of its range a result on a grid uses: saturated numbers would hide errors."""
    counts = np.bincount((values.astype(np.int64) - int(values.min(initial=0))).ravel())
    shares = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(shares * np.log(shares)).sum())


def call(kernel: Callable[..., Any], case: Case, device: Any = None) -> None:
    """Runs ``kernel`` on ``case``; what its outputs held before is gone."""
    for output in case.outputs:
        output.mark()
    tensors = case.tensors(device)
    kernel(*tensors)
    if device is not None:
        for output, tensor in zip(case.outputs, tensors[len(case.inputs) :], strict=True):
            output.array[...] = tensor.numpy()


def differs(case: Case) -> str:
    """Returns how the outputs differ from what is wanted; empty where they do not."""
    if not all(g.intact() for g in (*case.inputs, *case.outputs)):
        return "it wrote beside its arrays"
    # Where a sum nearly cancels, its error is in proportion to what was added, not to what is left.
    added = 0.0 if case.exact else case.factor * _largest(g.array for g in case.inputs)
    for output, expected in zip(case.outputs, case.expected, strict=True):
        bad = _bad(output.array, expected, exact=case.exact, added=added)
        count = int(bad.sum())
        if count:
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            share = 100 * count / bad.size
            actual, right = output.array[at], expected[at]
            return f"{count} of {bad.size} elements ({share:.1f} %) are wrong, first {actual} for {right} at {at}"
    return ""


def _largest(arrays: Iterable[np.ndarray]) -> float:
    """Returns the largest finite size of a float among ``arrays``, 0 where there is none."""
    floats = (a.astype(np.float64) for a in arrays if a.dtype.kind == "f")
    finite = (np.abs(a[np.isfinite(a)]) for a in floats)
    return max((float(a.max()) for a in finite if a.size), default=0.0)


def _bad(got: np.ndarray, expected: np.ndarray, *, exact: bool, added: float = 0.0) -> np.ndarray:
    if expected.dtype.kind != "f":
        step = 0 if exact else 1
        far: np.ndarray = np.abs(got.astype(np.int64) - expected.astype(np.int64)) > step
        return far
    limit = _FLOAT16 if expected.dtype.itemsize < 4 else _FLOAT32  # noqa: PLR2004 (bytes)
    a, b = got.astype(np.float64), expected.astype(np.float64)
    size = _largest([b]) or 1.0
    near = np.abs(a - b) <= np.maximum(limit * np.maximum(np.abs(b), size), _LAST_BITS * added)
    bad: np.ndarray = ~(near | (a == b) | (np.isnan(a) & np.isnan(b)))
    return bad


def sums_floats(function: Any) -> bool:
    """Returns whether a reduction of ``function`` adds floats, so that the order of sums shows."""
    has_float_sum = False

    def see(node: Any) -> None:
        nonlocal has_float_sum
        if isinstance(node, tvm.tirx.SBlock) and node.init is not None:
            has_float_sum = has_float_sum or any(
                str(w.buffer.dtype).startswith("float") for w in node.writes
            )

    tvm.tirx.stmt_functor.post_order_visit(function.body, see)
    return has_float_sum


def _largest_constant(function: Any) -> float:
    """Returns the largest number in ``function``, at least 1; marks (-1e9) are none."""
    largest = 1.0

    def see(node: Any) -> None:
        nonlocal largest
        if isinstance(node, tvm.tirx.FloatImm) and abs(node.value) <= _FARTHEST:
            largest = max(largest, abs(float(node.value)))

    tvm.tirx.stmt_functor.post_order_visit(function.body, see)
    return largest


def reads_where_told(function: Any) -> bool:
    """Returns whether an element that is read is chosen by the value of another one."""
    is_indirect = False

    def see(node: Any) -> None:
        nonlocal is_indirect
        if isinstance(node, tvm.tirx.BufferLoad):
            for index in node.indices:
                tvm.tirx.stmt_functor.post_order_visit(index, told)

    def told(node: Any) -> None:
        nonlocal is_indirect
        is_indirect = is_indirect or isinstance(node, tvm.tirx.BufferLoad)

    tvm.tirx.stmt_functor.post_order_visit(function.body, see)
    return is_indirect
