"""Whether int8 is worth it beside float: what is deployed, and what is said, for a speed that is given."""

from __future__ import annotations

import msgspec
import pytest
import torch

import edgeopt
from edgeopt.deployment.build import build
from edgeopt.deployment.plan import make_plan
from edgeopt.deployment.request import Request
from edgeopt.deployment.worth import MARGIN, why_float
from edgeopt.errors import MemoryLimitError
from edgeopt.gate.speed import Speed
from edgeopt.measure import Ratio, summarize
from edgeopt.registry import find_target
from edgeopt.testing.specimens import specimen

RESIDUAL = specimen("residual")
HELD = summarize([1_000_000] * 10)
SMALL, LARGE = (1000, 4000), (4000, 1000)


def speed(low, high, sizes=SMALL, *, on_target=True, precision="int8"):
    """Returns the speed whose ratio lies between ``low`` and ``high``; ``sizes`` are compressed and float, in bytes."""
    verdict = "slower" if low > 1 else "faster" if high < 1 else "no difference"
    ratio = Ratio((low + high) / 2, low, high, verdict)
    reasons = ("it has to be",) if low > 1 else ()
    own, floats = sizes
    return Speed(
        precision,
        HELD,
        HELD,
        ratio,
        1,
        "Some CPU",
        on_target=on_target,
        reasons=reasons,
        size_bytes=own,
        float_size_bytes=floats,
    )


@pytest.fixture
def measured(monkeypatch):
    """Has every compressed candidate measured as is said."""

    def say(found):
        monkeypatch.setattr("edgeopt.deployment.steps.measure_speed", lambda *_: (found, ""))

    return say


def deploy(**options):
    given = {"backend": "reference", "calibration_data": RESIDUAL.samples}
    given |= {"example_inputs": RESIDUAL.samples[0], **options}
    return edgeopt.deploy(RESIDUAL.model, "host", **given)


# --- what decides ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (speed(1.3, 1.5), "slower than float32 on this machine, which is the target"),
        (speed(1.3, 1.5, on_target=False), ""),
        (speed(1.02, 1.5), ""),
        (speed(0.95, 1.2), ""),
        (speed(MARGIN, 1.2), ""),
        (speed(0.4, 0.5), ""),
        (speed(0.95, 1.05, LARGE), "neither smaller than float32 (3.9 KiB, float32 1000 B) nor"),
        (speed(1.3, 1.5, LARGE, on_target=False), "nor faster on this machine"),
        (speed(0.4, 0.5, LARGE), ""),
        (speed(0.95, 1.05, (0, 0)), ""),
        (speed(0.95, 1.05, (4000, 0)), ""),
        (None, ""),
    ],
)
def test_only_what_is_certain_decides(found, reason):
    assert reason in why_float(found)
    assert bool(why_float(found)) == bool(reason)


def test_too_few_runs_decide_nothing():
    few = Ratio(3.0, None, None, "too few runs")
    assert why_float(msgspec.structs.replace(speed(1.3, 1.5, LARGE), ratio=few)) == ""


# --- what is deployed -----------------------------------------------------------------------------


def test_on_the_target_what_is_slower_gives_way_to_float(measured, tmp_path):
    measured(speed(1.3, 1.5))
    done = deploy(output=tmp_path / "bundle", max_drop=0.5)
    assert done.precision == done.program.precision == "float32"
    assert done.plan.precision == "int8"
    assert "slower than float32 on this machine" in done.precision_reason
    assert [(one.precision, one.taken) for one in done.attempts] == [
        ("int8", False),
        ("float32", True),
    ]
    assert done.precision_reason.partition(";")[0] in done.attempts[0].outcome
    assert not [one for one in done.warnings if "times the time" in one]
    text = str(done)
    assert "ratio 1.400 [1.300, 1.500] (slower)" in text
    assert "passed over (this machine, the target)" in text
    assert edgeopt.load(tmp_path / "bundle") is not None
    assert done.to_dict()["passed_over"]["speed"]["ratio"]["value"] == pytest.approx(1.4)
    assert "1.4" not in msgspec.json.encode(done.report()["attempts"]).decode()
    assert "precision='int8' keeps that" in done.to_html().replace("&#x27;", "'").replace(
        "&#39;", "'"
    )


@pytest.mark.parametrize(
    ("options", "otherwise"),
    [
        ({}, "takes float32 where this machine is the target, and else warns"),
        ({"checks": {"strict": True}}, "and else fails"),
        ({"precision": "int8"}, "warns"),
    ],
    ids=str,
)
def test_the_plan_says_so_before(options, otherwise, backends):
    backends("fine")
    request = Request(backend="fine", calibration_data=RESIDUAL.samples, **options)
    plan = make_plan(find_target("host"), request)
    (gate,) = [one for one in plan.gates if one.name == "speed"]
    assert gate.otherwise.endswith(otherwise)
    assert ("float32" in gate.otherwise) == ("precision" not in options)


def test_a_slow_artefact_is_measured_and_passed_over(backends):
    backends("slow")
    done = deploy(backend="slow", max_drop=0.5)
    assert done.precision == "float32"
    assert done.passed_over.speed.ratio.low > MARGIN
    assert done.passed_over.speed.size_bytes > 0
    assert done.passed_over.speed.float_size_bytes > 0


@pytest.mark.parametrize("found", [speed(1.02, 1.5), speed(0.4, 0.5), speed(0.4, 0.5, LARGE)])
def test_int8_stays_where_nothing_is_certain(measured, found):
    measured(found)
    done = deploy()
    assert done.precision == "int8"
    assert done.passed_over is None
    assert len(done.attempts) == 1


def test_elsewhere_what_is_slower_stays_and_is_called_out(measured):
    measured(speed(1.3, 1.5, on_target=False))
    done = deploy()
    assert done.precision == "int8"
    (warning,) = [one for one in done.warnings if "times the time of float32" in one]
    for part in ("1.40", "not the target", "1000 B beside 3.9 KiB", "it has to be", "float32'"):
        assert part in warning
    assert "device= measures on the target" in warning
    assert warning not in done.report()["warnings"]


def test_what_is_larger_and_no_faster_gives_way_elsewhere_too(measured):
    measured(speed(0.95, 1.05, LARGE, on_target=False))
    done = deploy()
    assert done.precision == "float32"
    assert "neither smaller than float32" in done.precision_reason


def test_what_is_larger_and_faster_stays_and_is_called_out(measured):
    measured(speed(0.4, 0.5, LARGE))
    done = deploy()
    assert done.precision == "int8"
    (warning,) = [one for one in done.warnings if "no smaller than float's" in one]
    assert "3.9 KiB beside 1000 B" in warning


@pytest.mark.parametrize(
    "chosen", [{"precision": "int8"}, {"quantization": {"weight_bits": 7}}], ids=str
)
def test_what_was_asked_for_stays(measured, chosen):
    measured(speed(1.3, 1.5, LARGE))
    done = deploy(**chosen)
    assert done.precision == "int8"
    (warning,) = [one for one in done.warnings if "times the time of float32" in one]
    assert "precision='float32' is faster and smaller" in warning
    assert "device=" not in warning


def test_a_quantized_program_stays(measured):
    measured(speed(1.3, 1.5))
    program = edgeopt.quantize(RESIDUAL.model, RESIDUAL.samples, example_inputs=RESIDUAL.samples[0])
    done = edgeopt.deploy(program, "host", backend="reference", example_inputs=RESIDUAL.samples[0])
    assert done.precision == "int8"


def test_float_that_does_not_fit_is_not_taken(measured, monkeypatch):
    measured(speed(1.3, 1.5))

    def small(program, *rest, **named):
        if program.precision == "float32":
            raise MemoryLimitError("flash: 4 KiB of 1 KiB")
        return build(program, *rest, **named)

    monkeypatch.setattr("edgeopt.deployment.steps.build", small)
    done = deploy()
    assert done.precision == "int8"
    assert done.passed_over is None
    assert [one for one in done.warnings if "times the time of float32" in one]


def test_float_that_falls_short_is_not_taken(measured):
    measured(speed(1.3, 1.5))
    wanted = RESIDUAL.model(*RESIDUAL.samples[0]).detach()
    exact = []

    def unfair(fn):
        """Scores what is as exact as float badly, but for float itself, which is asked first."""
        exact.append(torch.allclose(fn(*RESIDUAL.samples[0]), wanted, rtol=1e-4, atol=1e-6))
        return float(len(exact) == 1 or not exact[-1])

    done = deploy(evaluate=unfair, max_drop=0.1)
    assert exact[-1]  # float32 was tried
    assert done.precision == "int8"


def test_several_programs_keep_what_is_planned(measured):
    measured(speed(1.3, 1.5))
    short = RESIDUAL.samples
    done = deploy(shapes=edgeopt.Shapes(batches=(1, 2)), calibration_data=short)
    assert len(done.programs) == 1
    assert done.precision == "int8"
