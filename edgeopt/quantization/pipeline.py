"""The way from a float program and calibration data to a quantized program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import torch

from edgeopt.contracts.storage import FLOAT16, FLOAT32, Precision
from edgeopt.errors import CalibrationError
from edgeopt.ir import ops
from edgeopt.ir.edit import Editor
from edgeopt.ir.inputs import calibration_samples
from edgeopt.ir.operators import WEIGHTED
from edgeopt.ir.program import Program, Step
from edgeopt.ir.quant import QuantSpec
from edgeopt.ir.reference import Simulation
from edgeopt.passes.separate_ties import separate_ties
from edgeopt.quantization.channels import channel_spaces
from edgeopt.quantization.config import QuantizationConfig
from edgeopt.quantization.equalize import equalize
from edgeopt.quantization.policy import Placement, place_grids
from edgeopt.quantization.statistics import channel_axes, collect_statistics
from edgeopt.quantization.table import build_quantized, weight_spec
from edgeopt.quantization.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgeopt.contracts.backend import Progress

__all__ = ["quantize_program"]

WALK_BYTES = 600 << 20
"""Memory that the values carried along may take."""
MOST_WALKED = 64
WORST_SHOWN = 10


def quantize_program(
    program: Program,
    calibration_data: Iterable[Any] | None = None,
    config: QuantizationConfig | None = None,
    *,
    progress: Progress | None = None,
) -> Program:
    """Returns ``program`` in the precision that ``config`` asks for.

    Args:
        program: In canonical form (`edgeopt.passes.run_core`), in float.
        calibration_data: Real inputs: an iterable of tensors, tuples, dicts or (inputs, label).
            Needed for ``int8`` only.
        config: What to do; int8 with all choices automatic where it is None.
        progress: Is told the stages ``calibrate`` and ``quantize``.

    Raises:
        CalibrationError: ``int8`` without data, or with data that is empty or not finite.
        InputError: A pattern of the configuration matches nothing.
    """
    config = config or QuantizationConfig()
    precision = Precision(config.precision)
    if not precision.is_integer:
        if precision.has_integer_weights:
            return _weights_only(program, config)
        return program if precision.weight_type == FLOAT32 else _halved(program)
    if calibration_data is None:
        raise CalibrationError(
            "static int8 needs calibration data, and none is ever invented",
            where="calibration_data",
            hint="pass about 100 real inputs, or precision='int8-dynamic', which needs none",
        )
    samples = list(
        calibration_samples(program.signature, calibration_data, limit=config.max_samples)
    )
    return _Static(program, samples, config, progress).run()


class _Static:
    """Static int8, step by step."""

    def __init__(
        self,
        program: Program,
        samples: Sequence[list[torch.Tensor]],
        config: QuantizationConfig,
        progress: Progress | None,
    ) -> None:
        self.program = program
        self.samples = samples
        self.config = config
        self.progress = progress or (lambda *_: None)

    def run(self) -> Program:
        program = self._rescaled(self.program)
        placement = place_grids(program, keep_float=self.config.kept_in_float(program))
        ranges = self._ranges(program, placement)
        overrides = self.config.overrides_by_value(program)
        carried = _spread(self.samples, _affordable(program, len(self.samples)))
        walk = Walk(program, placement, ranges, carried, self.config, overrides)
        found = walk.run(lambda done, total: self.progress("quantize", done, total))
        editor = Editor(program)
        editor.constants.update(found.biases)
        step = Step("quantize", self._settings(), self._effect(placement, found.snr_db, carried))
        quantized = build_quantized(editor.finish(), placement, found.grids, found.weights, step)
        return separate_ties(quantized)

    def _rescaled(self, program: Program) -> Program:
        wanted = {False: self.config.equalization != "off", True: self.config.smoothing != "off"}
        spaces = [s for s in channel_spaces(program) if wanted[s.smoothing]]
        if not spaces:
            return program
        statistics = collect_statistics(
            program, self.samples, axes=channel_axes(spaces), progress=self._calibrated
        )
        for smoothing in (False, True):
            if wanted[smoothing]:
                program = equalize(program, statistics, smoothing=smoothing)
        return program

    def _calibrated(self, done: int) -> None:
        self.progress("calibrate", done, len(self.samples))

    def _ranges(self, program: Program, placement: Placement) -> dict[str, tuple[float, float]]:
        found: dict[str, tuple[float, float]] = {}

        def observe(node: torch.fx.Node, value: Any) -> None:
            if node.name in placement.group and node.name not in program.constants:
                low, high = torch.aminmax(value)
                was = found.get(node.name, (float("inf"), float("-inf")))
                found[node.name] = (min(was[0], float(low)), max(was[1], float(high)))

        simulation = Simulation(program, observe=observe, exact=False)
        for index, sample in enumerate(self.samples):
            simulation.outputs(sample)
            self._calibrated(index + 1)
        return found

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = msgspec.to_builtins(self.config)
        return {**settings, "samples": len(self.samples)}

    def _effect(
        self, placement: Placement, snr_db: dict[str, float], carried: Sequence[object]
    ) -> dict[str, Any]:
        worst = sorted(snr_db.items(), key=lambda item: item[1])[:WORST_SHOWN]
        return {
            "anchors": len(placement.anchors),
            "values": len(placement.values),
            "samples_walked": len(carried),
            "lowest_snr_db": {name: round(value, 2) for name, value in worst},
        }


def _spread(samples: Sequence[list[torch.Tensor]], count: int) -> list[list[torch.Tensor]]:
    """Returns ``count`` of the samples, evenly spaced: data often comes sorted."""
    return [samples[i * len(samples) // count] for i in range(count)]


def _affordable(program: Program, count: int) -> int:
    """Returns how many samples' values fit into memory side by side, both in float and rounded."""
    alive: dict[str, int] = {}
    peak = 1
    left = {n.name: len(n.users) for n in program.graph.nodes}
    for node in program.graph.nodes:
        value = node.meta.get("val")
        if isinstance(value, torch.Tensor) and node.name not in program.constants:
            alive[node.name] = value.numel() * 4
        peak = max(peak, sum(alive.values()))
        for used in node.all_input_nodes:
            left[used.name] -= 1
            if left[used.name] == 0:
                alive.pop(used.name, None)
    return max(1, min(count, MOST_WALKED, WALK_BYTES // (2 * peak)))


def _halved(program: Program) -> Program:
    """Rounds every float constant to half precision."""
    editor = Editor(program)
    for name, tensor in program.constants.items():
        if tensor.dtype is torch.float32:
            spec = QuantSpec(FLOAT16, method="half")
            editor.quant[name] = spec
            editor.set_tensor(editor.node(name), spec.fake(tensor.clamp(-65504, 65504)))
    effect = {"constants": len(editor.quant)}
    return editor.finish(
        Step("quantize", {"precision": str(FLOAT16)}, effect), precision=Precision.FLOAT16
    )


def _weights_only(program: Program, config: QuantizationConfig) -> Program:
    """Rounds the weights of all anchors to int8; activations stay in float."""
    editor = Editor(program)
    kept = frozenset(config.kept_in_float(program))
    for node in editor.calls(*WEIGHTED):
        _, weight, _ = ops.anchor_parts(node)
        if node.name in kept or not editor.is_constant(weight) or weight.name in editor.quant:
            continue
        tensor = editor.tensor(weight)
        spec = weight_spec(tensor, ops.output_channel_axis(node), bits=config.weight_bits)
        editor.quant[weight.name] = spec
        editor.set_tensor(weight, spec.fake(tensor))
    settings = {"precision": Precision.INT8_DYNAMIC.value, "weight_bits": config.weight_bits}
    step = Step("quantize", settings, {"weights": len(editor.quant)})
    return editor.finish(step, precision=Precision.INT8_DYNAMIC)
