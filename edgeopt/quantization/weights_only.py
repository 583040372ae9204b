"""Quantizes weights alone, activations stay in float: of 8 bits by channel, of 4 and fewer in groups.

Of few bits the rounding matters: with calibration data the columns of a linear are rounded one after another, each
column's error made up for by those still free, for the inputs that the rounded program sees
(`edgeopt.quantization.rounding`), and the bias takes up the mean error that is left.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import torch
from torch.fx.node import map_arg

from edgeopt.contracts.storage import Precision
from edgeopt.ir import ops
from edgeopt.ir.edit import Editor
from edgeopt.ir.memory import peak_value_bytes
from edgeopt.ir.program import Program, Step
from edgeopt.progress import report_progress
from edgeopt.quantization.few_bits import fitted_spec
from edgeopt.quantization.patterns import kept_in_float
from edgeopt.quantization.placement import recurrent_weights
from edgeopt.quantization.quantized_program import weight_spec
from edgeopt.quantization.rounding import input_moments, round_adaptively
from edgeopt.quantization.weight_choice import WeightChoice, choose_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeopt.data.dataset import Dataset
    from edgeopt.ir.quant import QuantSpec
    from edgeopt.options import QuantizationConfig

__all__ = ["quantize_weights"]

SAMPLE_BYTES = 600 << 20
"""Memory that the values of all samples may take."""
MOST_SAMPLES = 64
MOST_TAPS = 4096
"""Inputs of a linear up to which ``auto`` solves for columns: the work grows with their cube."""


def quantize_weights(
    program: Program, config: QuantizationConfig, samples: Dataset | None = None
) -> Program:
    """Returns ``program`` with integer weights in weighted operators and recurrent layers; activations stay in float.

    Args:
        program: In canonical form, in float.
        config: ``int8-dynamic`` or ``int4-dynamic``.
        samples: Real inputs, by which weights of few bits are rounded; None to round each to the nearest.
    """
    editor = Editor(program)
    choices = choose_weights(program, config)
    solved = 0
    if samples is not None and len(samples) and config.rounding != "nearest":
        solved = _Walk(editor, program, choices, config).run(samples)
    for name, choice in choices.items():
        if name not in editor.quant:
            _put(editor, name, _nearest_spec(program.constants[name], choice, config))
    for name in recurrent_weights(program, frozenset(kept_in_float(config, program))):
        _put(editor, name, weight_spec(program.constants[name], 0))
    step = Step("quantize", _settings(config), _effect(editor, choices, solved))
    return editor.finish(step, precision=Precision(config.precision))


class _Walk:
    """One walk through a program, for all samples a node before the next, with what has been rounded so far.

    Args:
        editor: Where weights are put.
        program: In float.
        choices: Weight name to how it is stored.
        config: What to do.
    """

    def __init__(
        self,
        editor: Editor,
        program: Program,
        choices: Mapping[str, WeightChoice],
        config: QuantizationConfig,
    ) -> None:
        self._editor = editor
        self._program = program
        self._config = config
        self._solvable = {
            name: choice
            for name, choice in choices.items()
            if choice.is_packed and choice.node.target is ops.aten.linear.default
        }
        if config.rounding == "auto":
            self._solvable = {
                name: choice
                for name, choice in self._solvable.items()
                if program.constants[name].shape[1] <= MOST_TAPS
            }
        self._values: dict[str, list[Any]] = {}

    def run(self, samples: Dataset) -> int:
        """Rounds the weights of few bits; returns how many there were."""
        if not self._solvable:
            return 0
        peak = max(1, peak_value_bytes(self._program))
        count = max(1, min(len(samples), MOST_SAMPLES, SAMPLE_BYTES // peak))
        used = list(samples.spread(count))
        nodes = [n for n in self._program.graph.nodes if n.op != "output"]
        uses = {n.name: len(n.users) for n in nodes}
        with torch.no_grad():
            for index, node in enumerate(nodes):
                if node.name not in self._program.constants:
                    self._visit(node, used)
                self._forget(node, uses)
                report_progress("quantize", index + 1, len(nodes))
        return len(self._solvable)

    def _visit(self, node: torch.fx.Node, samples: list[Any]) -> None:
        if node.op == "placeholder":
            at = self._program.input_names.index(node.name)
            self._values[node.name] = [sample[at] for sample in samples]
            return
        if ops.is_weighted(node):
            x, weight, bias = ops.weighted_parts(node)
            if weight.name in self._solvable and weight.name not in self._editor.quant:
                self._solve(node, self._values[x.name], weight.name, bias)
        count = len(samples)
        self._values[node.name] = [self._call(node, index) for index in range(count)]

    def _call(self, node: torch.fx.Node, index: int) -> Any:
        constants = self._editor.constants

        def value(n: torch.fx.Node) -> Any:
            return self._values[n.name][index] if n.name in self._values else constants[n.name]

        args, kwargs = map_arg((node.args, dict(node.kwargs)), value)
        return node.target(*args, **kwargs)  # type: ignore[operator]

    def _solve(
        self, node: torch.fx.Node, inputs: list[torch.Tensor], name: str, bias: torch.fx.Node | None
    ) -> None:
        """Rounds one weight for the inputs that it sees, and lets the bias take up the mean error."""
        weight, choice = self._program.constants[name], self._solvable[name]
        corrects = bias is not None and self._config.bias_correction != "off"
        moments = input_moments(node, inputs, centred=corrects)
        importance = torch.diagonal(moments[0])
        spec = fitted_spec(
            weight,
            bits=choice.bits,
            group=choice.group,
            affine=self._config.weight_zeros,
            importance=importance,
        )
        rounded = round_adaptively(weight, spec, moments)
        self._editor.quant[name] = spec
        self._editor.set_tensor(self._editor.node(name), rounded)
        if bias is not None and corrects:
            columns = torch.cat([x.reshape(-1, x.shape[-1]) for x in inputs])
            error = torch.nn.functional.linear(columns.mean(0), weight - rounded)
            self._editor.set_tensor(
                self._editor.node(bias.name), self._editor.constants[bias.name] + error
            )

    def _forget(self, node: torch.fx.Node, uses: dict[str, int]) -> None:
        """Drops the values that nobody reads any more."""
        for value in node.all_input_nodes:
            uses[value.name] -= 1
            if not uses[value.name]:
                self._values.pop(value.name, None)


def _nearest_spec(
    weight: torch.Tensor, choice: WeightChoice, config: QuantizationConfig
) -> QuantSpec:
    if choice.is_packed and choice.node.target is ops.aten.linear.default:
        return fitted_spec(weight, bits=choice.bits, group=choice.group, affine=config.weight_zeros)
    return weight_spec(weight, ops.output_channel_axis(choice.node), bits=choice.bits)


def _put(editor: Editor, name: str, spec: QuantSpec) -> None:
    """Stores a constant on a grid."""
    node = editor.node(name)
    editor.quant[name] = spec
    editor.set_tensor(node, spec.fake(editor.tensor(node)))


def _settings(config: QuantizationConfig) -> dict[str, Any]:
    settings: dict[str, Any] = {"precision": config.precision, "weight_bits": config.bits}
    if config.group:
        settings["weight_group"] = config.group
    if config.weight_zeros:
        settings["weight_zeros"] = True
    if config.keep_float:
        settings["keep_float"] = list(config.keep_float)
    return settings


def _effect(editor: Editor, choices: Mapping[str, WeightChoice], solved: int) -> dict[str, Any]:
    """Returns what the history says: how many weights have how many bits, and which have more than asked, and why."""
    counts = Counter(spec.bits for spec in editor.quant.values())
    wider = {name: choice.reason for name, choice in choices.items() if choice.reason}
    return {
        "weights": len(editor.quant),
        "bits": {str(bits): count for bits, count in sorted(counts.items())},
        **({"solved": solved} if solved else {}),
        **({"eight_bits": wider} if wider else {}),
    }
