"""What comes of networks in each precision on each backend, and whether anybody was told."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from edgeopt.deployment import steps
from edgeopt.deployment.request import Request
from edgeopt.errors import CalibrationError, CaptureError, EdgeoptError, UnsupportedError
from edgeopt.options import Checks
from edgeopt.registry import find_backend, find_target
from edgeopt.testing.networks.case import CHECKS, Case, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from edgeopt.testing.networks.case import Verdict
    from edgeopt.testing.networks.network import Network

__all__ = ["FAULTS", "Bench", "Outcome"]

FAULTS: tuple[Kind, ...] = ("wrong", "not finite", "raw error", "crash", "hang")
"""What must never be: nobody was told, or not in our words."""

BLOCK = 8
"""Networks in a row that the same backends take."""

UNHELPFUL: tuple[Kind, ...] = (*FAULTS, "not the same")
"""What must not be even where a network alone is right."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of one network.

    Attributes:
        kind: ``right``; ``warned`` or ``refused``, with a reason; ``not the same``: the gate found
            that the artefact does not compute its program, or a toolchain failed, which no user
            can help; or one of `FAULTS`.
        backend: Where; ``capture`` before any.
        precision: In which precision.
        what: In a few words.
        seconds: How long it took, a share of what it took together with others.
    """

    kind: Kind
    backend: str
    precision: str
    what: str = ""
    seconds: float = 0.0

    @property
    def is_fault(self) -> bool:
        """Whether nobody was told, or not in our words."""
        return self.kind in FAULTS


class Bench:
    """Deploys networks to this machine, by the steps of `edgeopt.deploy`, up to the bundle.

    Args:
        backends: Names of backends.
        precisions: Precisions; those that a backend does not have are left out.
        every: Backend name to k, where it takes only one in k networks (`BLOCK` of each k · `BLOCK`).
    """

    def __init__(
        self,
        backends: Iterable[str],
        precisions: Iterable[str],
        every: Mapping[str, int] | None = None,
    ) -> None:
        self.backends, self.precisions = tuple(backends), tuple(precisions)
        self._every = dict(every or {})
        self._jobs: dict[tuple[str, str], steps.Job] = {}
        self._target = find_target("host")
        self._offered = {b: find_backend(b).precisions(self._target) for b in self.backends}

    def examine(self, network: Network, seed: int = 0) -> Iterator[Outcome]:
        """Yields what comes of ``network``, each backend and precision in turn."""
        case = _captured({seed: network})
        if isinstance(case, Outcome):
            yield case
            return
        lost = case.captured()[seed]
        if lost:
            yield Outcome("wrong", "capture", "", lost)
        for backend, precision in self._places(seed):
            yield self._tried(case, backend, precision)[seed]

    def examine_together(self, networks: Mapping[int, Network]) -> Iterator[tuple[int, Outcome]]:
        """Yields what comes of ``networks`` by their seeds: in one program, for that is cheaper.

        What a backend has no kernel for is refused. What else is not right there is examined alone, and
        that counts; but where it is right alone, what nobody was told of the program with the others counts.
        """
        case = _captured(networks) if len(networks) > 1 else None
        if not isinstance(case, Case):
            for seed, network in networks.items():
                yield from ((seed, one) for one in self.examine(network, seed))
            return
        alone = {seed: _Alone(network, seed) for seed, network in networks.items()}
        for seed, lost in case.captured().items():
            single = alone[seed].case() if lost else None
            if isinstance(single, Case) and (
                lost := single.captured()[seed]
            ):  # float64 may run it alone only
                yield seed, Outcome("wrong", "capture", "", lost)
        cases: dict[str, tuple[Case | None, dict[int, str]]] = {}
        for backend, precision in self._places(min(networks)):
            if backend not in cases:
                cases[backend] = self._runnable(case, networks, backend)
            beside, reasons = cases[backend]
            waiting = self._tried(beside, backend, precision) if beside is not None else {}
            doubtful = {s: one for s, one in waiting.items() if one.kind != "right"}
            again = {seed: self._again(alone[seed], one) for seed, one in doubtful.items()}
            if not any(one.kind in UNHELPFUL for one in again.values()):  # none of them is to blame
                again |= {s: _beside(doubtful[s], one) for s, one in again.items()}
            refused = {s: Outcome("refused", backend, precision, why) for s, why in reasons.items()}
            yield from {**waiting, **again, **refused}.items()

    def _runnable(
        self, case: Case, networks: Mapping[int, Network], backend: str
    ) -> tuple[Case | None, dict[int, str]]:
        """Returns a case of those networks that ``backend`` has kernels for (None: of none), and why not of the rest."""
        try:
            support = find_backend(backend).lower(case.program, self._target).support
        except EdgeoptError:
            return case, {}
        reasons: dict[int, str] = {}
        for node in support.unsupported:
            for seed in case.owners([node.node]):
                reasons.setdefault(seed, f"{node.operator}: {node.reason}")
        rest = {seed: one for seed, one in networks.items() if seed not in reasons}
        return (case if not reasons else Case(rest) if rest else None), reasons

    def _again(self, alone: _Alone, beside: Outcome) -> Outcome:
        """Returns what comes of a network that was not right ``beside`` others."""
        case = alone.case()
        if isinstance(case, Outcome):
            return msgspec.structs.replace(case, precision=beside.precision)
        one = self._tried(case, beside.backend, beside.precision)[alone.seed]
        return msgspec.structs.replace(one, seconds=round(one.seconds + beside.seconds, 2))

    def _places(self, seed: int) -> Iterator[tuple[str, str]]:
        """Yields backend and precision of all that the network of ``seed``, or its block, is tried in."""
        for precision in self.precisions:
            for backend in self.backends:
                turn = seed // BLOCK % self._every.get(backend, 1) == 0
                if turn and precision in self._offered[backend]:
                    yield backend, precision

    def _tried(self, case: Case, backend: str, precision: str) -> dict[int, Outcome]:
        start = time.monotonic()
        failure, verdicts = _told(lambda: case.verdicts(self._job(case, backend, precision)))
        seconds = round((time.monotonic() - start) / len(case.seeds), 2)
        every = verdicts if failure is None else dict.fromkeys(case.seeds, failure)
        return {s: Outcome(k, backend, precision, what, seconds) for s, (k, what) in every.items()}

    def _job(self, case: Case, backend: str, precision: str) -> steps.Job:
        """The job of a program; planned once, for plans of networks differ in their reasons only."""
        request = Request(
            backend=backend,
            precision=precision,  # type: ignore[arg-type]  # one of them: it checks itself
            calibration_data=case.data,
            checks=Checks(speed=False, samples=CHECKS),
        )
        key = (backend, precision)
        if key not in self._jobs:
            self._jobs[key] = steps.plan(case.program, self._target, request)
        return replace(self._jobs[key], request=request, program=case.program)


def _beside(together: Outcome, alone: Outcome) -> Outcome:
    """Returns what counts of a network that is right ``alone``: what nobody was told of it with others."""
    if alone.kind != "right" or together.kind not in UNHELPFUL:
        return alone
    return msgspec.structs.replace(together, what=f"beside others only: {together.what}")


class _Alone:
    """One network in a program of its own, captured when it is needed."""

    def __init__(self, network: Network, seed: int) -> None:
        self.seed = seed
        self._network = network
        self._case: Case | Outcome | None = None

    def case(self) -> Case | Outcome:
        if self._case is None:
            self._case = _captured({self.seed: self._network})
        return self._case


def _captured(networks: Mapping[int, Network]) -> Case | Outcome:
    """Returns the networks in one program, or why they are not."""
    try:
        return Case(networks)
    except EdgeoptError as error:
        return Outcome("refused", "capture", "", str(error))
    except Exception as error:  # noqa: BLE001 (whatever it is, it is a fault)
        return Outcome("raw error", "capture", "", _said(error))


def _told(
    verdicts: Callable[[], dict[int, Verdict]],
) -> tuple[Verdict | None, dict[int, Verdict]]:
    """Returns why there are no verdicts, or them."""
    try:
        return None, verdicts()
    except (UnsupportedError, CaptureError, CalibrationError) as error:
        return ("refused", str(error)), {}
    except EdgeoptError as error:
        return ("not the same", f"{type(error).__name__} {error}"), {}
    except Exception as error:  # noqa: BLE001 (whatever it is, it is a fault)
        return ("raw error", _said(error)), {}


def _said(error: Exception) -> str:
    text = re.sub(r"\s+", " ", str(error))[:300]
    return f"{type(error).__name__}: {text}"
