"""Which configuration is tried next: Optuna's sampler, kept from what has been tried.

What is proposed depends on the seed, the trial's number and the trials before it alone. A run that is
cut short and goes on proposes what it would have proposed anyway.
"""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, TPESampler

if TYPE_CHECKING:
    from collections.abc import Callable

    from optuna import Study
    from optuna.trial import FrozenTrial

    from edgeopt.searching.configuration import Configuration
    from edgeopt.searching.space import Space

__all__ = ["Proposer", "distributions"]

_TRIES = 8
_STEPS = 64
_RANDOM_FIRST = 6
"""How many trials are made before a model of them is trusted."""


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Returns the axes of ``space`` as Optuna knows them: places on each."""
    return {
        name: IntDistribution(0, count - 1)
        if name in space.ordered
        else CategoricalDistribution(tuple(range(count)))
        for name, count in space.axes().items()
    }


class Proposer(BaseSampler):
    """Proposes configurations that have not been tried.

    Args:
        space: What may be proposed.
        seed: Where it starts.
        open_ones: Returns the configurations to try before all others, and the digests of those
            that are taken: tried, or being tried by somebody.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        open_ones: Callable[[int], tuple[list[Configuration], set[str]]],
    ) -> None:
        self._space, self._seed, self._open_ones = space, seed, open_ones
        self._axes = distributions(space)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Returns all axes: each is part of every proposal."""
        del study, trial
        return self._axes

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Returns places on the axes that make a new configuration, while there is one."""
        first, digests = self._open_ones(trial.number)
        if first:
            return self._space.places(first[0])
        mixed = hashlib.sha256(f"{self._seed}/{trial.number}".encode()).digest()
        noise = random.Random(mixed)  # noqa: S311 (no secret)
        inner = TPESampler(seed=noise.randrange(1 << 31), n_startup_trials=_RANDOM_FIRST)
        proposed: dict[str, int] = {}
        for _ in range(_TRIES):
            proposed = {k: noise.randrange(n) for k, n in self._space.axes().items()}
            proposed |= inner.sample_relative(study, trial, search_space)
            if self._new(proposed, digests):
                return proposed
        return self._beside(proposed, digests, noise)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        """Returns a place on one axis; `sample_relative` leaves none to it."""
        sampler = TPESampler(seed=self._seed)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def _new(self, places: dict[str, int], taken: set[str]) -> bool:
        return self._space.configuration(places).digest not in taken

    def _beside(
        self, places: dict[str, int], taken: set[str], noise: random.Random
    ) -> dict[str, Any]:
        """Returns something new near ``places``, else anything new."""
        axes, changed = self._space.axes(), dict(places)
        for _ in range(_STEPS):
            name = noise.choice(list(axes))
            changed[name] = noise.randrange(axes[name])
            if self._new(changed, taken):
                return changed
        candidates = [one for one in self._space.all() if one.digest not in taken]
        return self._space.places(noise.choice(candidates)) if candidates else places
