"""Which candidate to try next: a Gaussian process over the choices, and what it expects to gain.

Spaces are lists of some tens to some hundreds of points, sorted by what the templates think of
them; that rank is one of the features. The method is that of Jones, Schonlau and Welch, "Efficient
global optimization of expensive black-box functions" (1998).
"""

from __future__ import annotations

import json
import math
import random
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Search", "name_of"]

_FIRST = 3
"""Candidates that are tried before anything can be learnt: the two that templates like best, one by lot."""
_BY_LOT = 0.1
_LENGTH, _NOISE, _FAILED = 1.0, 0.03, 1.0


def name_of(config: dict[str, Any]) -> str:
    """Returns a candidate as the text that it is kept under."""
    return json.dumps(config, sort_keys=True)


class Search:
    """The search over one kernel's candidates.

    Args:
        points: All of them; the first is the default.
        seed: Where chance starts.
    """

    def __init__(self, points: Sequence[dict[str, Any]], seed: str) -> None:
        self._points = list(points)
        self._names = [name_of(p) for p in self._points]
        self._place = {name: i for i, name in enumerate(self._names)}
        self._features = _features(self._points)
        self._rng = random.Random(seed)  # noqa: S311 (no secret)
        self._tried: dict[int, float | None] = {}

    def learn(self, name: str, ratio: float | None) -> None:
        """Takes in that the candidate ``name`` took ``ratio`` of the default's time.

        None stands for one that failed; a name that is not of this space is passed over.
        """
        if name in self._place:
            self._tried[self._place[name]] = ratio

    def learn_default(self) -> None:
        """Takes in that the first point is the default, and needs no trial."""
        if self._points:
            self._tried[0] = 1.0

    @property
    def left(self) -> int:
        """How many candidates have not been tried."""
        return len(self._points) - len(self._tried)

    def propose(self) -> dict[str, Any] | None:
        """Returns the next candidate, None where all have been tried."""
        open_points = [i for i in range(len(self._points)) if i not in self._tried]
        if not open_points:
            return None
        times = [r for r in self._tried.values() if r is not None]
        if len(self._tried) < _FIRST:
            return self._points[open_points[0]]
        if len(self._tried) == _FIRST or len(times) < _FIRST or self._rng.random() < _BY_LOT:
            return self._points[self._rng.choice(open_points)]
        return self._points[open_points[int(np.argmax(self._expected(open_points)))]]

    def _expected(self, open_points: list[int]) -> np.ndarray:
        """Returns for each point by how much it is expected to beat the best, in log time."""
        trials = sorted(self._tried)
        times = [r for r in self._tried.values() if r is not None]
        worst = math.log(max(times)) + _FAILED
        logs = np.array([worst if (r := self._tried[i]) is None else math.log(r) for i in trials])
        logs = np.minimum(logs, 2.0)  # how bad the bad ones are does not matter
        mean, spread = logs.mean(), max(float(logs.std()), 0.05)
        y = (logs - mean) / spread
        train = _kernel(self._features[trials], self._features[trials])
        cross = _kernel(self._features[open_points], self._features[trials])
        factor = np.linalg.cholesky(train + _NOISE * np.eye(len(trials)))
        alpha = np.linalg.solve(factor.T, np.linalg.solve(factor, y))
        middle = cross @ alpha
        half = np.linalg.solve(factor, cross.T)
        deviation = np.sqrt(np.maximum(1.0 - (half**2).sum(0), 1e-9))
        z = (y.min() - middle) / deviation
        density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
        below = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in z])
        expected: np.ndarray = deviation * (z * below + density)
        return expected


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns Matérn's covariance of smoothness 3/2."""
    distance = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1)) * (math.sqrt(3) / _LENGTH)
    result: np.ndarray = (1 + distance) * np.exp(-distance)
    return result


def _features(points: Sequence[dict[str, Any]]) -> np.ndarray:
    """Returns one row for each point: choices as numbers on a log scale, each of variance one."""
    if not points:
        return np.zeros((0, 1))
    columns = [_column([p.get(k) for p in points]) for k in sorted({k for p in points for k in p})]
    columns.append([math.log1p(i) for i in range(len(points))])
    columns.append(_tiles(points))
    table = np.array(columns, dtype=np.float64).T
    spread = table.std(0)
    scaled: np.ndarray = (table - table.mean(0))[:, spread > 0] / spread[spread > 0] / 2
    return scaled


def _column(values: Sequence[Any]) -> list[float]:
    if all(isinstance(v, (bool, int, float)) for v in values):
        return [math.log2(1 + abs(float(v))) for v in values]
    order = {text: i for i, text in enumerate(sorted({json.dumps(v) for v in values}))}
    return [float(order[json.dumps(v)]) for v in values]


def _tiles(points: Iterable[dict[str, Any]]) -> list[float]:
    """Returns the log of the product of all numbers: how much a candidate does at once."""
    sizes = []
    for p in points:
        numbers = [v for v in p.values() if isinstance(v, int) and not isinstance(v, bool)]
        sizes.append(math.log2(1 + abs(math.prod(numbers))))
    return sizes
