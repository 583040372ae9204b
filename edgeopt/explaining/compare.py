"""What compression changed in what a model looks at: float and compressed, on the same inputs, beside a floor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeopt.explaining.agreement import (
    chance_correlation,
    interval,
    most_important,
    rank_correlation,
    top_overlap,
)
from edgeopt.explaining.attribution import METHODS, Answer, answer_of, gradients, left_out
from edgeopt.explaining.findings import AttributionAgreement
from edgeopt.explaining.regions import regions_of
from edgeopt.progress import report_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgeopt.contracts import Signature
    from edgeopt.explaining.attribution import Method
    from edgeopt.explaining.regions import Regions
    from edgeopt.gate.metrics import Arrays

__all__ = ["Attributed", "Comparer", "Looked", "tuple_of"]

NOISE = 0.01
"""Of the floor: standard deviation of the noise over that of the input."""


def tuple_of(function: Callable[..., Any]) -> Callable[..., Arrays]:
    """Returns a runner whose outputs are always a tuple."""

    def call(*arrays: np.ndarray) -> Arrays:
        outputs = function(*arrays)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    return call


@dataclass(frozen=True, eq=False)
class Looked:
    """What one model looks at in one input.

    Attributes:
        regions: The parts.
        map: One number a part.
        answer: What was traced back.
    """

    regions: Regions
    map: np.ndarray
    answer: Answer


@dataclass(frozen=True, eq=False)
class Attributed:
    """One step's attributions beside float's.

    Attributes:
        agreement: The numbers.
        maps: What the compressed model looks at, one an input.
    """

    agreement: AttributionAgreement
    maps: tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class Comparer:
    """The float model's attributions, computed once, to hold each step's against.

    Attributes:
        signature: Of the model.
        samples: The inputs, one tuple a call.
        function: The float model, on arrays.
        module: The float model with gradients; only where ``method`` needs them.
        method: How attributions are computed.
        output: Place of the output that is traced back.
        by_class: Whether it is one score a class.
        tokens: Of a model of tokens: what stands for one that is left out, and for the floor another one.
    """

    signature: Signature
    samples: Sequence[Arrays]
    function: Callable[..., Arrays]
    module: Any = None
    method: Method = "ablation"
    output: int = 0
    by_class: bool = True
    tokens: tuple[int, int] = (0, 1)
    _float: list[Looked] = field(default_factory=list, repr=False)
    _floor: list[np.ndarray] = field(default_factory=list, repr=False)

    @property
    def looked(self) -> list[Looked]:
        """What the float model looks at, one an input."""
        if not self._float:
            for index, sample in enumerate(self.samples):
                report_progress("attributions of float", index, len(self.samples))
                self._float.append(self._look(self.function, self.module, sample))
            report_progress("attributions of float", len(self.samples), len(self.samples))
        return self._float

    @property
    def floor(self) -> list[np.ndarray]:
        """What the float model looks at under a change that means nothing, one an input."""
        if not self._floor:
            chance = np.random.default_rng(0)
            for sample, looked in zip(self.samples, self.looked, strict=True):
                if looked.regions.kind == "tokens":
                    again = self._look(self.function, self.module, sample, looked, self.tokens[1])
                else:
                    noisy = _with_noise(sample, looked.regions.place, chance)
                    again = self._look(self.function, self.module, noisy, looked)
                self._floor.append(again.map)
        return self._floor

    def attributed(
        self, step: str, function: Callable[..., Arrays], module: Any = None
    ) -> Attributed:
        """Returns what ``function`` looks at beside float, with the numbers.

        Args:
            step: What was done to the model.
            function: The compressed model, on arrays.
            module: The same with gradients, where the method needs them.
        """
        maps = []
        for index, (sample, looked) in enumerate(zip(self.samples, self.looked, strict=True)):
            report_progress(f"attributions of {step}", index, len(self.samples))
            maps.append(self._look(function, module, sample, looked).map)
        report_progress(f"attributions of {step}", len(self.samples), len(self.samples))
        float_maps = [looked.map for looked in self.looked]
        return Attributed(self._agreement(step, float_maps, maps), tuple(maps))

    def _agreement(
        self, step: str, float_maps: list[np.ndarray], maps: list[np.ndarray]
    ) -> AttributionAgreement:
        pairs = list(zip(float_maps, maps, strict=True))
        floors = list(zip(float_maps, self.floor, strict=True))
        tops = [most_important(len(a)) for a in float_maps]
        regions = self.looked[0].regions
        return AttributionAgreement(
            step=step,
            method=f"{METHODS[self.method]} of {self._of(regions)}",
            regions=max(len(a) for a in float_maps),
            samples=len(maps),
            rank_correlation=interval([rank_correlation(*pair) for pair in pairs]),
            top_overlap=interval(
                [top_overlap(*pair, top) for pair, top in zip(pairs, tops, strict=True)]
            ),
            top=max(tops),
            floor=self._floor_name(regions),
            floor_rank_correlation=interval([rank_correlation(*pair) for pair in floors]),
            floor_top_overlap=interval(
                [top_overlap(*pair, top) for pair, top in zip(floors, tops, strict=True)]
            ),
            chance_rank_correlation=chance_correlation(float_maps, maps),
        )

    def _of(self, regions: Regions) -> str:
        whole = {
            "picture": "patches of the picture, for which the picture's mean stands",
            "tokens": f"tokens, for which token {self.tokens[0]} stands",
            "positions": "positions, for which their mean stands",
            "features": "features, for which their mean stands",
        }
        return whole[regions.kind]

    def _floor_name(self, regions: Regions) -> str:
        if regions.kind == "tokens":
            return f"float with token {self.tokens[1]} standing for what is left out"
        return f"float with noise of {NOISE:.0%} of the input's spread"

    def _look(
        self,
        function: Callable[..., Arrays],
        module: Any,
        sample: Arrays,
        like: Looked | None = None,
        token: int | None = None,
    ) -> Looked:
        """Returns what a model looks at; with ``like``, in the same parts and for the same class."""
        regions = regions_of(self.signature, sample) if like is None else like.regions
        answer = answer_of(function(*sample), output=self.output, by_class=self.by_class)
        if like is not None and like.answer.index is not None:
            answer = like.answer
        if self.method == "integrated-gradients":
            return Looked(regions, gradients(module, sample, regions, answer), answer)
        stands = self.tokens[0] if token is None else token
        return Looked(regions, left_out(function, sample, regions, answer, token=stands), answer)


def _with_noise(sample: Arrays, place: int, chance: np.random.Generator) -> Arrays:
    array = sample[place].astype(np.float64)
    noisy = array + NOISE * array.std() * chance.standard_normal(array.shape)
    if sample[place].dtype.kind == "u":
        noisy = np.clip(np.rint(noisy), 0, np.iinfo(sample[place].dtype).max)
    return tuple(a if i != place else noisy.astype(a.dtype) for i, a in enumerate(sample))
