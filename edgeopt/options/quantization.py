"""What a user may choose about quantization; the defaults choose by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from edgeopt.contracts.storage import INT8
from edgeopt.contracts.storage import Precision as Stored
from edgeopt.options.base import Options
from edgeopt.options.kinds import (
    Count,
    Names,
    Precision,
    RangeMethod,
    RealSums,
    Switch,
    accepting,
)
from edgeopt.registry.schema import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Calibration", "Override", "Quantization", "QuantizationConfig", "chosen"]

USUAL_GROUP = 64
"""Inputs that share a step where nothing else is said."""


class Override(Options, frozen=True):
    """What is different for some values.

    Attributes:
        ranges: How their range is found.
        bits: Bits of their integers: 16 in ``int8`` where 8 are too few, 8 in ``int16x8`` where they do.
        weight_bits: Bits of the weight of the operators that are meant, where activations stay in float: 8 in
            ``int4-dynamic`` where 4 are too few.
        low: The lower end of their range, given with ``high`` instead of being found.
        high: The upper end.
    """

    ranges: RangeMethod | None = None
    bits: Literal[8, 16] | None = None
    weight_bits: Literal[2, 3, 4, 8] | None = None
    low: float | None = None
    high: float | None = None

    def conflicts(self) -> Iterable[Problem]:
        """Returns what is wrong between the two ends of the range."""
        if (self.low is None) != (self.high is None):
            yield Problem("high" if self.high is None else "low", "low and high belong together")
        elif self.low is not None and self.high is not None and self.low >= self.high:
            yield Problem("high", f"expected a number above low ({self.low:g}), got {self.high:g}")


class Calibration(Options, frozen=True):
    """What is seen of real inputs, and what is made of it.

    Attributes:
        max_samples: Samples of the calibration data to use at most.
        ranges: How the range of an activation is found: ``minmax``; ``percentile`` (99.99 % of the
            values); ``mse`` (least squared error); ``auto`` takes for each value the one with the
            least squared error, but clips only where that halves the error.
    """

    max_samples: Count = 128
    ranges: RangeMethod = "auto"


class QuantizationConfig(Calibration, frozen=True):
    """How to quantize.

    Attributes:
        precision: ``int8`` (static: needs calibration data), ``int16x8`` (the same with activations of
            16 bits), ``int8-dynamic`` (integer weights, no data), ``int4-dynamic`` (linears of 4 bits in
            groups, better with data), ``float16`` or ``float32``.
        weight_bits: 8, or 7 where 8-bit products saturate on the target; None takes the target's, or
            8, of ``int4-dynamic`` 4. Weights of 2 to 4 bits are stored packed; with rounded activations they
            want quantization-aware training: `edgeopt.train_quantized`.
        weight_group: How many neighbouring inputs of a linear share a step in ``int4-dynamic``, 0 for all; None
            for 64. Where that does not divide a linear's inputs it is the most below that does; where none does
            the linear keeps 8 bits.
        weight_zeros: Whether such a group has a zero point beside its step.
        equalization: Whether to rescale channels between layers (`equalize`).
        smoothing: Whether to do so behind layer norms (SmoothQuant).
        bias_correction: Whether to correct each bias by the mean error that rounding causes.
        rounding: ``adaptive`` rounds each weight so that the layer's output error is least,
            ``nearest`` to the nearest point of the grid; ``auto`` is adaptive up to 4096 inputs a
            neuron.
        real_sums: What a convolution or linear adds up stays a real number where float operators alone read it:
            ``streams`` where these add it up or normalize it, as a residual stream does; ``functions`` also where they
            are GELU, hardswish, sigmoid and the like; ``off`` nowhere. More accurate, and no slower where the
            runtime's integer kernels write real numbers, as OpenVINO's and TVM's do; the program is then another
            one than without, with other numbers on every backend.
        keep_float: Patterns (``*`` and ``?``) of value names or module paths that stay in float.
        overrides: Pattern of value names or module paths to what is different for them.
    """

    precision: Precision = "int8"
    weight_bits: Literal[2, 3, 4, 5, 6, 7, 8] | None = None
    weight_group: Literal[0, 32, 64, 128] | None = None
    weight_zeros: bool = False
    equalization: Switch = "auto"
    smoothing: Switch = "auto"
    bias_correction: Switch = "auto"
    rounding: Literal["auto", "nearest", "adaptive"] = "auto"
    real_sums: RealSums = "off"
    keep_float: Names = ()
    overrides: dict[str, Override] = msgspec.field(default_factory=dict)

    @property
    def bits(self) -> int:
        """Bits of a weight where no target says anything else."""
        return self.weight_bits or min(Stored(self.precision).weight_type.bits, INT8.bits)

    @property
    def group(self) -> int:
        """How many inputs of a linear share a step; 0 for all of them."""
        if not Stored(self.precision).weight_type.is_packed:
            return 0
        return USUAL_GROUP if self.weight_group is None else self.weight_group

    def conflicts(self) -> Iterable[Problem]:
        """Returns what does not go with the precision."""
        stored = Stored(self.precision).weight_type
        if stored.is_packed and self.bits > stored.bits:
            what = f"{self.precision} has 2 to {stored.bits} bits a weight"
            yield Problem("weight_bits", what, 'pass precision="int8-dynamic"')
        if not stored.is_packed:
            what = f"{self.precision} has one step a channel, and no zero points of weights"
            for name in ("weight_group", "weight_zeros"):
                if getattr(self, name):
                    yield Problem(name, what, 'leave it out, or pass precision="int4-dynamic"')


def chosen(given: Quantization | None) -> dict[str, Any]:
    """Returns the fields that a user chose, plain: those named, of a config those not as usual."""
    if given is None:
        return {}
    fields = given.changes() if isinstance(given, QuantizationConfig) else given
    plain: dict[str, Any] = msgspec.to_builtins(fields)
    return plain


def _checked(given: Quantization) -> Quantization:
    if isinstance(given, QuantizationConfig):
        return given
    QuantizationConfig.from_dict(given)
    return dict(given)


if TYPE_CHECKING:
    Quantization = QuantizationConfig | Mapping[str, Any]
else:  # a table stays one: what it names was chosen, even where it says what is usual
    Quantization = Annotated[
        Any,
        accepting(
            "a QuantizationConfig or its fields", Mapping, QuantizationConfig, convert=_checked
        ),
    ]
