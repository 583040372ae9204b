"""Which values' rounding does the most harm to a quantized program's outputs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import torch

from edgeopt.gate.metrics import snr_db
from edgeopt.ir import ops
from edgeopt.ir.reference import Simulation
from edgeopt.ir.source import module_path, operator_name, source_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.ir import Program

__all__ = ["Harm", "harmful_values"]


class Harm(msgspec.Struct, frozen=True):
    """A value whose rounding costs accuracy.

    Attributes:
        value: Its name; of values that share a grid, the one with the most noise.
        operator: What makes it.
        module: Path of the module in the model.
        source: ``file:line`` of the model's code, where known.
        snr_db: Signal-to-noise ratio of its own rounding, in dB.
        clipped: Share of its elements (0 to 1) beyond the ends of its grid.
        gain_db: How much better the outputs' signal-to-noise ratio is with this value in float.
        shared: Names of all values on that grid.
        keep: Names of the operators to keep in float, so that the value needs no grid: those that
            make it, and the convolutions and linears that read it.
    """

    value: str
    operator: str
    module: str
    source: str
    snr_db: float
    clipped: float
    gain_db: float
    shared: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = self.source or self.module
        at = f" at {place}" if place else ""
        clipped = f", {100 * self.clipped:.2g} % clipped" if self.clipped > 0 else ""
        noise = f"its own rounding {self.snr_db:.1f} dB{clipped}"
        return f"{self.value} ({self.operator}{at}): {self.gain_db:+.1f} dB in float, {noise}"


def harmful_values(
    float_program: Program,
    program: Program,
    samples: Sequence[Sequence[torch.Tensor]],
    *,
    limit: int = 5,
    try_out: int = 12,
) -> tuple[Harm, ...]:
    """Returns the values that cost most, the worst first.

    The ``try_out`` values with the noisiest rounding are put back to float one by one, and what that
    gains at the outputs is measured.

    Args:
        float_program: The program before quantization, with the same inputs and outputs.
        program: The quantized program.
        samples: Inputs; a few are enough.
        limit: At most so many are returned.
        try_out: How many are tried.
    """
    wanted = [Simulation(float_program).outputs(s) for s in samples]
    noise = _Noise(program)
    base = _output_snr(wanted, [noise.outputs(s) for s in samples])
    groups = _groups(program)
    ranked = sorted(groups, key=lambda names: min(noise.snr_db(n) for n in names))
    harms = []
    for names in ranked[:try_out]:
        kept = {k: v for k, v in program.quant.items() if k not in names}
        freed = Simulation(replace(program, quant=kept), exact=False)
        gain = _output_snr(wanted, [freed.outputs(s) for s in samples]) - base
        worst = min(names, key=noise.snr_db)
        harms.append(_harm(program, worst, names, noise, gain))
    harms.sort(key=lambda harm: -harm.gain_db)
    return tuple(harm for harm in harms[:limit] if harm.gain_db > 0)


class _Noise(Simulation):
    """Runs a program and adds up what rounding does to each value on its own."""

    def __init__(self, program: Program) -> None:
        super().__init__(program, exact=False)
        self._signal: dict[str, float] = defaultdict(float)
        self._error: dict[str, float] = defaultdict(float)
        self._beyond: dict[str, list[float]] = defaultdict(list)

    def run_node(self, n: torch.fx.Node) -> Any:
        spec = self._program.quant.get(n.name)
        raw = torch.fx.Interpreter.run_node(self, n)
        if spec is None or n.name in self._program.constants:
            return raw
        value = spec.fake(raw)
        self._signal[n.name] += float(raw.double().square().sum())
        self._error[n.name] += float((raw - value).double().square().sum())
        if spec.axis is None and spec.dtype == "int8":
            outside = (raw < spec.low - spec.scale) | (raw > spec.high + spec.scale)
            self._beyond[n.name].append(float(outside.float().mean()))
        return value

    def snr_db(self, name: str) -> float:
        """Returns the signal-to-noise ratio of one value's rounding."""
        return snr_db(self._signal[name], self._error[name])

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
            [v.name for v in ops.activation_inputs(node)] if node.target in ops.SAME_GRID else []
        )
        known = [leader[name] for name in inputs if name in leader]
        leader[node.name] = known[0] if known else node.name
        for other in known[1:]:
            leader.update({k: known[0] for k, v in leader.items() if v == other})
    groups: dict[str, list[str]] = {}
    for name, first in leader.items():
        groups.setdefault(first, []).append(name)
    return [tuple(names) for names in groups.values()]


def _output_snr(wanted: list[list[torch.Tensor]], got: list[list[torch.Tensor]]) -> float:
    """Returns the signal-to-noise ratio of the worst output."""
    ratios = []
    for index in range(len(wanted[0])):
        pairs = [(w[index].double(), g[index].double()) for w, g in zip(wanted, got, strict=True)]
        signal = sum(float(w.square().sum()) for w, _ in pairs)
        ratios.append(snr_db(signal, sum(float((w - g).square().sum()) for w, g in pairs)))
    return min(ratios)


def _harm(
    program: Program, name: str, shared: tuple[str, ...], noise: _Noise, gain_db: float
) -> Harm:
    node = program.node(name)
    return Harm(
        value=name,
        operator=operator_name(node),
        module=module_path(node),
        source=source_line(node),
        snr_db=noise.snr_db(name),
        clipped=noise.clipped(name),
        gain_db=gain_db,
        shared=shared,
        keep=_around(program, shared),
    )


def _around(program: Program, names: tuple[str, ...]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for node in map(program.node, names):
        made = [v for v in node.all_input_nodes if ops.fused_activation(v) is node]
        readers = [user for user in node.users if user.target in ops.ANCHORS]
        own = [node] if node.op == "call_function" else []
        found.update(dict.fromkeys(n.name for n in (*made, *own, *readers)))
    return tuple(found)
