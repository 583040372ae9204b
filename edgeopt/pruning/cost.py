"""What a model costs: multiply-accumulates, parameters, and an estimate of latency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeopt.errors import InputError

if TYPE_CHECKING:
    import torch

    from edgeopt.contracts.target import Target
    from edgeopt.data.calls import Call

__all__ = ["LayerCost", "arena_kb", "layer_costs", "parameter_count", "roofline_ms"]


@dataclass(frozen=True)
class LayerCost:
    """One convolution or linear layer.

    Attributes:
        macs: Multiply-accumulates for one call with the example inputs.
        weights: Elements of the weight.
        traffic: Elements read and written: weights, inputs and outputs.
    """

    macs: float
    weights: float
    traffic: float

    def scaled(self, outs: float, ins: float) -> LayerCost:
        """Returns the cost when shares ``outs`` and ``ins`` of its channels are left."""
        moved = self.traffic - self.weights
        weights = self.weights * outs * ins
        return LayerCost(self.macs * outs * ins, weights, weights + moved * (outs + ins) / 2)


def layer_costs(model: torch.nn.Module, call: Call) -> dict[str, LayerCost]:
    """Returns each convolution's and linear layer's cost by its name, for one call of the model.

    Attention's own products and elementwise work are not counted.
    """
    import torch  # noqa: PLC0415
    from torch import nn  # noqa: PLC0415

    costs: dict[str, LayerCost] = {}

    def hook(name: str) -> Any:
        def count(layer: Any, inputs: Any, output: Any) -> None:
            size = float(layer.weight.numel())
            out, input_size = output.numel(), inputs[0].numel()
            share = size / _outs(layer)
            macs = input_size * size / _ins(layer) if _transposed(layer) else out * share
            before = costs.get(name, LayerCost(0, size, size))
            costs[name] = LayerCost(before.macs + macs, size, before.traffic + out + input_size)

        return count

    kinds = (nn.Linear, nn.modules.conv._ConvNd)  # noqa: SLF001 (the common base of convolutions)
    handles = [
        m.register_forward_hook(hook(n)) for n, m in model.named_modules() if isinstance(m, kinds)
    ]
    try:
        with torch.no_grad():
            args, kwargs = call
            model(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    return costs


def _transposed(layer: Any) -> bool:
    return bool(getattr(layer, "transposed", False))


def _outs(layer: Any) -> int:
    return int(getattr(layer, "out_features", None) or layer.out_channels)


def _ins(layer: Any) -> int:
    return int(getattr(layer, "in_features", None) or layer.in_channels)


def parameter_count(model: torch.nn.Module) -> int:
    """Returns how many parameters the model has, shared ones once."""
    return sum(p.numel() for p in model.parameters())


def arena_kb(costs: dict[str, LayerCost]) -> float:
    """Returns an *estimate* of a microcontroller's arena in KiB: inputs and outputs, in int8, of the
    layer that has most. What is kept beside it (a residual) and scratch memory come on top.
    """
    return max((c.traffic - c.weights for c in costs.values()), default=0.0) / 1024


def roofline_ms(costs: dict[str, LayerCost], target: Target) -> float:
    """Returns an *estimate* of latency in ms: each layer as long as its arithmetic at the target's
    peak rate, or its memory traffic, whichever is longer. It serves to compare widths; only a
    measurement says how long a model takes. Roofline model: Williams, Waterman and Patterson, 2009.

    Raises:
        InputError: The target's descriptor names no peak rate.
    """
    rates = {rate.what: rate.value for rate in target.rates}
    gops, width = rates.get("int8_gops"), 1
    if gops is None:
        gops, width = rates.get("fp32_gflops"), 4
    if gops is None:
        raise InputError(
            f"{target.name} names no peak rate", where="latency_ms", hint="use macs= instead"
        )
    memory = rates.get("memory_gb_s")
    return sum(
        max(2e-6 * c.macs / gops, 1e-6 * width * c.traffic / memory if memory else 0.0)
        for c in costs.values()
    )
