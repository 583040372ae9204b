"""Which values' rounding does the most harm to a quantized program's outputs.

Each value is rounded alone, with the weights around it, in the float program: what that costs at the outputs does not
depend on what else is rounded. Putting one value back to float finds nothing where several do the same harm, for the
others do it still.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec
import torch

from edgeopt.gate.metrics import snr_db
from edgeopt.ir import ops
from edgeopt.ir.operators import traits_of
from edgeopt.ir.reference import Simulation
from edgeopt.ir.source import module_path, operator_name, source_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.ir import Program

__all__ = ["Sensitivity", "sensitive_values"]

LEAST_GAIN_DB = 0.1
"""What a value is worth at least: 2 % of the noise."""
LEAST_REST = 1e-3
"""The least share of the noise that is said to be left: what single values make does not add up exactly."""
CLEAN_DB = 60.0
"""What is as good as float, where a loss is looked for."""
RESCALED_DB = 6.0
"""Below this a weight differs by more than rounding: its channels were rescaled."""


class Sensitivity(msgspec.Struct, frozen=True):
    """A value whose rounding costs accuracy.

    Attributes:
        value: Its name; of values that share a grid, the one with the most noise.
        operator: What makes it.
        module: Path of the module in the model.
        source: ``file:line`` of the model's code, where known.
        snr_db: Signal-to-noise ratio of the value against float, in dB.
        rounding_db: That of its own rounding alone, in dB.
        clipped: Share of its elements (0 to 1) beyond the ends of its grid.
        gain_db: How much better the outputs' signal-to-noise ratio would be with this value in float: its part of
            the noise at the worst output, which it makes alone, is gone.
        shared: Names of all values on that grid.
        keep: Names of the operators to keep in float, so that the value needs no grid: those that
            make it, and the convolutions and linears that read it.
    """

    value: str
    operator: str
    module: str
    source: str
    snr_db: float
    rounding_db: float
    clipped: float
    gain_db: float
    shared: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = self.source or self.module
        at = f" at {place}" if place else ""
        clipped = f", {100 * self.clipped:.2g} % clipped" if self.clipped > 0 else ""
        gain = f"{self.gain_db:+.1f} dB at the outputs if it stays in float"
        return f"{self.value} ({self.operator}{at}): SNR {self.snr_db:.1f} dB{clipped}, {gain}"


def sensitive_values(
    float_program: Program,
    program: Program,
    samples: Sequence[Sequence[torch.Tensor]],
    *,
    limit: int = 5,
    try_out: int = 12,
) -> tuple[Sensitivity, ...]:
    """Returns the values that cost most, the worst first.

    The ``try_out`` values at which the signal-to-noise ratio falls most are rounded one by one, with the weights and
    constants of the operators around them and all else in float, and the noise that this makes at the outputs is
    compared with that of all together.

    Args:
        float_program: The program before rounding. Where channels were rescaled, weights are told
            apart best if they are rescaled there too (quantize with ``keep_float=("*",)``).
        program: The quantized program.
        samples: Inputs; a few are enough.
        limit: At most so many are returned.
        try_out: How many are tried.
    """
    noise = _Noise(float_program, program)
    reference = [noise.compare(sample) for sample in samples]
    originals = _originals(float_program, program)
    biases = _biases(program, originals)
    together = _output_noise(reference, _Freed(program, biases).all_outputs(samples))
    suspects = [_Suspect.of(program, names, originals) for names in _groups(program)]
    suspects.sort(key=lambda one: -noise.lost_db(one.shared))
    values = {name for one in suspects for name in one.shared}
    worst = max(range(len(together)), key=lambda index: together[index])
    sensitivities = []
    for one in suspects[:try_out]:
        others = {name: tensor for name, tensor in originals.items() if name not in one.constants}
        alone = _Freed(program, {**others, **biases}, tuple(values - set(one.shared)))
        share = _output_noise(reference, alone.all_outputs(samples))[worst] / together[worst]
        gain = -10 * math.log10(max(1 - share, LEAST_REST)) if together[worst] else 0.0
        sensitivities.append(_sensitivity(program, one, noise, gain))
    sensitivities.sort(key=lambda sensitivity: -sensitivity.gain_db)
    return tuple(one for one in sensitivities[:limit] if one.gain_db >= LEAST_GAIN_DB)


@dataclass(frozen=True)
class _Suspect:
    """Values of one grid, with the operators around them.

    Attributes:
        shared: Names of the values.
        keep: Names of the operators that would stay in float.
        constants: Their weights and constants, as they were before rounding.
    """

    shared: tuple[str, ...]
    keep: tuple[str, ...]
    constants: dict[str, torch.Tensor]

    @classmethod
    def of(
        cls, program: Program, names: tuple[str, ...], originals: dict[str, torch.Tensor]
    ) -> _Suspect:
        keep = _around(program, names)
        read = {v.name for name in keep for v in program.node(name).all_input_nodes}
        return cls(names, keep, {name: originals[name] for name in read & originals.keys()})


class _Freed(Simulation):
    """Runs a program with some values in float, and some constants as they were."""

    def __init__(
        self, program: Program, originals: dict[str, torch.Tensor], values: tuple[str, ...] = ()
    ) -> None:
        loose = {*values, *originals}
        specs = {k: v for k, v in program.quant.items() if k not in loose}
        super().__init__(replace(program, quant=specs), exact=False)
        self._originals = originals

    def all_outputs(self, samples: Sequence[Sequence[torch.Tensor]]) -> list[list[torch.Tensor]]:
        return [self.outputs(sample) for sample in samples]

    def _placeholders(self, values: dict[str, torch.Tensor]) -> list[Any]:
        return super()._placeholders({**self._originals, **values})


def _biases(program: Program, originals: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Returns the biases before they were corrected: a correction hides whom it corrects."""
    parts = [ops.weighted_parts(n) for n in program.graph.nodes if ops.is_weighted(n)]
    names = [bias.name for _, _, bias in parts if bias is not None]
    return {name: originals[name] for name in names if name in originals}


def _originals(float_program: Program, program: Program) -> dict[str, torch.Tensor]:
    """Returns the rounded constants as they were; those that were rescaled too are left out.

    A bias goes with its weight: it was corrected for the weight's rounding.
    """
    originals = {}
    for name, tensor in float_program.constants.items():
        rounded = program.constants.get(name)
        if name not in program.quant or rounded is None or rounded.shape != tensor.shape:
            continue
        if _rounding_db(tensor, rounded) > RESCALED_DB:
            originals[name] = tensor
    for node in program.graph.nodes:
        if ops.is_weighted(node):
            _, weight, bias = ops.weighted_parts(node)
            if bias is not None and weight.name in originals:
                originals[bias.name] = float_program.constants[bias.name]
            elif bias is not None:
                originals.pop(bias.name, None)
    return originals


def _rounding_db(tensor: torch.Tensor, rounded: torch.Tensor) -> float:
    signal = float(tensor.double().square().sum())
    return snr_db(signal, float((tensor - rounded).double().square().sum()))


class _Noise(Simulation):
    """Runs a program beside its float form and adds up how each value differs."""

    def __init__(self, float_program: Program, program: Program) -> None:
        super().__init__(program, exact=False)
        self._float = Simulation(float_program, observe=self._remember)
        self._wanted: dict[str, torch.Tensor] = {}
        self._signal: dict[str, float] = defaultdict(float)
        self._error: dict[str, float] = defaultdict(float)
        self._rounding: dict[str, float] = defaultdict(float)
        self._beyond: dict[str, list[float]] = defaultdict(list)

    def compare(self, sample: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Returns the float outputs for one sample, after running both."""
        outputs = self._float.outputs(sample)
        self.outputs(sample)
        self._wanted.clear()
        return outputs

    def run_node(self, n: torch.fx.Node) -> Any:
        spec = self._program.quant.get(n.name)
        raw = torch.fx.Interpreter.run_node(self, n)
        if n.name in self._program.constants or not ops.is_float_tensor(n):
            return raw
        value = raw if spec is None else spec.fake(raw)
        reference = self._wanted.get(n.name, raw)
        self._signal[n.name] += float(reference.double().square().sum())
        self._error[n.name] += float((reference - value).double().square().sum())
        self._rounding[n.name] += float((raw - value).double().square().sum())
        if spec is not None and spec.is_activation:
            outside = (raw < spec.low - spec.scale) | (raw > spec.high + spec.scale)
            self._beyond[n.name].append(float(outside.float().mean()))
        return value

    def _remember(self, node: torch.fx.Node, value: Any) -> None:
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            self._wanted[node.name] = value

    def snr_db(self, name: str) -> float:
        """Returns the signal-to-noise ratio of a value against float."""
        return snr_db(self._signal[name], self._error[name])

    def rounding_db(self, name: str) -> float:
        """Returns the signal-to-noise ratio of a value's own rounding."""
        return snr_db(self._signal[name], self._rounding[name])

    def lost_db(self, names: Sequence[str]) -> float:
        """Returns by how much the ratio falls at most from what an operator reads to its result."""
        return max(self._lost_db(self._program.node(name)) for name in names)

    def _lost_db(self, node: torch.fx.Node) -> float:
        weighted_operators = [v for v in node.all_input_nodes if ops.fused_activation(v) is node]
        read = [v for n in (weighted_operators or [node]) for v in ops.activation_inputs(n)]
        before = [self.snr_db(v.name) for v in read if v.name in self._signal]
        return min([CLEAN_DB, *before]) - self.snr_db(node.name)

    def clipped(self, name: str) -> float:
        """Returns the mean share of a value's elements beyond its grid."""
        shares = self._beyond[name]
        return sum(shares) / len(shares) if shares else 0.0


def _groups(program: Program) -> list[tuple[str, ...]]:
    """Returns the names of activations that share one grid, because they are moved, not computed."""
    leader: dict[str, str] = {}
    for node in program.graph.nodes:
        if node.name not in program.quant or node.name in program.constants:
            continue
        inputs = (
            [v.name for v in ops.activation_inputs(node)]
            if traits_of(node).keeps_parameters
            else []
        )
        leaders = [leader[name] for name in inputs if name in leader]
        leader[node.name] = leaders[0] if leaders else node.name
        for other in leaders[1:]:
            leader.update({k: leaders[0] for k, v in leader.items() if v == other})
    groups: dict[str, list[str]] = {}
    for name, first in leader.items():
        groups.setdefault(first, []).append(name)
    return [tuple(names) for names in groups.values()]


def _output_noise(wanted: list[list[torch.Tensor]], got: list[list[torch.Tensor]]) -> list[float]:
    """Returns the energy of each output's error over that of the output."""
    shares = []
    for index in range(len(wanted[0])):
        pairs = [(w[index].double(), g[index].double()) for w, g in zip(wanted, got, strict=True)]
        signal = sum(float(w.square().sum()) for w, _ in pairs)
        shares.append(sum(float((w - g).square().sum()) for w, g in pairs) / (signal or 1.0))
    return shares


def _sensitivity(program: Program, suspect: _Suspect, noise: _Noise, gain_db: float) -> Sensitivity:
    name = min(suspect.shared, key=noise.snr_db)
    node = program.node(name)
    return Sensitivity(
        value=name,
        operator=operator_name(node),
        module=module_path(node),
        source=source_line(node),
        snr_db=noise.snr_db(name),
        rounding_db=noise.rounding_db(name),
        clipped=noise.clipped(name),
        gain_db=gain_db,
        shared=suspect.shared,
        keep=suspect.keep,
    )


def _around(program: Program, names: tuple[str, ...]) -> tuple[str, ...]:
    neighbours: dict[str, None] = {}
    for node in map(program.node, names):
        weighted_operators = [v for v in node.all_input_nodes if ops.fused_activation(v) is node]
        consumers = [user for user in node.users if ops.is_weighted(user)]
        added = node.target is ops.aten.alias.default  # by quantization: the model has no such node
        own = [node] if node.op == "call_function" and not added else []
        neighbours.update(dict.fromkeys(n.name for n in (*weighted_operators, *own, *consumers)))
    return tuple(neighbours)
