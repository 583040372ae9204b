"""What every backend must do, as tests that any package can run on its own."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import pytest

from edgeopt.api import capture
from edgeopt.contracts import Artifact, Backend, NodeSupport, SupportReport
from edgeopt.contracts.storage import Precision
from edgeopt.contracts.support import Verdict
from edgeopt.errors import UnsupportedError
from edgeopt.gate.exactness import check_exactness
from edgeopt.gate.parity import check_parity, run_all, with_operators
from edgeopt.ir import ReferenceRunner, gives_real_sums, kernel_kind
from edgeopt.ir.ops import is_weighted
from edgeopt.options import CompileOptions
from edgeopt.passes import PassSpec, find_pass, number_changes, run_passes
from edgeopt.progress import progress_to
from edgeopt.testing.backend_runner_conformance import RunnerConformance
from edgeopt.testing.cases import cases
from edgeopt.testing.specimens import SPECIMENS, program_of, specimen, unsupported_model

if TYPE_CHECKING:
    from edgeopt.contracts import Target
    from edgeopt.ir import Program

__all__ = ["BackendConformance"]

KNOWN_PRECISIONS = {one.value for one in Precision}
VERDICTS = set(get_args(Verdict))
OF_16_BITS = ("squeeze", "branches", "windows", "attention", "tokens", "ranked")
"""Specimens that are tried with activations of 16 bits: between them they have every kind of operator."""
MIXED: dict[str, tuple[tuple[str, ...], ...]] = {
    "residual": (("depthwise",), ("stem", "project", "add*")),
    "branches": (("b",),),
    "signal": (("tanh*",), ("x", "head")),
}
"""Specimen to patterns of values that take 16 bits among others of 8: one, those of a residual sum, a part
of a concatenation, and the ends."""

FEW_BITS: tuple[dict[str, Any], ...] = tuple(
    {"weight_bits": bits, "weight_group": group, "weight_zeros": zeros}
    for bits, group, zeros in (
        (4, 32, False),
        (4, 64, True),
        (4, 0, False),
        (3, 32, False),
        (2, 64, True),
    )
)
"""Weights of few bits: in groups, with zero points and without, and with one step a channel."""


class BackendConformance(RunnerConformance):
    """Subclass it as ``TestSomething`` and give the fixtures ``backend`` and ``target``.

    Attributes:
        refused: Specimen name to why this backend refuses it. Its support report must refuse it too.
        refused_in: Specimen name to the precisions in which it is refused, where that is not all of them.
        rounds_otherwise: True for a runtime whose integer kernels round otherwise than the reference.
        precisions: What it compiles for the target; a test compares it with what the backend says.
        runs_everything: True for a backend without any unsupported operator.
        computed_in_float: Operator to why this backend computes it in float where others do on integers.
        float_of_16_bits: Likewise, where integers are of 16 bits; ``*`` stands for any that is.
        steps_of_16_bits: How many steps its kernels for integers of 16 bits may be off.
        needs_torch: True where the device needs torch.
    """

    computed_in_float: ClassVar[dict[str, str]] = {}
    float_of_16_bits: ClassVar[dict[str, str]] = {}
    steps_of_16_bits: ClassVar[int] = 0
    refused_in: ClassVar[dict[str, tuple[str, ...]]] = {}
    rounds_otherwise: ClassVar[bool] = False

    # --- what it says of itself -----------------------------------------------------------------

    def test_fulfils_the_contract(self, backend: Backend) -> None:
        assert isinstance(backend, Backend)
        assert backend.name
        assert backend.name == backend.name.lower()

    def test_construction_imports_no_toolchain(self, backend: Backend) -> None:
        kind = type(backend)
        code = (
            f"import sys; from {kind.__module__} import {kind.__qualname__} as B; B(); "
            "print(*{name.partition('.')[0] for name in sys.modules})"
        )
        out = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        owners = importlib.metadata.packages_distributions()
        tools = {name for name in backend.versions() if name not in ("numpy", "msgspec")}
        loaded = {m for m in out.stdout.split() if tools & set(owners.get(m, ()))}
        assert not loaded - {kind.__module__.partition(".")[0]}

    def test_availability_is_none_or_says_what_to_type(self, backend: Backend) -> None:
        hint = backend.available()
        assert hint is None or "install" in hint

    def test_versions_are_named(self, backend: Backend) -> None:
        versions = backend.versions()
        assert versions
        assert all(name and version[0].isdigit() for name, version in versions.items())

    def test_precisions_are_known(self, backend: Backend, target: Target) -> None:
        precisions = backend.precisions(target)
        assert set(precisions) <= KNOWN_PRECISIONS
        assert len(set(precisions)) == len(precisions)
        assert "float32" in precisions, "float32 is what speed is compared with"
        assert set(precisions) == set(self.precisions), "give the class its `precisions`"

    def test_passes_exist(self, backend: Backend, target: Target) -> None:
        for one in backend.passes(target):
            assert callable(find_pass(one.name if isinstance(one, PassSpec) else one))

    # --- support ----------------------------------------------------------------------------------

    @cases(names=SPECIMENS, precisions=("float32", "int8", "int16x8"), refused_too=True)
    def test_support_gives_each_node_one_verdict(
        self, backend: Backend, target: Target, name: str, precision: str
    ) -> None:
        program = self._program(target, name, precision)
        report = backend.lower(program, target).support
        assert isinstance(report, SupportReport)
        assert (report.backend, report.target) == (backend.name, target.name)
        calls = [node.name for node in program.graph.nodes if node.op == "call_function"]
        assert sorted(node.node for node in report.nodes) == sorted(calls)
        refused = name in self.refused and precision in self.refused_in.get(name, (precision,))
        assert report.ok == (not refused), str(report)
        for node in report.nodes:
            assert node.verdict in VERDICTS
            assert node.operator
            if node.verdict in ("unsupported", "float"):
                assert node.reason, f"{node.node} is {node.verdict} without a reason"
            self._require_agreement(program, node)

    @cases(names=("residual",), precisions=("int8",))
    def test_support_follows_what_is_kept_in_float(self, backend: Backend, target: Target) -> None:
        program = self._program(target, "residual", "int8", keep_float=("depthwise",))
        report = backend.lower(program, target).support
        for node in report.nodes:
            self._require_agreement(program, node)
        convolutions = [
            n for n in report.nodes if n.module.startswith("depthwise") and "conv" in n.operator
        ]
        assert [n.verdict for n in convolutions] == ["float"]
        assert "keep_float='depthwise'" in convolutions[0].reason

    @cases(names=("residual",), refused_too=True)
    def test_support_names_source_lines(self, backend: Backend, target: Target) -> None:
        report = backend.lower(program_of("residual", "float32"), target).support
        assert any(
            node.source.startswith(("edgeopt/testing", "specimens.py")) for node in report.nodes
        )
        assert any(node.module == "head" for node in report.nodes)

    @cases(unless="runs_everything")
    def test_refuses_an_unknown_operator_before_compiling(
        self, backend: Backend, target: Target
    ) -> None:
        case = unsupported_model()
        program = capture(case.model, case.example)
        lowered = backend.lower(program, target)
        report = lowered.support
        assert not report.ok
        (bad,) = report.unsupported
        assert "bessel" in bad.operator
        assert "specimens.py:" in bad.source
        assert bad.reason
        with pytest.raises(UnsupportedError) as caught:
            backend.compile(lowered, CompileOptions())
        assert caught.value.report is not None
        assert "bessel" in str(caught.value) + str(caught.value.report)

    # --- what it computes -------------------------------------------------------------------------

    @cases(names=SPECIMENS, precisions=("float32", "int8", "int8-dynamic", "float16"))
    def test_parity_with_the_reference(
        self, backend: Backend, target: Target, name: str, precision: str
    ) -> None:
        self._require_parity(backend, target, name, precision)

    @cases(names=("residual",), precisions=("int8",))
    @pytest.mark.parametrize(
        "settings",
        [
            {"keep_float": ("depthwise",)},
            {"keep_float": ("head",)},
            {"keep_float": ("stem", "add*")},
            {"keep_float": ("*",)},
            {"weight_bits": 7},
        ],
        ids=str,
    )
    def test_parity_where_some_values_stay_in_float(
        self, backend: Backend, target: Target, settings: dict[str, Any]
    ) -> None:
        self._require_parity(backend, target, "residual", "int8", **settings)

    @cases(names=("attention", "encoder"), precisions=("int8",), unless="rounds_otherwise")
    @pytest.mark.parametrize("real_sums", ["streams", "functions"])
    def test_parity_where_sums_stay_real_numbers(
        self, backend: Backend, target: Target, name: str, real_sums: str
    ) -> None:
        self._require_parity(backend, target, name, "int8", real_sums=real_sums)

    @cases(names=("attention", "encoder"), precisions=("int8",))
    def test_real_sums_run_on_integers_or_it_is_said_why_not(
        self, backend: Backend, target: Target, name: str
    ) -> None:
        program = self._program(target, name, "int8", real_sums="streams")
        real = [n for n in program.graph.nodes if gives_real_sums(program, n)]
        assert real
        verdicts = {v.node: v for v in backend.lower(program, target).support.nodes}
        for node in real:
            verdict = verdicts[node.name]
            assert verdict.verdict == "integer" or (verdict.verdict == "float" and verdict.reason)

    @cases(names=OF_16_BITS, precisions=("int16x8",))
    def test_parity_of_16_bits(self, backend: Backend, target: Target, name: str) -> None:
        self._require_parity(backend, target, name, "int16x8")

    @cases(names=MIXED, precisions=("int16x8",))
    def test_parity_where_some_values_take_16_bits(
        self, backend: Backend, target: Target, name: str
    ) -> None:
        for wide in MIXED[name]:
            self._require_parity(backend, target, name, "int8", wide=wide)

    @cases(names=("projections", "attention"), precisions=("int4-dynamic",))
    def test_parity_of_weights_in_groups(self, backend: Backend, target: Target, name: str) -> None:
        for settings in FEW_BITS:
            self._require_parity(backend, target, name, "int4-dynamic", **settings)

    @cases(names=("projections", "residual"), precisions=("int8", "int8-dynamic"))
    def test_parity_of_weights_of_few_bits(
        self, backend: Backend, target: Target, name: str, precision: str
    ) -> None:
        for bits in (4, 3, 2):
            self._require_parity(backend, target, name, precision, weight_bits=bits)

    @cases(names=("squeeze",), precisions=("int8", "int16x8"), unless="rounds_otherwise")
    def test_each_operator_alone_is_the_references(
        self, backend: Backend, target: Target, precision: str
    ) -> None:
        program = self._program(target, "squeeze", precision)
        samples = [tuple(t.numpy() for t in s) for s in specimen("squeeze").samples[:2]]
        exactness = check_exactness(program, backend, target, samples)
        assert exactness.operators
        if precision == Precision.INT16X8 and self.steps_of_16_bits:
            off = [one.max_steps for one in exactness.operators if one.kind == "integer"]
            assert max(off) <= self.steps_of_16_bits
            return
        assert exactness.ok, str(exactness)

    @cases(names=("residual",), precisions=("float32", "int8"))
    def test_same_program_same_bytes(
        self, backend: Backend, target: Target, precision: str
    ) -> None:
        build = self._compiled(backend, target, "residual", precision)
        lowered_again = backend.lower(self._program(target, "residual", precision), target)
        for lowered in (build.lowered, lowered_again):
            again = backend.compile(lowered, CompileOptions())
            assert again.files == build.artifact.files
            assert again.metadata == build.artifact.metadata

    @cases(names=("residual",), precisions=("int8",))
    def test_artifact_says_what_it_is(self, backend: Backend, target: Target) -> None:
        build = self._compiled(backend, target, "residual", "int8")
        artifact = build.artifact
        assert isinstance(artifact, Artifact)
        assert (artifact.backend, artifact.target) == (backend.name, target.name)
        assert artifact.precision == Precision.INT8
        assert artifact.signature == build.program.signature
        assert artifact.entry in artifact.files
        assert artifact.size_bytes > 0
        assert artifact.program_digest == build.lowered.program.digest
        assert artifact.tools
        assert sum(artifact.operators.values()) > 0

    # The reference keeps float weights on the grid, so its files are not smaller.
    @cases(names=("attention",), precisions=("int8",), unless="runs_everything")
    def test_int8_is_smaller_than_float(self, backend: Backend, target: Target) -> None:
        small = self._compiled(backend, target, "attention", "int8").program.size_bytes
        large = self._compiled(backend, target, "attention", "float32").program.size_bytes
        assert small < large

    @cases(names=("perceptron",), precisions=("float32",))
    def test_reports_progress(self, backend: Backend, target: Target) -> None:
        events: list[tuple[str, float, float]] = []

        def note(stage: str, done: float, total: float) -> None:
            events.append((stage, done, total))

        with progress_to(note):
            lowered = backend.lower(program_of("perceptron", "float32"), target)
            backend.compile(lowered, CompileOptions())
        assert events
        assert all(stage and 0 <= done <= total for stage, done, total in events)

    # --- helpers ----------------------------------------------------------------------------------

    def _require_agreement(self, program: Program, node: NodeSupport) -> None:
        """A backend says what the IR says of a node, or that it folds it, or why it cannot."""
        fx_node = program.node(node.node)
        if node.verdict == "unsupported":
            return
        if node.verdict == "folded":
            assert not is_weighted(fx_node), f"{node.node} costs time, and is said to be folded"
            assert node.reason, f"{node.node} is said to be folded, and not why"
        expected = kernel_kind(program, fx_node)
        if node.verdict == "folded":
            assert expected.kind != "folded" or node.reason == expected.reason, node
            return
        if expected.kind == "folded":  # written by itself: then as what it follows
            expected = kernel_kind(program, fx_node.args[0])  # type: ignore[arg-type]
        said = (node.verdict, node.reason)
        if expected.kind == "integer" and program.precision == Precision.INT16X8:
            reason = self.float_of_16_bits.get(node.operator)
            of_any = self.float_of_16_bits.get("*")
            if reason is None and of_any is not None and said == ("float", of_any):
                return
        else:
            reason = None
        reason = reason or self.computed_in_float.get(node.operator)
        if expected.kind == "integer" and reason is not None:
            assert said == ("float", reason), node
        else:
            assert said == (expected.kind, expected.reason), node

    def _require_parity(
        self, backend: Backend, target: Target, name: str, precision: str, **settings: Any
    ) -> None:
        build = self._compiled(backend, target, name, precision, **settings)
        samples = [tuple(t.numpy() for t in sample) for sample in specimen(name).samples]
        changing = number_changes(backend.passes(target))
        specified = run_passes(build.program, changing)  # a pass that errs must not judge itself
        reference = run_all(ReferenceRunner(specified), samples)
        parity = check_parity(build.runner, specified, samples, reference)
        parity = with_operators(parity, specified, backend, target, samples)
        assert parity.ok, f"{parity}: {'; '.join(parity.reasons)}"
