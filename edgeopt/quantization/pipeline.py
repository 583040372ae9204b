"""The way from a float program and calibration data to a quantized program."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch

from edgeopt.contracts.storage import FLOAT16, INT8, Precision
from edgeopt.data.binder import Binder
from edgeopt.data.dataset import Dataset
from edgeopt.errors import CalibrationError
from edgeopt.ir.edit import Editor
from edgeopt.ir.memory import peak_value_bytes
from edgeopt.ir.program import Program, Step
from edgeopt.ir.quant import QuantSpec
from edgeopt.options import QuantizationConfig
from edgeopt.passes import require_canonical
from edgeopt.passes.remove_identities import remove_identities
from edgeopt.passes.separate_ties import separate_ties
from edgeopt.quantization.channels import channel_spaces
from edgeopt.quantization.coverage import uncovered_outputs
from edgeopt.quantization.equalize import equalize
from edgeopt.quantization.fills import consumers_of_marks
from edgeopt.quantization.joins import join_parts
from edgeopt.quantization.layerwise import LayerwiseQuantizer, QuantizationResult, UndefinedError
from edgeopt.quantization.losses import find_loss, lost_outputs
from edgeopt.quantization.patterns import kept_in_float, overrides_by_value
from edgeopt.quantization.placement import (
    QuantizerPlacement,
    place_quantizers,
    rounded_sources,
)
from edgeopt.quantization.quantized_program import build_quantized
from edgeopt.quantization.reuse import unaffected
from edgeopt.quantization.statistics import channel_axes, collect_statistics, run_views
from edgeopt.quantization.streams import separate_streams, spread_sums, sums_of_streams
from edgeopt.quantization.tables import separate_tables
from edgeopt.quantization.views import View, spread_views, views_of
from edgeopt.quantization.weights_only import quantize_weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["quantize_program"]

SAMPLE_BYTES = 600 << 20
"""Memory that the values of all samples may take."""
MOST_SAMPLES = 64
WORST_SHOWN = 10
GIVEN = ("given", "fixed")
"""Ways to find a range that do not look at data."""
MOST_RESCUES = 4
"""How many values are taken out of the integers because an output is lost, each for a walk."""
LEAST_GAIN_DB = 3.0


def quantize_program(
    program: Program,
    calibration_data: Iterable[Any] | None = None,
    config: QuantizationConfig | None = None,
    others: Sequence[tuple[Program, Dataset]] = (),
) -> Program:
    """Returns ``program`` in the precision that ``config`` asks for.

    Its stages are ``calibrate`` and ``quantize``.

    Args:
        program: In canonical form (`edgeopt.passes.run_core`), in float.
        calibration_data: Real inputs: an iterable of tensors, tuples, dicts or (inputs, label).
            Needed for ``int8`` only.
        config: What to do; int8 with all choices automatic where it is None.
        others: The same model captured at other shapes, likewise, with samples of each, or none: the ranges
            of ``int8`` hold for all of them, and for constants that are made for a shape.

    Raises:
        CalibrationError: ``int8`` without data, or with data that is empty or not finite.
        CaptureError: The model is another network at a shape.
        InputError: A pattern of the configuration matches nothing.
        ProgramError: The program is not in canonical form; names a node and the pass to run.
    """
    config = config or QuantizationConfig()
    require_canonical(program, "quantization")
    if config.precision == Precision.FLOAT32.value:
        return program
    if config.precision == Precision.FLOAT16.value:
        return _to_float16(program)
    if not Precision(config.precision).is_integer:
        return quantize_weights(program, config, _seen(program, calibration_data, config))
    if calibration_data is None:
        raise CalibrationError(
            f"static {config.precision} needs calibration data, and none is ever invented",
            where="calibration_data",
            hint="pass about 100 real inputs, or precision='int8-dynamic', which needs none",
        )
    binder = Binder.of_program(program)
    samples = Dataset.read(calibration_data, binder, limit=config.max_samples)
    return _Static(program, samples, config, others).run()


def _seen(
    program: Program, data: Iterable[Any] | None, config: QuantizationConfig
) -> Dataset | None:
    """Returns samples for a rounding of weights that looks at inputs; None where it looks at none, or none are given."""
    few = config.bits < INT8.bits - 1 and config.rounding != "nearest"
    if data is None or not few:
        return None
    return Dataset.read(data, Binder.of_program(program), limit=config.max_samples)


class _Static:
    """Static int8, step by step."""

    def __init__(
        self,
        program: Program,
        samples: Dataset,
        config: QuantizationConfig,
        others: Sequence[tuple[Program, Dataset]],
    ) -> None:
        self.program = program
        self.samples = samples
        self.config = config
        self.others = others
        self._known: dict[int, tuple[Program, tuple[View, ...]]] = {}

    def run(self) -> Program:
        self.program, self.others = self._untied()
        program = self._spread(self._rescaled(self.program))
        float_names = (*kept_in_float(self.config, program), *consumers_of_marks(program))
        storage = Precision(self.config.precision).activation_type
        joined = join_parts(self._views(program), keep_float=float_names, storage=storage)
        result = self._defined(joined.program, joined.float_names)
        for _ in range(MOST_RESCUES):
            better = self._rescued(result)
            if better is None:
                break
            result = better
        return self._written(result)

    def _untied(self) -> tuple[Program, Sequence[tuple[Program, Dataset]]]:
        split = separate_streams(self.program)
        names = kept_in_float(self.config, split)
        others = [
            (separate_tables(separate_streams(one), names), samples) for one, samples in self.others
        ]
        return separate_tables(split, names), others

    def _placement(self, program: Program, float_names: tuple[str, ...]) -> QuantizerPlacement:
        return place_quantizers(program, keep_float=float_names, real_sums=self.config.real_sums)

    def _views(self, program: Program) -> tuple[View, ...]:
        """Returns ``program`` at each shape, made once."""
        if id(program) not in self._known:
            views = views_of(program, self.program, self.samples, self.others)
            self._known[id(program)] = (
                program,
                views,
            )  # which is kept, so that its id stays its own
        return self._known[id(program)][1]

    def _defined(self, program: Program, float_names: tuple[str, ...]) -> _Made:
        """Returns ``program`` quantized; what rounding would make undefined is computed from float values."""
        reasons: dict[str, str] = {}
        for _ in range(MOST_RESCUES):
            try:
                return self._quantized(program, float_names, reasons)
            except UndefinedError as error:
                placement = self._placement(program, float_names)
                sources = rounded_sources(program.node(error.value), placement)
                if not sources:
                    raise
                float_names = tuple(dict.fromkeys((*float_names, *sources)))
                reasons |= dict.fromkeys(sources, f"rounded, it makes {error.value} infinite")
        return self._quantized(program, float_names, reasons)

    def _quantized(
        self,
        program: Program,
        float_names: tuple[str, ...],
        reasons: dict[str, str],
        before: _Made | None = None,
    ) -> _Made:
        """Returns ``program`` quantized; what still holds is taken from ``before``, which has more on integers."""
        placement = self._placement(program, float_names)
        views = self._views(program)
        seen = before.extremes if before else {}
        values = placement.group.keys() - program.constants.keys()
        if seen.keys() >= values:
            extremes = {name: seen[name] for name in seen if name in values}
        else:
            extremes = self._extremes(views, placement)
        ranges = {
            name: (float(np.min(pairs)), float(np.max(pairs)))  # NaN where one of them is NaN
            for name, pairs in extremes.items()
        }
        overrides = overrides_by_value(self.config, self.program)
        views = spread_views(views, _affordable(views))
        quantizer = LayerwiseQuantizer(views, placement, ranges, self.config, overrides)
        known = unaffected(program, before.placement, before.result, placement) if before else None
        result = quantizer.run(known)
        used = sum(len(view.samples) for view in views)
        return _Made(program, placement, result, float_names, reasons, used, extremes)

    def _rescued(self, made: _Made) -> _Made | None:
        """Returns the program with what loses an output in float, None where that helps nothing."""
        by_hand = overrides_by_value(self.config, self.program).values()
        if any(one.low is not None for one in by_hand):
            return None  # what ranges that were given lose is the user's choice
        loss = find_loss(made.program, made.result.quality, made.float_names)
        if loss is None:
            return None
        float_names = tuple(dict.fromkeys((*made.float_names, *loss.keep)))
        reasons = {**made.reasons, loss.value: loss.reason}
        again = self._quantized(made.program, float_names, reasons, made)
        before = lost_outputs(made.program, made.result.quality)
        gains = [again.result.quality[name].worst_db - was for name, was in before.items()]
        return again if max(gains) >= LEAST_GAIN_DB else None

    def _written(self, made: _Made) -> Program:
        uncovered = uncovered_outputs(
            self._views(made.program), made.calibrated(), made.placement.group
        )
        step = Step("quantize", self._settings(), made.effect(uncovered))
        result = made.result
        quantized = build_quantized(
            made.program,
            made.placement,
            result.grids,
            result.weights,
            result.biases,
            step,
            precision=Precision(self.config.precision),
        )
        # What was to be rounded again in front of a join is not where its join stays in float.
        return separate_ties(remove_identities(quantized))

    def _rescaled(self, program: Program) -> Program:
        switches = {False: self.config.equalization != "off", True: self.config.smoothing != "off"}
        spaces = [s for s in channel_spaces(program) if switches[s.smoothing]]
        if not spaces:
            return program
        statistics = collect_statistics(self._views(program), axes=channel_axes(spaces))
        for smoothing in (False, True):
            if switches[smoothing]:
                program = equalize(program, statistics, smoothing=smoothing)
        return program

    def _spread(self, program: Program) -> Program:
        """Returns ``program`` with channels of one size where sums are rounded that streams in float read."""
        storage = Precision(self.config.precision).activation_type
        if self.config.smoothing == "off" or self.config.real_sums != "off" or storage != INT8:
            return program
        names = sums_of_streams(program)
        if not names:
            return program
        axes = dict.fromkeys(names, -1)
        return spread_sums(program, collect_statistics(self._views(program), axes=axes))

    @staticmethod
    def _extremes(
        views: Sequence[View], placement: QuantizerPlacement
    ) -> dict[str, list[tuple[float, float]]]:
        """Returns the least and the largest number of each value, one pair a sample."""
        extremes: dict[str, list[tuple[float, float]]] = {}
        constants = views[0].program.constants

        def observe(node: torch.fx.Node, value: Any) -> None:
            if node.name in placement.group and node.name not in constants:
                low, high = torch.aminmax(value)
                extremes.setdefault(node.name, []).append((float(low), float(high)))

        run_views(views, observe)
        return extremes

    def _settings(self) -> dict[str, Any]:
        settings = {**msgspec.to_builtins(self.config), "weight_bits": self.config.bits}
        return {**settings, "samples": sum(map(len, (self.samples, *(s for _, s in self.others))))}


@dataclass(frozen=True)
class _Made:
    """What one run of the layerwise quantizer has made of a program."""

    program: Program
    placement: QuantizerPlacement
    result: QuantizationResult
    float_names: tuple[str, ...]
    reasons: dict[str, str]
    used_samples: int
    extremes: dict[str, list[tuple[float, float]]]

    def calibrated(self) -> dict[str, list[tuple[float, float]]]:
        """Returns the extremes of the values whose range was found on data, not given or prescribed."""
        grids, group = self.result.grids, self.placement.group
        return {n: e for n, e in self.extremes.items() if grids[group[n]].method not in GIVEN}

    def effect(self, uncovered: dict[str, float]) -> dict[str, Any]:
        """Returns what the history says of it."""
        quality = self.result.quality
        snr_db = {n: quality[n].whole_db for n in self.placement.values if n in quality}
        worst = sorted((v, n) for n, v in snr_db.items() if math.isfinite(v))[:WORST_SHOWN]
        lost = lost_outputs(self.program, quality)
        return {
            "weighted_operators": len(self.placement.weighted_operators),
            "values": len(self.placement.values),
            "layerwise_samples": self.used_samples,
            "lowest_snr_db": {name: round(value, 2) for value, name in worst},
            **({"float": self.reasons} if self.reasons else {}),
            **({"lost_db": {k: round(v, 2) for k, v in lost.items()}} if lost else {}),
            **(
                {"new_sample_db": {k: round(v, 2) for k, v in uncovered.items()}}
                if uncovered
                else {}
            ),
        }


def _affordable(views: Sequence[View]) -> int:
    """Returns how many samples' values fit into memory side by side, both in float and rounded."""
    peak = max(peak_value_bytes(view.program) for view in views)
    count = sum(len(view.samples) for view in views)
    return max(1, min(count, MOST_SAMPLES, SAMPLE_BYTES // (2 * peak)))


def _to_float16(program: Program) -> Program:
    """Rounds every float constant to half precision; numbers stay as they are, and infinities.

    A number of a model (an epsilon, what a mask puts in) takes no room, and may be less than half
    precision's least number, or more than its largest.
    """
    editor = Editor(program)
    for name, tensor in program.constants.items():
        if tensor.dtype is torch.float32 and tensor.numel() > 1:
            largest = FLOAT16.largest
            inside = torch.where(tensor.isinf(), tensor, tensor.clamp(-largest, largest))
            editor.set_tensor(editor.node(name), inside)
            _round_constant(editor, name, QuantSpec(FLOAT16, method="half"))
    effect = {"constants": len(editor.quant)}
    return editor.finish(
        Step("quantize", {"precision": str(FLOAT16)}, effect), precision=Precision.FLOAT16
    )


def _round_constant(editor: Editor, name: str, spec: QuantSpec) -> None:
    """Stores a constant on a grid."""
    node = editor.node(name)
    editor.quant[name] = spec
    editor.set_tensor(node, spec.fake(editor.tensor(node)))
