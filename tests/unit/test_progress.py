"""Progress: who is told, and by what."""

import ast
import contextvars
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import edgeopt
from edgeopt.deployment import Request, steps
from edgeopt.deployment.choose import choose_backend
from edgeopt.progress import progress_listener, progress_to, report_progress, silent
from edgeopt.registry import find_target
from edgeopt.testing.specimens import program_of, specimen

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


class Listener:
    """Keeps what it is told."""

    def __init__(self):
        self.reports = []

    def __call__(self, stage, done, total):
        self.reports.append((stage, done, total))

    @property
    def stages(self):
        return list(dict.fromkeys(stage for stage, *_ in self.reports))


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def other():
    return Listener()


def test_nobody_is_told_where_nobody_listens():
    assert progress_listener() is None
    report_progress("a", 1, 2)


def test_who_listens_is_told_within_the_block_alone(listener):
    with progress_to(listener):
        assert progress_listener() is listener
        report_progress("a", 1, 2)
    report_progress("b", 1, 2)
    assert listener.reports == [("a", 1, 2)]


def test_the_inner_listener_is_told_and_then_the_outer_again(listener, other):
    with progress_to(listener):
        with progress_to(other):
            report_progress("inner", 1, 1)
        with progress_to(None):
            report_progress("as around", 1, 1)
        with progress_to(silent):
            report_progress("unheard", 1, 1)
        report_progress("outer", 1, 1)
    assert listener.stages == ["as around", "outer"]
    assert other.stages == ["inner"]


class StopError(Exception):
    """What a user's own listener raises."""


@pytest.mark.parametrize("kind", [KeyboardInterrupt, StopError, edgeopt.errors.InputError])
def test_what_a_listener_raises_comes_out_and_it_listens_no_longer(kind):
    def stop(stage, _done, _total):
        raise kind(stage)

    with pytest.raises(kind), progress_to(stop):
        report_progress("a", 1, 2)
    assert progress_listener() is None


def test_a_thread_hears_nothing_unless_it_is_given_the_context(listener):
    with progress_to(listener), ThreadPoolExecutor(2) as threads:
        threads.submit(report_progress, "without", 1, 1).result()
        copies = [contextvars.copy_context() for _ in range(2)]
        meet = threading.Barrier(2)  # both are within their copy at once

        def work(number):
            meet.wait(30)
            report_progress("with", number, 2)

        for future in [threads.submit(one.run, work, n) for n, one in enumerate(copies, 1)]:
            future.result()
    assert sorted(listener.reports) == [("with", 1, 2), ("with", 2, 2)]


def test_calls_at_once_tell_each_its_own(listener, other):
    program, samples = program_of("perceptron", "float32"), specimen("perceptron").samples
    meet = threading.Barrier(2)

    def quantize(who):
        meet.wait(30)
        edgeopt.quantize(program, samples, progress=who)

    with ThreadPoolExecutor(2) as threads:
        for future in [threads.submit(quantize, who) for who in (listener, other)]:
            future.result()
    assert listener.reports == other.reports
    assert listener.stages == ["calibrate", "quantize"]


# --- who has the keyword --------------------------------------------------------------------------

PUBLIC = {
    "CommonOptions",
    "TrainingOptions",
    "compile",
    "compress",
    "deploy",
    "explain",
    "explain_bundle",
    "find_device",
    "quantize",
}
"""What a user calls, and the options that `deploy`, `search`, `distill` and `train_quantized` take."""


def declared(tree):
    """Yields the functions and classes with a parameter or a field ``progress``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            names = [argument.arg for argument in arguments]
        elif isinstance(node, ast.ClassDef):
            fields = [one.target for one in node.body if isinstance(one, ast.AnnAssign)]
            names = [field.id for field in fields]
        else:
            continue
        if "progress" in names:
            yield node.name


def test_only_what_a_user_calls_takes_a_listener():
    paths = [
        path
        for folder in (ROOT / "edgeopt", *ROOT.glob("backends/*/edgeopt_*"))
        for path in folder.rglob("*.py")
    ]
    assert len(paths) > 100
    found = [name for path in paths for name in declared(ast.parse(path.read_bytes()))]
    assert set(found) == PUBLIC  # deploy has overloads


# --- what the public functions tell ---------------------------------------------------------------


@pytest.fixture
def model():
    one = specimen("perceptron")
    return {"model": one.model, "example_inputs": one.example, "calibration_data": one.samples}


def test_deploy_tells_of_every_stage(model, listener, tmp_path):
    edgeopt.deploy(
        **model,
        target="host",
        backend="reference",
        evaluate=lambda function: float(function(*model["example_inputs"]).numel() > 0),
        progress=listener,
        output=tmp_path / "bundle",
        device="local",
    )
    assert listener.stages == [
        *("calibrate", "quantize", "compile", "float", "reference", "parity"),
        *("evaluate float", "evaluate", "bundle", "verify on the device"),
    ]
    last = {stage: (done, total) for stage, done, total in listener.reports}
    assert all(done == total for done, total in last.values())
    assert all(0 <= done <= total for _, done, total in listener.reports)


def test_a_block_around_public_functions_is_told_too(model, listener):
    with progress_to(listener):
        program = edgeopt.quantize(**model)
        edgeopt.compile(program, "host", backend="reference", samples=model["calibration_data"])
    assert listener.stages == ["calibrate", "quantize", "compile", "parity"]


def test_what_is_only_looked_at_is_not_told(listener):
    with progress_to(listener):
        program = program_of("perceptron", "float32")
        choose_backend(find_target("host"), backend="reference", program=program)
    assert not listener.reports


def test_steps_tell_whom_the_request_names(model, listener, other):
    one = model.pop("model")
    request = Request(**model, backend="reference", progress=listener)
    with progress_to(other):
        job = steps.plan(one, "host", request)
        baseline = steps.baseline(one, job)
        candidate = steps.quantize(job, steps.source(job, baseline))
        build = steps.compile(job, candidate)
        steps.check(job, candidate, build, baseline)
    assert listener.stages == ["calibrate", "quantize", "compile", "float", "reference", "parity"]
    assert not other.reports
    assert list(inspect.signature(steps.quantize).parameters)[:2] == ["job", "source"]


@pytest.mark.parametrize("stage", ["calibrate", "compile", "parity", "bundle"])
def test_an_interrupt_in_a_listener_ends_the_deployment(model, stage, tmp_path):
    def stop(now, _done, _total):
        if now == stage:
            raise KeyboardInterrupt

    output = tmp_path / "bundle"
    with pytest.raises(KeyboardInterrupt):
        edgeopt.deploy(**model, target="host", backend="reference", progress=stop, output=output)
    assert not output.exists()
    assert progress_listener() is None
