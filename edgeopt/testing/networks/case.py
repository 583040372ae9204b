"""Networks side by side in one program: what torch says of them, and what comes of deploying them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import torch

from edgeopt.contracts.storage import Precision
from edgeopt.deployment import steps
from edgeopt.gate.accuracy import check_agreement
from edgeopt.gate.parity import run_all
from edgeopt.ir import ReferenceRunner
from edgeopt.options import FidelityLimits
from edgeopt.testing.networks.network import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edgeopt.gate.metrics import Arrays
    from edgeopt.testing.networks.network import Network

__all__ = ["CHECKS", "Case", "Kind"]

Kind = Literal[
    "right",
    "warned",
    "refused",
    "not the same",
    "wrong",
    "not finite",
    "raw error",
    "crash",
    "hang",
]

Verdict = tuple[Kind, str]

CALIBRATION, CHECKS, FRESH = 20, 16, 8
"""Samples: the first two are what a deployment is given, which holds back a quarter of them for its checks."""

CAPTURED = 60.0
"""dB that capture and core passes must keep."""

FLOORS = {Precision.FLOAT32: 45.0, Precision.FLOAT16: 9.0}
FLOOR = 8.0
"""dB: the gate's floor, and 2 dB for what other samples may say."""

EVIDENT = (
    *("little is left of", "name another class", "another one may be the largest"),
    *("do not cover what values of", "a comparison may turn"),
)
"""What a warning that is meant says."""


LAST_BITS = "last bits decide it"
"""What parity says of an output that no runtime can keep."""


class Case:
    """One program, and what is shared by all that is made of it.

    Args:
        networks: What it holds, by their seeds.

    Attributes:
        seeds: Theirs.
        program: All of them.
    """

    def __init__(self, networks: Mapping[int, Network]) -> None:
        self.seeds = tuple(networks)
        fit = CALIBRATION + CHECKS
        every = [one.samples(fit + FRESH, seed) for seed, one in networks.items()]
        samples = [tuple(t for part in one for t in part) for one in zip(*every, strict=True)]
        self._network = side_by_side(tuple(networks.values()))
        module = self._network.module()
        with torch.no_grad():
            self.wanted = [_arrays(module(*one)) for one in samples[fit:]]
        self._last = samples[fit:]
        self.program = steps.as_program(module, samples[0])
        self.data = samples[:fit]
        self.fresh = [tuple(t.numpy() for t in one) for one in samples[fit:]]
        self._inputs = {seed: len(one.inputs) for seed, one in networks.items()}
        self._outputs = dict(zip(networks, _slices(list(networks.values())), strict=True))
        self._shared: tuple[steps.Baseline, steps.Source] | None = None

    def captured(self) -> dict[int, str]:
        """Returns what capture and core passes lose of each network; empty text where nothing."""
        outputs = run_all(ReferenceRunner(self.program), self.fresh)
        return {seed: self._lost(seed, outputs, CAPTURED) for seed in self.seeds}

    def owners(self, names: Iterable[str]) -> set[int]:
        """Returns the networks that the nodes called ``names`` are of."""
        every = iter(self.program.input_names)
        owner = {name: s for s, n in self._inputs.items() for name in islice(every, n)}
        for node in self.program.graph.nodes:
            seeds = [owner[v.name] for v in node.all_input_nodes if v.name in owner]
            if seeds:
                owner[node.name] = seeds[0]
        return {owner[name] for name in names if name in owner}

    def verdicts(self, job: steps.Job) -> dict[int, Verdict]:
        """Returns what comes of ``job`` for each network, and in a few words why.

        Raises:
            EdgeoptError: Nothing comes of it.
        """
        if self._shared is None:
            baseline = steps.baseline(self.program, job)
            self._shared = baseline, steps.source(job, baseline)
        baseline, source = self._shared
        candidate = steps.quantize(job, source)
        build = steps.compile(job, candidate)
        try:
            checked = steps.check(job, candidate, build, baseline)
            deployment = steps.report(job, checked, baseline)
            msgspec.json.encode(deployment.report())
            parity, accuracy = deployment.parity, deployment.accuracy
            differs = () if parity is None else parity.reasons
            fails = () if accuracy is None else accuracy.faults
            outputs = None if build.runner is None else run_all(build.runner, self.fresh)
        finally:
            build.close()
        result = _Result(differs, fails, deployment.warnings, outputs, build.not_here)
        return {seed: self._verdict(seed, result, job.plan.precision) for seed in self.seeds}

    def _verdict(self, seed: int, result: _Result, precision: str) -> Verdict:
        differs = self._of(seed, result.differs)
        if differs:
            # Of each output that differs somebody is told that no runtime could keep it, or nobody is helped.
            names = {text.partition(":")[0] for text in differs if LAST_BITS in text}
            helped = names.issuperset(text.partition(":")[0] for text in differs)
            return "refused" if helped else "not the same", "; ".join(differs)
        fails = self._of(seed, result.fails)
        if fails:
            return "refused", f"too little is left of {'; '.join(fails)}"
        if result.outputs is None:
            return "not the same", result.not_here
        lost = self._lost(seed, result.outputs, FLOORS.get(Precision(precision), FLOOR))
        if "not finite" in lost:
            return "not finite", lost
        warnings = [w for w in result.warnings if self._concerns(seed, w)]
        if lost and warnings:
            return "warned", warnings[0]
        return ("wrong" if lost else "right"), lost

    def _of(self, seed: int, reasons: Sequence[str]) -> list[str]:
        """Returns the reasons that name an output of this network, or none at all."""
        others = self._names(*(s for s in self.seeds if s != seed))
        return [text for text in reasons if text.partition(":")[0] not in others]

    def _concerns(self, seed: int, warning: str) -> bool:
        if not any(words in warning for words in EVIDENT):
            return False
        named = [n for n in self._names(*self.seeds) if f" {n}:" in warning]
        return not named or not self._names(seed).isdisjoint(named)

    def _names(self, *seeds: int) -> set[str]:
        outputs = self.program.signature.outputs
        return {spec.name for seed in seeds for spec in outputs[self._outputs[seed]]}

    @cached_property
    def _exact(self) -> list[Arrays]:
        """What torch says in float64; in float32 where it cannot."""
        module = self._network.module(double=True)
        try:
            with torch.no_grad():
                outputs = [_arrays(module(*map(_doubled, one))) for one in self._last]
        except RuntimeError:  # an operand that the network makes itself is float32 still
            return self.wanted
        pairs = zip(self.wanted, outputs, strict=True)
        return [tuple(y.astype(x.dtype) for x, y in zip(*pair, strict=True)) for pair in pairs]

    def _lost(self, seed: int, got: Sequence[Arrays], floor: float) -> str:
        """Returns what falls short of ``floor`` (dB), beside torch; empty where nothing does."""
        place = self._outputs[seed]
        expected, answers = [one[place] for one in self.wanted], [one[place] for one in got]
        answers = [_answered(*pair) for pair in zip(expected, answers, strict=True)]
        for want, have in zip(expected, answers, strict=True):
            for w, h in zip(want, have, strict=True):
                if w.shape != h.shape or w.dtype != h.dtype:
                    return f"{w.dtype} {w.shape} became {h.dtype} {h.shape}"
                if (np.isfinite(_real(w)) & ~np.isfinite(_real(h))).any():
                    return "not finite"
        lost = self._short(place, expected, answers, floor)
        if not lost:
            return ""
        exact = [one[place] for one in self._exact]
        every = zip(expected, answers, exact, strict=True)
        settled = [tuple(map(_settled, *one)) for one in every]
        return self._short(place, expected, settled, floor)

    def _short(
        self, place: slice, wanted: Sequence[Arrays], given: Sequence[Arrays], floor: float
    ) -> str:
        signature = self.program.signature
        compared = check_agreement(
            msgspec.structs.replace(signature, outputs=signature.outputs[place]),
            wanted,
            given,
            max_drop=None,
            inputs="fresh samples",
            limits=FidelityLimits(min_snr_db=floor, warn_snr_db=floor),
        )
        every = [s for one in compared.fidelity for s in one.shortfalls]
        return "; ".join(s.what for s in every if s.grave)


@dataclass(frozen=True)
class _Result:
    """What a deployment says, and what its artefact makes of fresh samples (None: it cannot run).

    The attributes are parity's reasons, accuracy's faults, warnings, outputs, and why none are there.
    """

    differs: Sequence[str]
    fails: Sequence[str]
    warnings: Sequence[str]
    outputs: Sequence[Arrays] | None
    not_here: str


def _slices(networks: Sequence[Network]) -> list[slice]:
    """Returns where each network's outputs lie among those of all."""
    ends = np.cumsum([len(one.outputs) for one in networks]).tolist()
    return [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def _answered(wanted: Arrays, given: Arrays) -> Arrays:
    """Returns what is given, and NaN where torch itself has no answer: none is right there, or wrong.

    The gate refuses samples of which the float model makes NaN, where it sees them.
    """
    return tuple(
        np.where(np.isnan(w), w, h) if w.dtype.kind == "f" and w.shape == h.shape else h
        for w, h in zip(wanted, given, strict=True)
    )


def _real(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float64)


def _arrays(outputs: torch.Tensor | tuple[torch.Tensor, ...]) -> Arrays:
    every = outputs if isinstance(outputs, tuple) else (outputs,)
    return tuple(one.numpy() for one in every)


def _settled(wanted: np.ndarray, given: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Returns what was given, and what was wanted where torch in float32 is a hundredth off its float64.

    It has functions that lose every digit (a GELU of -5.5): there it is no truth.
    """
    with np.errstate(invalid="ignore"):  # infinities that are the same
        doubtful = np.abs(_real(wanted) - _real(exact)) > np.abs(_real(exact)) / 100
    return np.where(doubtful, wanted, given)


def _doubled(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor
