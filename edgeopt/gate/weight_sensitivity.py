"""Which weights of few bits do the most harm to a program's outputs.

Each is rounded alone, with the bias that was corrected for it, in the float program. What that costs at the outputs is
compared with what all of them cost together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from edgeopt.gate.metrics import snr_db
from edgeopt.gate.sensitivity import LEAST_REST, Sensitivity
from edgeopt.ir import ops
from edgeopt.ir.reference import Simulation
from edgeopt.ir.source import module_path, operator_name, source_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from edgeopt.ir import Program

__all__ = ["sensitive_weights"]


def sensitive_weights(
    float_program: Program, program: Program, samples: Sequence[Sequence[torch.Tensor]]
) -> tuple[Sensitivity, ...]:
    """Returns the operators with a weight of few bits, the one that costs most first.

    Args:
        float_program: The program before rounding.
        program: The same with weights alone rounded.
        samples: Inputs; a few are enough.
    """
    exact = _outputs(float_program, {}, samples)
    rounded = {name: program.constants[name] for name in program.quant if name in program.constants}
    biases = {name: program.constants[name] for _, _, name in _packed(program) if name}
    together = _noise(exact, _outputs(float_program, {**rounded, **biases}, samples))
    worst = max(range(len(together)), key=lambda index: together[index])
    culprits = []
    for node, weight, bias in _packed(program):
        alone = {name: program.constants[name] for name in (weight, bias) if name}
        noise = _noise(exact, _outputs(float_program, alone, samples))[worst]
        culprits.append(_sensitivity(float_program, program, node, weight, noise, together[worst]))
    return tuple(sorted(culprits, key=lambda one: -one.gain_db))


class _Replaced(Simulation):
    """Runs a program in float with some constants replaced."""

    def __init__(self, program: Program, constants: dict[str, torch.Tensor]) -> None:
        super().__init__(program, exact=False)
        self._replaced = constants

    def _placeholders(self, values: dict[str, torch.Tensor]) -> list[Any]:
        return super()._placeholders({**self._replaced, **values})


def _packed(program: Program) -> Iterator[tuple[torch.fx.Node, str, str]]:
    """Yields operators with a weight of few bits, its name, and that of the bias, each weight once."""
    seen = set()
    for node in program.graph.nodes:
        if not ops.is_weighted(node):
            continue
        _, weight, bias = ops.weighted_parts(node)
        spec = program.quant.get(weight.name)
        if spec is not None and spec.storage.is_packed and weight.name not in seen:
            seen.add(weight.name)
            yield node, weight.name, bias.name if bias is not None else ""


def _outputs(
    program: Program,
    constants: dict[str, torch.Tensor],
    samples: Sequence[Sequence[torch.Tensor]],
) -> list[list[torch.Tensor]]:
    runner = _Replaced(program, constants)
    return [runner.outputs(sample) for sample in samples]


def _noise(exact: list[list[torch.Tensor]], outputs: list[list[torch.Tensor]]) -> list[float]:
    """Returns the energy of each output's error over that of the output."""
    shares = []
    for index in range(len(exact[0])):
        pairs = [
            (a[index].double(), b[index].double()) for a, b in zip(exact, outputs, strict=True)
        ]
        signal = sum(float(a.square().sum()) for a, _ in pairs)
        shares.append(sum(float((a - b).square().sum()) for a, b in pairs) / (signal or 1.0))
    return shares


def _sensitivity(
    float_program: Program,
    program: Program,
    node: torch.fx.Node,
    weight: str,
    noise: float,
    together: float,
) -> Sensitivity:
    tensor, rounded = (one.constants[weight].double() for one in (float_program, program))
    error = float((tensor - rounded).square().sum())
    share = noise / together if together else 0.0
    return Sensitivity(
        value=node.name,
        operator=operator_name(node),
        module=module_path(node),
        source=source_line(node),
        snr_db=snr_db(1.0, noise),
        rounding_db=snr_db(float(tensor.square().sum()), error),
        clipped=0.0,
        gain_db=-10 * math.log10(max(1 - share, LEAST_REST)),
        shared=(node.name,),
        keep=(node.name,),
    )
