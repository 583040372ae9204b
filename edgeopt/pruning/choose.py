"""Which units go: by ranking, widths rounded, until the goal is met."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgeopt.errors import InputError
from edgeopt.pruning.cost import LayerCost, arena_kb, roofline_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from edgeopt.contracts.target import Target
    from edgeopt.options import PruningOptions
    from edgeopt.pruning.sites import Site

__all__ = ["PARAMETER_SIZES", "Chooser"]

_FALLBACKS = "raise max_ratio, keep fewer layers, or let widths be multiples of less (multiple=)"

_HALVINGS = 24

PARAMETER_SIZES = {"parameters": 1.0, "size_bytes": 4.0, "max_flash_kb": 1 / 1024}
"""Goal to what one parameter counts: itself, its bytes as float32, its KiB as int8."""


class Chooser:
    """Chooses units among the sites of one model.

    Args:
        sites: Those that may be pruned.
        scores: One a unit.
        first: Site name to its units before any step.
        costs: Of every layer.
        parameters: Of the whole model.
        options: The user's.
    """

    def __init__(
        self,
        sites: list[Site],
        scores: list[torch.Tensor],
        first: Mapping[str, int],
        costs: dict[str, LayerCost],
        parameters: int,
        options: PruningOptions,
    ) -> None:
        self.sites, self.scores, self.first = sites, scores, first
        self.costs, self.parameters, self.options = costs, parameters, options

    def by_ratio(self, ratio: float, layers: Mapping[str, float] | None = None) -> list[list[int]]:
        """Returns for each site the units that go when ``ratio`` of all first units shall be gone.

        Raises:
            InputError: A layer would be left empty.
        """
        if layers is not None:
            return [self._one(i, layers.get(s.name)) for i, s in enumerate(self.sites)]
        if self.options.scope == "layer":
            return [self._one(i, ratio) for i in range(len(self.sites))]
        return self._global(ratio)

    def by_budget(self, goal: str, budget: float, target: Target | None) -> list[list[int]]:
        """Returns the fewest units that bring the model to ``budget``.

        Raises:
            InputError: It cannot be met; says the nearest that can.
        """
        low, high = 0.0, 0.999
        least = self.measure(goal, self._lenient(high), target)
        if least > budget:
            what = f"{budget:.6g} cannot be met; the nearest that can is {least:.6g}"
            raise InputError(what, where=goal, hint=_FALLBACKS)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            met = self.measure(goal, self._lenient(middle), target) <= budget
            low, high = (low, middle) if met else (middle, high)
        return self._lenient(high)

    def measure(self, kind: str, gone: list[list[int]], target: Target | None) -> float:
        """Returns what a goal counts, once the units are gone."""
        costs = self._after(gone)
        if kind == "macs":
            return sum(c.macs for c in costs.values())
        if kind == "latency_ms":
            assert target is not None  # noqa: S101 (checked where options are read)
            return roofline_ms(costs, target)
        if kind == "max_ram_kb":
            return arena_kb(costs)
        saved = sum(self.costs[n].weights - c.weights for n, c in costs.items())
        return (self.parameters - saved) * PARAMETER_SIZES[kind]

    def _after(self, gone: list[list[int]]) -> dict[str, LayerCost]:
        lost: dict[tuple[str, str], float] = {}
        for site, units in zip(self.sites, gone, strict=True):
            channels = {c for unit in units for c in site.units[unit]}
            for member in site.members:
                if member.name in self.costs:
                    key = (member.name, member.role)
                    lost[key] = lost.get(key, 0.0) + sum(
                        r in channels for r in member.roots
                    ) / _side(member)
        return {
            name: cost.scaled(1 - lost.get((name, "out"), 0.0), 1 - lost.get((name, "in"), 0.0))
            for name, cost in self.costs.items()
        }

    def _lenient(self, ratio: float) -> list[list[int]]:
        if self.options.scope == "layer":
            return [self._lowest(i, ratio * self._first(i)) for i in range(len(self.sites))]
        return self._global(ratio)

    def _first(self, index: int) -> int:
        site = self.sites[index]
        return self.first.get(site.name, len(site.units))

    def _one(self, index: int, ratio: float | None) -> list[int]:
        if ratio is None:
            return []
        units = self._first(index)
        if round(units * (1 - ratio)) < 1:
            what = f"removing {ratio:.0%} of {units} {self.sites[index].kind} leaves it empty"
            raise InputError(what, where=self.sites[index].name, hint="ask for less, or keep it")
        return self._lowest(index, units * ratio, cap=False)

    def _global(self, ratio: float) -> list[list[int]]:
        import torch  # noqa: PLC0415

        total = sum(self._first(i) for i in range(len(self.sites)))
        scores = torch.cat(self.scores)
        count = len(scores) - round(total * (1 - ratio))
        if count <= 0:
            return [[] for _ in self.sites]
        edge = float(scores.sort().values[min(count, len(scores)) - 1])
        return [
            self._lowest(i, self._first(i) - int((self.scores[i] > edge).sum()))
            for i in range(len(self.sites))
        ]

    def _lowest(self, index: int, removed: float, *, cap: bool = True) -> list[int]:
        """The lowest units, so that about ``removed`` of those at first are gone."""
        site, first = self.sites[index], self._first(index)
        now = len(site.units)
        if cap:
            removed = min(removed, self.options.max_ratio * first)
        keep = self._rounded(site, first - removed)
        order = self.scores[index].argsort(stable=True).tolist()
        return sorted(order[: max(0, now - min(keep, now))])

    def _rounded(self, site: Site, keep: float) -> int:
        wide = len(site.units[0])
        multiple = self.options.multiple or 1
        step = 1 if site.attention else multiple // math.gcd(multiple, wide)
        nearest = int(keep / step + 0.5) * step
        return max(nearest, min(step, len(site.units)), 1)


def _side(member: object) -> int:
    layer = getattr(member, "layer")  # noqa: B009
    role = getattr(member, "role")  # noqa: B009
    return int(getattr(layer, f"{role}_features", 0) or getattr(layer, f"{role}_channels"))
