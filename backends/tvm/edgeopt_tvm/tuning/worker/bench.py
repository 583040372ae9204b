"""The work on one kernel: its cases, its default, and one candidate after the other."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgeopt_tvm.tuning.worker.check import Case, call, differs, make_cases
from edgeopt_tvm.tuning.worker.timing import NOISE, Timed, evaluator, measured, race, ratio

if TYPE_CHECKING:
    from edgeopt_tvm.machine import Machine
    from edgeopt_tvm.tuning.templates import Templates
    from edgeopt_tvm.tuning.worker.executors import Place

__all__ = ["Bench"]

DEFAULT = "default"
_MUCH_SLOWER = 4.0
_KEPT = 6
_ROUNDS = 7


@dataclass
class Bench:
    """One kernel under work.

    Attributes:
        function: The PrimFunc, unscheduled.
        machine: What code is made for.
        templates: What candidates are made from.
        place: Where they run.
        cases: What every candidate must get right.
    """

    function: Any
    machine: Machine
    templates: Templates
    place: Place
    cases: list[Case] = field(default_factory=list)
    _built: dict[str, Any] = field(default_factory=dict)

    def open(self, outputs: int) -> dict[str, Any]:
        """Returns what is known of the kernel: its candidates, and the default's time."""
        self.cases = make_cases(self.function, self.place.plain(self.function)["main"], outputs)
        points = self.templates.configurations(self.function, self.machine)
        built = self._build(DEFAULT)

        def work() -> dict[str, Any]:
            wrong = self._fault(built)
            if wrong:
                return {"status": "wrong", "detail": wrong}
            timed = self._timed(DEFAULT)
            measured(_ROUNDS, timed)
            return {"status": "ok", "seconds": timed.seconds, "points": points}

        return self.place.during(work)

    def attempt(self, config: dict[str, Any], best: str) -> dict[str, Any]:
        """Returns what came of one candidate, raced against ``best``, the fastest so far.

        Args:
            config: The candidate.
            best: ``default``, or another candidate as JSON text.
        """
        name = json.dumps(config, sort_keys=True)
        try:
            built = self._build(name)
        except Exception as error:  # noqa: BLE001 (whatever TVM raises, the candidate is none)
            return {"status": "invalid", "detail": _last_line(error)}

        def work() -> dict[str, Any]:
            wrong = self._fault(built)
            return {"status": "wrong", "detail": wrong} if wrong else self._race(name, best)

        return self.place.during(work)

    def _race(self, name: str, best: str) -> dict[str, Any]:
        candidate, rival = self._timed(name), self._timed(best)
        once, limit = candidate.run(1), rival.run(1) * _MUCH_SLOWER
        if once > limit and candidate.run(1) > limit:
            return {"status": "slower", "seconds": once}
        won = race(candidate, rival)
        result: dict[str, Any] = {"seconds": candidate.seconds, "versus": ratio(candidate, rival)}
        if not won:
            return {"status": "slower", **result}
        if best == DEFAULT:
            return {"status": "ok", "gain": 1 / ratio(candidate, rival), **result}
        base = self._timed(DEFAULT)
        measured(_ROUNDS, candidate, rival, base)
        gains = {"gain": 1 / ratio(candidate, base), "rival_gain": 1 / ratio(rival, base)}
        return {"status": "ok", **gains, **result}

    def confirm(self, configs: list[dict[str, Any]]) -> dict[str, Any]:
        """Returns how many times as fast as the default each of ``configs`` is, measured again."""
        return self.place.during(lambda: self._confirmed(configs))

    def _confirmed(self, configs: list[dict[str, Any]]) -> dict[str, Any]:
        every = [self._timed(json.dumps(c, sort_keys=True)) for c in configs]
        base = self._timed(DEFAULT)
        measured(2 * _ROUNDS, base, *every)
        gains = [1 / ratio(one, base) for one in every]
        results = [
            {"status": "ok" if g > 1 + NOISE else "slower", "gain": g, "seconds": t.seconds}
            for g, t in zip(gains, every, strict=True)
        ]
        return {"status": "ok", "found": results, "seconds": base.seconds}

    def _timed(self, name: str) -> Timed:
        module, device = self.place.load(self._build(name)), self.place.device()
        return Timed(evaluator(module, self.cases[0].tensors(device), device))

    def _build(self, name: str) -> Any:
        if name not in self._built:
            config = None if name == DEFAULT else json.loads(name)
            ready = self.templates.scheduled(self.function, self.machine, config)
            for old in [n for n in self._built if n != DEFAULT][: -_KEPT + 1]:
                del self._built[old]
            self._built[name] = self.place.build(ready)
        return self._built[name]

    def _fault(self, built: Any) -> str:
        kernel, device = self.place.load(built)["main"], self.place.device()
        for case in (*self.cases, self.cases[0]):  # the first twice: threads may race
            call(kernel, case, device)
            fault = differs(case)
            if fault:
                return fault
        return ""


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"[:500]
