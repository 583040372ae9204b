"""Deploys a model's methods side by side: the first as any model, the others in its precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeopt.bundles.family import Member
from edgeopt.deployment import steps
from edgeopt.deployment.family import Further, accepted, gathered
from edgeopt.deployment.methods import Method, MethodProgram, Sessions, as_methods, read_sessions
from edgeopt.deployment.streams import StreamResult, check_streams
from edgeopt.errors import InputError
from edgeopt.gate.values import check_values
from edgeopt.ir import ReferenceRunner
from edgeopt.ir.source import matches
from edgeopt.options import QuantizationConfig, chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from edgeopt.deployment.baseline import Baseline
    from edgeopt.deployment.request import Request
    from edgeopt.deployment.steps import Checked, Job

__all__ = ["MethodRelatives", "has_methods", "method_relatives"]

MOST_CALLS = 4096
"""Calls of the data that are played in float."""


def has_methods(model: Any) -> bool:
    """Returns whether ``model`` is a `Method`, or a dict of them."""
    return isinstance(model, (Method, Mapping))


def method_relatives(model: Any, request: Request) -> tuple[MethodRelatives, MethodProgram]:
    """Returns what goes beside the first method, and that method.

    Raises:
        InputError: An option is for a model without methods, or a name is none.
        CalibrationError: A call does not fit.
        CaptureError: A method cannot be captured.
    """
    if request.evaluate is not None:
        what = "outputs of a model with methods or state are compared call by call"
        hint = "leave it out; max_drop says how much of an output's energy may be lost"
        raise InputError(what, where="evaluate", hint=hint)
    if request.example_inputs is not None:
        what = "each method has its own"
        raise InputError(what, where="example_inputs", hint="pass them in the Method")
    if request.shapes.are_any:
        raise InputError("a method is for one shape", where="shapes", hint="pass a Method for each")
    methods = as_methods(model, steps.as_program)
    check_values([one.program for one in methods], request.checks.values)
    sessions = read_sessions(methods, request.calibration_data, MOST_CALLS)
    return MethodRelatives(methods, sessions), methods[0]


@dataclass(frozen=True, eq=False)
class MethodRelatives:
    """The methods beside the first, and the state that all keep.

    Attributes:
        methods: All of them, the first included.
        sessions: The data, played in float.
    """

    methods: Sequence[MethodProgram]
    sessions: Sessions

    @property
    def calibration(self) -> tuple[()]:
        """Nothing: a method is for one shape."""
        return ()

    @property
    def states(self) -> Mapping[str, np.ndarray]:
        """State to the value that it begins with."""
        return self.sessions.states

    def request(self, method: MethodProgram, request: Request) -> Request:
        """Returns what is asked for of one method: its own calls to calibrate on and to check."""
        samples = list(self.sessions.samples[method.name])
        limit = (
            QuantizationConfig.from_dict(request.settings()).max_samples + request.checks.samples
        )
        if len(samples) > limit:
            samples = [samples[i * len(samples) // limit] for i in range(limit)]
        known = request.calibration_data is not None and samples
        settings = _settings(chosen(request.quantization), method)
        # What is carried on is no score of a class; of other methods' outputs nothing is known here.
        names = {spec.name for spec in method.program.signature.outputs}
        values = names.intersection(request.checks.values).union(method.writes)
        return request.replace(
            checks=request.checks.replace(values=tuple(sorted(values))),
            example_inputs=method.example,
            calibration_data=samples if known else None,
            quantization=settings or None,
        )

    def further(self, job: Job, checked: Checked, baseline: Baseline) -> list[Further]:  # noqa: ARG002 (as all relatives)
        """Returns the other methods, compiled and checked.

        Raises:
            EdgeoptError: One of them cannot be compiled, or falls short.
        """
        return gathered(self._further(job, checked, method) for method in self.methods[1:])

    def _further(self, job: Job, first: Checked, method: MethodProgram) -> Further:
        request = self.request(method, job.request)
        own = steps.Job(request, job.plan, job.target, job.backend, method.program)
        baseline = steps.baseline(method.program, own)
        source = steps.source(own, baseline)
        settings = first.candidate.settings  # none in float32
        settings = _settings(settings, method) if settings else {}
        candidate = steps.quantize(own, source, first.candidate.precision, settings)
        result = steps.check(own, candidate, steps.compile(own, candidate), baseline)
        result = accepted(result, method.program)
        return Further(result, baseline, method.name, reads=method.reads, writes=method.writes)

    def first(self, checked: Checked, further: Sequence[Further]) -> Member:  # noqa: ARG002 (as all relatives)
        """Returns method and state of the first program."""
        method = self.methods[0]
        return Member(checked.build.artifact, None, method.name, method.reads, method.writes)

    def streams(
        self, job: Job, checked: Checked, further: Sequence[Further]
    ) -> StreamResult | None:
        """Returns how far the bundle is off over many calls with its own state; None where it keeps none."""
        if not self.states:
            return None
        every = [checked, *(one.checked for one in further)]
        names = [method.name for method in self.methods]
        builds = dict(zip(names, (one.build for one in every), strict=True))
        runners = {name: one.runner for name, one in builds.items() if one.runner is not None}
        return check_streams(
            self.sessions,
            {method.name: method for method in self.methods},
            {name: ReferenceRunner(build.specified) for name, build in builds.items()},
            runners if len(runners) == len(builds) else None,
            {method.name: ReferenceRunner(method.program) for method in self.methods},
            job.request.max_drop,
        )


def _settings(settings: Mapping[str, Any], method: MethodProgram) -> dict[str, Any]:
    """Returns settings of the quantization for one method: its float states are not rounded.

    Eight bits are too few for what is read again and again: each call would round what it hands on. Patterns
    of other methods' values are left out.
    """
    nodes = [node for node in method.program.graph.nodes if node.op != "output"]
    patterns = [
        one for one in settings.get("keep_float", ()) if any(matches(n, one) for n in nodes)
    ]
    specs = method.program.signature.inputs
    states = [s.name for s in specs if s.name in method.reads and s.dtype.startswith("float")]
    patterns_in_float = tuple(dict.fromkeys((*patterns, *states)))
    rest = {name: value for name, value in settings.items() if name != "keep_float"}
    return {**rest, "keep_float": patterns_in_float} if patterns_in_float else rest
