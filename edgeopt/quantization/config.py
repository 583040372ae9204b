"""What a user may choose about quantization; the defaults choose by themselves."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING, Literal

import msgspec

from edgeopt.errors import InputError
from edgeopt.ir.source import module_path

if TYPE_CHECKING:
    from edgeopt.ir.program import Program

__all__ = ["PRECISIONS", "Override", "QuantizationConfig"]

PRECISIONS = ("int8", "int8-dynamic", "float16", "float32")
Switch = Literal["auto", "on", "off"]
RangeMethod = Literal["auto", "minmax", "percentile", "mse"]


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is different for some values.

    Attributes:
        ranges: How their range is found.
        low: The lower end of their range, given with ``high`` instead of being found.
        high: The upper end.
    """

    ranges: RangeMethod | None = None
    low: float | None = None
    high: float | None = None


class QuantizationConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to quantize.

    Attributes:
        precision: ``int8`` (static: needs calibration data), ``int8-dynamic`` (integer weights, no
            data), ``float16`` or ``float32``.
        weight_bits: 8, or 7 where 8-bit products saturate on the target. Fewer (stored in int8 all
            the same) want quantization-aware training: `edgeopt.train_quantized`.
        ranges: How the range of an activation is found: ``minmax``; ``percentile`` (99.99 % of the
            values); ``mse`` (least squared error); ``auto`` takes for each value the one with the
            least squared error, but clips only where that halves the error.
        equalization: Whether to rescale channels between layers (`equalize`).
        smoothing: Whether to do so behind layer norms (SmoothQuant).
        bias_correction: Whether to correct each bias by the mean error that rounding causes.
        rounding: ``adaptive`` rounds each weight so that the layer's output error is least,
            ``nearest`` to the nearest point of the grid; ``auto`` is adaptive up to 4096 inputs a
            neuron.
        keep_float: Patterns (``*`` and ``?``) of value names or module paths that stay in float.
        overrides: Pattern of value names or module paths to what is different for them.
        max_samples: Samples of the calibration data to use at most.
    """

    precision: Literal["int8", "int8-dynamic", "float16", "float32"] = "int8"
    weight_bits: Literal[2, 3, 4, 5, 6, 7, 8] = 8
    ranges: RangeMethod = "auto"
    equalization: Switch = "auto"
    smoothing: Switch = "auto"
    bias_correction: Switch = "auto"
    rounding: Literal["auto", "nearest", "adaptive"] = "auto"
    keep_float: tuple[str, ...] = ()
    overrides: dict[str, Override] = {}
    max_samples: int = 128

    def kept_in_float(self, program: Program) -> tuple[str, ...]:
        """Returns the names of the nodes that ``keep_float`` matches.

        Raises:
            InputError: A pattern matches nothing.
        """
        found: list[str] = []
        for pattern in self.keep_float:
            found += _matching(program, pattern, "keep_float")
        return tuple(found)

    def overrides_by_value(self, program: Program) -> dict[str, Override]:
        """Returns value name to its override; a later pattern wins.

        Raises:
            InputError: A pattern matches nothing, or only one end of a range is given.
        """
        found: dict[str, Override] = {}
        for pattern, override in self.overrides.items():
            if (override.low is None) != (override.high is None):
                raise InputError("low and high belong together", where=f"overrides[{pattern!r}]")
            for name in _matching(program, pattern, "overrides"):
                found[name] = override
        return found


def _matching(program: Program, pattern: str, field: str) -> list[str]:

    names = [
        node.name
        for node in program.graph.nodes
        if node.op != "output"
        and (fnmatch(node.name, pattern) or _in_module(module_path(node), pattern))
    ]
    if not names:
        raise InputError(
            f"{pattern!r} matches no value and no module",
            where=field,
            hint="`edgeopt inspect` prints the names of both",
        )
    return names


def _in_module(path: str, pattern: str) -> bool:
    return bool(path) and (fnmatch(path, pattern) or fnmatch(path, f"{pattern}.*"))
