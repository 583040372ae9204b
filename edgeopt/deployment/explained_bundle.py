"""`edgeopt.explain` of a bundle: from what it holds, what is measured here, and the float model where one is given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edgeopt.bundles import Bundle
from edgeopt.bundles.session import open_runner
from edgeopt.data.binder import Binder
from edgeopt.data.dataset import Dataset
from edgeopt.deployment.explained import timed
from edgeopt.deployment.explained_maps import Attributing, attributions_beside, with_pictures
from edgeopt.deployment.steps import as_program
from edgeopt.errors import BundleError, EdgeoptError, InputError
from edgeopt.explaining import Explanation, findings_of
from edgeopt.explaining.floats import float_findings
from edgeopt.explaining.rows import left_in_float, rows_of
from edgeopt.explaining.samples import input_finding, sample_differences
from edgeopt.explaining.speed import speed_finding, structure_finding
from edgeopt.gate.float_program import float_program
from edgeopt.gate.parity import run_all
from edgeopt.gate.values import value_outputs
from edgeopt.ir import ReferenceRunner
from edgeopt.options import BundleOptions
from edgeopt.progress import progress_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from edgeopt.contracts import Runner
    from edgeopt.explaining import AttributionAgreement, Finding, SampleDifference
    from edgeopt.gate.metrics import Arrays
    from edgeopt.ir import Program
    from edgeopt.measure import Comparison, OperatorProfile
    from edgeopt.progress import Progress

__all__ = ["explain_bundle"]

_NO_FLOAT = (
    "which inputs differ and what it looks at need the float model: pass it as beside_float "
    "(--float on the command line)"
)


def explain_bundle(  # noqa: PLR0913 (each is one choice of the user)
    bundle: Bundle,
    attributing: Attributing,
    *,
    beside_float: Any = None,
    example_inputs: Any = None,
    data: Iterable[Any] | None = None,
    device: Any = "local",
    progress: Progress | None = None,
) -> Explanation:
    """Returns all answers for a bundle; `edgeopt.explain` documents the arguments.

    Raises:
        BundleError: The bundle is damaged.
        InputError: The float model or the data does not fit it.
    """
    with progress_to(progress):
        notes: list[str] = []
        float_bundle = beside_float if isinstance(beside_float, Bundle) else None
        profile, beside = timed(bundle, float_bundle, device, notes)
        stored = findings_of(
            (bundle.report or {}).get("findings"), where="report.json", error=BundleError
        )
        differences: tuple[SampleDifference, ...] = ()
        attributions: tuple[AttributionAgreement, ...] = ()
        inputs: tuple[Finding, ...] = tuple(one for one in stored if one.kind == "input")
        program = _float_program(beside_float, example_inputs)
        samples: Sequence[Arrays] = ()
        if program is None:
            notes.append(_NO_FLOAT)
        else:
            samples = _samples(bundle, program, data)
            runner = _runner(bundle, notes)
            if runner is not None:
                pair = _Pair(bundle, program, samples, runner)
                differences = pair.differences()
                finding = input_finding(differences)
                inputs = () if finding is None else (finding,)
                attributions = pair.attributions(attributing, notes)
        explanation = Explanation(
            target=bundle.manifest.target.name,
            backend=bundle.manifest.backend,
            precision=str(bundle.manifest.precision),
            findings=(
                *_floats(bundle, profile),
                *_speed(bundle, profile, beside),
                *(one for one in stored if one.kind == "loss"),
                *inputs,
            ),
            worst_samples=differences[: attributing.worst],
            attributions=attributions,
            notes=tuple(notes),
        )
        if program is None:
            return explanation
        return with_pictures(explanation, program, samples, attributing)


def _float_program(beside_float: Any, example_inputs: Any) -> Program | None:
    if beside_float is None or isinstance(beside_float, Bundle):
        return None
    return float_program(as_program(beside_float, example_inputs))


def _samples(bundle: Bundle, program: Program, data: Iterable[Any] | None) -> Sequence[Arrays]:
    """Returns the inputs that are compared: of the data, else the golden samples.

    Raises:
        InputError: The float model does not take what the bundle takes, or there is no input.
    """
    own, expected = bundle.manifest.programs[0].signature.inputs, program.signature.inputs
    if [(s.shape, s.dtype) for s in own] != [(s.shape, s.dtype) for s in expected]:
        raise InputError(
            f"the float model takes {_told(expected)}, the bundle {_told(own)}",
            where="beside_float",
            hint="pass the model that the bundle was made of",
        )
    if data is not None:
        binder = Binder.of_program(program)
        return Dataset.read(data, binder, limit=256).arrays()
    golden = bundle.golden()
    return () if golden is None else golden.inputs


def _told(specs: Any) -> str:
    return ", ".join(f"{s.dtype}{list(s.shape)}" for s in specs)


def _runner(bundle: Bundle, notes: list[str]) -> Runner | None:
    try:
        return open_runner(bundle)
    except EdgeoptError as error:
        notes.append(f"it does not run on this machine: {error.what}")
        return None


@dataclass(frozen=True, eq=False)
class _Pair:
    """A bundle beside the float model that it was made of, on the same inputs."""

    bundle: Bundle
    program: Program
    samples: Sequence[Arrays]
    runner: Runner

    @cached_property
    def outputs(self) -> list[Arrays]:
        return run_all(ReferenceRunner(self.program), self.samples)

    @cached_property
    def values(self) -> frozenset[str]:
        return value_outputs(self.program, (), BundleOptions(), self.outputs)

    def differences(self) -> tuple[SampleDifference, ...]:
        return sample_differences(
            self.program.signature,
            self.outputs,
            run_all(self.runner, self.samples),
            values=self.values,
            labels=self.bundle.labels(),
        )

    def attributions(
        self, asked: Attributing, notes: list[str]
    ) -> tuple[AttributionAgreement, ...]:
        if asked.method == "integrated-gradients":
            notes.append("a bundle has no gradient: method='ablation' asks any model")
            return ()
        runners = {str(self.bundle.manifest.precision): (self.runner, None)}
        return attributions_beside(
            self.program, self.samples, runners, asked, notes, values=self.values
        )


def _floats(bundle: Bundle, profile: OperatorProfile | None) -> tuple[Finding, ...]:
    report = bundle.report or {}
    rows, left = rows_of(report.get("values")), left_in_float(report.get("history"))
    return float_findings(rows, str(bundle.manifest.precision), left=left, profile=profile)


def _speed(
    bundle: Bundle, profile: OperatorProfile | None, beside: Comparison | None
) -> Iterator[Finding]:
    precision, target = str(bundle.manifest.precision), bundle.manifest.target
    finding = speed_finding(precision, target, profile=profile, comparison=beside)
    if finding is None:
        finding = structure_finding(precision, bundle.manifest.operators, target)
    if finding is not None:
        yield finding
