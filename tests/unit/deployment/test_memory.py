"""Flash and RAM of a microcontroller: what is refused, when, with which numbers, and what is reported."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import msgspec
import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.contracts import MemoryMoment, MemoryPart, MemoryUse
from edgeopt.deployment.deploy import plan_deployment
from edgeopt.deployment.memory import MemoryBounds, MemoryReport, limits_of, require_fit
from edgeopt.deployment.request import Request
from edgeopt.errors import InputError, MemoryLimitError
from edgeopt.options import PruningOptions
from edgeopt.registry import find_target

LIMITS = MemoryBounds("pico2", 100, 50, 40)
MOMENTS = (
    MemoryMoment("conv", (MemoryPart("x", 4096, "tensor"), MemoryPart("conv", 8192, "tensor"))),
    MemoryMoment(
        "add",
        (
            MemoryPart("conv", 8192, "tensor"),
            MemoryPart("relu", 12288, "tensor"),
            MemoryPart("add", 20480, "tensor"),
        ),
    ),
)
PARTS = (
    MemoryPart("kernels", 6144, "code", "flash"),
    MemoryPart("conv.weight", 90 * 1024, "weights", "flash"),
    MemoryPart("arena", 40960, "arena"),
    MemoryPart("stack", 2048, "stack"),
)
FITTING = MemoryUse(96 * 1024, 43008, PARTS, MOMENTS, 40960)


def use(**changes):
    return msgspec.structs.replace(FITTING, **changes)


def refused(of, precision="int8"):
    with pytest.raises(MemoryLimitError) as caught:
        require_fit(of, LIMITS, precision)
    assert caught.value.where == "pico2"
    assert caught.value.use is of
    return caught.value


def test_what_fits_is_not_refused():
    require_fit(FITTING, LIMITS, "int8")
    require_fit(use(flash_bytes=100 * 1024, ram_bytes=50 * 1024), LIMITS, "int8")


def test_too_much_flash_names_what_takes_most_and_pruning():
    error = refused(use(flash_bytes=120 * 1024))
    assert error.what == (
        "needs 120.0 KiB of flash, and may take 100:"
        " conv.weight (weights, 90.0 KiB), kernels (code, 6.0 KiB)"
    )
    assert "edgeopt.prune(max_flash_kb=100)" in error.hint
    assert "input" not in error.hint


def test_too_much_ram_names_the_moment_and_its_tensors():
    error = refused(use(ram_bytes=60 * 1024))
    assert error.what == (
        "needs 60.0 KiB of RAM, and may take 50: arena (arena, 40.0 KiB), stack (stack, 2.0 KiB);"
        " the arena is fullest at add, which keeps add (tensor, 20.0 KiB),"
        " relu (tensor, 12.0 KiB), conv (tensor, 8.0 KiB)"
    )
    assert error.hint.startswith("a smaller input; pruning: edgeopt.prune(max_ram_kb=50)")
    assert "search(max_ram_kb=50" in error.hint


def test_an_arena_that_fits_into_no_single_piece():
    error = refused(use(arena_bytes=45 * 1024))
    assert error.what.startswith(
        "needs an arena of 45.0 KiB in one piece, and the largest has 40: arena (arena"
    )


def test_float_is_told_of_int8():
    hint = refused(use(ram_bytes=60 * 1024), "float32").hint
    assert hint.startswith('precision="int8" takes about a quarter of float32; a smaller input')


def test_both_are_named_at_once():
    what = refused(use(flash_bytes=10**6, ram_bytes=10**6)).what
    assert "KiB of flash" in what
    assert "KiB of RAM" in what


def test_limits_are_the_devices_and_less_where_asked_for():
    target = find_target("portenta-h7")
    assert limits_of(target) == MemoryBounds("portenta-h7", 768, 636, 512)
    asked = limits_of(target, Request(max_flash_kb=64, max_ram_kb=100))
    assert asked == MemoryBounds("portenta-h7", 64, 100, 100)
    assert limits_of(target, Request(max_ram_kb=10**6)) == limits_of(target)
    assert limits_of(find_target("rpi4"), Request()) is None


@pytest.mark.parametrize("name", ["max_flash_kb", "max_ram_kb"])
def test_a_limit_without_a_microcontroller_is_refused(name):
    with pytest.raises(InputError, match="rpi4 is no microcontroller") as caught:
        plan_deployment(None, "rpi4", Request(**{name: 10}))
    assert caught.value.where == name
    with pytest.raises(InputError, match="rpi4 is no microcontroller"):
        edgeopt.search(
            nn.Identity(), "rpi4", evaluate=len, example_inputs=torch.ones(1), **{name: 1}
        )


def test_ram_over_time_is_a_bar_an_operator():
    report = MemoryReport(FITTING, LIMITS)
    assert str(report) == "flash 96.0 of 100 KiB, RAM 42.0 of 50 KiB"
    assert report.bars() == [
        f"conv  {'█' * 9 + '▋':32}  12.0 KiB",
        f"add   {'█' * 32}  40.0 KiB",
    ]


def test_many_operators_keep_their_peak():
    moments = tuple(
        MemoryMoment(f"n{i}", (MemoryPart("t", 4096 if i == 37 else 1024, "tensor"),))
        for i in range(100)
    )
    lines = MemoryReport(use(moments=moments), LIMITS).bars()
    assert len(lines) <= 16
    assert next(line for line in lines if "4.0 KiB" in line).startswith("n37 ")


def test_no_moments_no_bars():
    assert MemoryReport(use(moments=()), LIMITS).bars() == []


def drawn(report):
    tree = ET.fromstring(report.svg())  # noqa: S314 (ours)
    texts = [one.text for one in tree.iter() if one.tag.endswith("text")]
    titles = [one.text for one in tree.iter() if one.tag.endswith("title")]
    return texts, titles


def test_ram_over_time_is_a_picture():
    texts, titles = drawn(MemoryReport(FITTING, LIMITS))
    assert titles == ["conv: 12.0 KiB", "add: 40.0 KiB"]
    assert {"arena 40.0 KiB", "limit 40.0 KiB", "fullest at add:"} <= set(texts)
    assert texts[-3:] == [
        "20.0 KiB add, tensor",
        "12.0 KiB relu, tensor",
        "8.0 KiB conv, tensor",
    ]


def test_a_limit_far_above_is_not_drawn_and_names_are_cut():
    parts = tuple(MemoryPart(f"<{'long' * 20}{k}>", 1024, "tensor") for k in range(9))
    moments = (MemoryMoment("conv", parts),)
    texts, _ = drawn(MemoryReport(use(moments=moments), MemoryBounds("pico2", 400, 400, 400)))
    assert not any(text.startswith("limit") for text in texts)
    assert texts[-1] == "3.0 KiB of 3 more"
    assert texts[-2].endswith("…")
    assert drawn(MemoryReport(use(moments=()), LIMITS))[0][-1] == "it is not known"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.second = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.second(self.conv(x).relu()).relu().mean((2, 3)))


X = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
DATA = [torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(n)) for n in range(8)]


def target(name="generic-cortex-m0plus", **changes):
    found = find_target("generic-cortex-m0plus")
    return msgspec.structs.replace(found, name=name, backends=("counting",), **changes)


def near(model):
    """Returns 1 less the largest error: anything but float loses some of it."""
    with torch.no_grad():
        return 1.0 - max(float((model(x) - Net().eval()(x)).abs().max()) for x in DATA)


def asked(**options):
    return {"example_inputs": X, "calibration_data": DATA, "checks": {"speed": False}, **options}


@pytest.mark.slow
def test_a_plan_says_what_it_will_take_as_the_deployment_does(backends):
    backends("counting")
    plan, _ = plan_deployment(Net().eval(), target(), Request(**asked()))
    assert plan.precision == "int8"
    deployment = edgeopt.deploy(Net().eval(), target(), **asked())
    assert deployment.memory.use.flash_bytes == plan.memory.use.flash_bytes
    assert deployment.memory.use.ram_bytes == plan.memory.use.ram_bytes
    assert "estimated" in dict(plan.rows())["memory"]
    assert str(deployment.memory) in str(deployment)
    assert "RAM over time" in str(deployment)
    report = deployment.bundle.report["memory"]
    assert report["use"]["ram_bytes"] == deployment.memory.use.ram_bytes
    assert "memory" not in deployment.bundle.report["plan"]


@pytest.mark.slow
def test_what_does_not_fit_is_refused_before_anything_is_calibrated_or_compiled(backends):
    backends("counting")
    seen = []

    def data():
        seen.append(1)
        yield from DATA

    with pytest.raises(MemoryLimitError, match="KiB of RAM, and may take 4: arena") as caught:
        edgeopt.deploy(
            Net().eval(),
            target("never-compiled"),
            **asked(max_ram_kb=4, calibration_data=data()),
        )
    assert seen == []
    assert "which keeps" in caught.value.what
    assert caught.value.use.fullest is not None


@pytest.mark.slow
def test_float_is_refused_where_int8_fits(backends):
    backends("counting")
    with pytest.raises(MemoryLimitError, match="may take 20") as caught:
        edgeopt.deploy(Net().eval(), target(), **asked(max_ram_kb=20, precision="float32"))
    assert "takes about a quarter of float32" in caught.value.hint
    assert edgeopt.deploy(Net().eval(), target(), **asked(max_ram_kb=20)).precision == "int8"


@pytest.mark.slow
def test_a_fallback_that_does_not_fit_is_an_attempt_and_no_error_of_its_own(backends):
    """int8 fits and loses too much; float does not fit: the loss is what is said."""
    backends("counting")
    with pytest.raises(edgeopt.errors.GateError) as caught:
        edgeopt.deploy(Net().eval(), target(), **asked(max_ram_kb=20, max_drop=1e-9, evaluate=near))
    attempts = caught.value.deployment.attempts
    assert any("does not fit: needs" in one.outcome for one in attempts)
    assert sum(one.taken for one in attempts) == 1


@pytest.mark.slow
def test_a_limit_that_the_backend_cannot_keep_is_refused(backends):
    backends("fine")
    one = msgspec.structs.replace(target(), backends=("fine",))
    with pytest.raises(InputError, match="fine does not say how much flash and RAM") as caught:
        plan_deployment(Net().eval(), one, Request(**asked(max_flash_kb=4)))
    assert caught.value.where == "max_flash_kb"
    plan, _ = plan_deployment(Net().eval(), one, Request(**asked()))
    assert plan.memory is None


@pytest.mark.slow
def test_compile_refuses_too(backends):
    backends("counting")
    program = edgeopt.capture(nn.Linear(200, 200).eval(), torch.ones(1, 200))
    micro = find_target("generic-cortex-m0plus").microcontroller
    region = msgspec.structs.replace(micro.regions[0], size_kb=64)
    small = target(
        microcontroller=msgspec.structs.replace(micro, regions=(region, micro.regions[1]))
    )
    with pytest.raises(MemoryLimitError, match=r"needs 157\.0 KiB of flash, and may take 64"):
        edgeopt.compile(program, small)


@pytest.mark.slow
def test_a_search_keeps_to_the_limits(backends, tmp_path, monkeypatch):
    backends("counting")
    monkeypatch.setenv("EDGEOPT_CACHE", str(tmp_path))
    given = {"calibration_data": DATA, "example_inputs": X, "backends": ["counting"], "trials": 4}
    floats = {"evaluate": lambda fn: float(fn(X).numel() > 0), "study": "none"}
    result = edgeopt.search(Net().eval(), target(), **given, **floats, max_ram_kb=20, prefer="size")
    assert result.best.measured.ram_bytes <= 20 * 1024
    assert result.best.configuration.precision == "int8"
    assert any((t.measured.ram_bytes or 0) > 20 * 1024 for t in result.trials if t.measured)
    assert ", RAM " in str(result)
    with pytest.raises(edgeopt.errors.BudgetError, match="beyond max_ram_kb 1") as caught:
        edgeopt.search(Net().eval(), target(), **given, **floats, max_ram_kb=1)
    assert "it would do with max_ram_kb=" in caught.value.hint


@pytest.mark.parametrize(("goal", "value"), [("max_flash_kb", 2.0), ("max_ram_kb", 3.5)])
def test_pruning_to_a_limit(goal, value):
    pruned = edgeopt.prune(
        Net().eval(),
        X,
        importance="l1",
        target="generic-cortex-m0plus",
        multiple=1,
        **{goal: value},
    )
    assert pruned.report.goal == {goal: value}
    conv, second = pruned.module.conv.out_channels, pruned.module.second.out_channels
    parameters = sum(p.numel() for p in pruned.module.parameters())
    widest = max(3 * 16 * 16 + conv * 14 * 14, conv * 14 * 14 + second * 12 * 12)
    assert (parameters if goal == "max_flash_kb" else widest) / 1024 <= 1.05 * value
    assert pruned.module.conv.out_channels > 1


def test_pruning_says_how_near_it_can_come():
    with pytest.raises(InputError, match="cannot be met; the nearest that can is"):
        edgeopt.prune(Net().eval(), X, importance="l1", max_ram_kb=0.01)


def test_recipes_prune_to_a_limit():
    recipe = {"name": "small", "steps": [{"step": "prune", "importance": "l1", "max_ram_kb": 3.5}]}
    compressed = edgeopt.compress(Net().eval(), recipe, example_inputs=X)
    assert compressed.module.conv.out_channels < 16


def test_a_limit_is_a_number_above_0():
    for options in (Request, PruningOptions):
        with pytest.raises(
            edgeopt.errors.ConfigError, match="max_ram_kb: expected a number above 0"
        ):
            options(max_ram_kb=0)


@pytest.mark.slow
def test_a_recipe_may_make_fit_what_does_not(backends):
    backends("counting")
    recipe = {"name": "small", "steps": [{"step": "prune", "importance": "l1", "ratio": 0.75}]}
    options = asked(max_ram_kb=10, evaluate=lambda fn: float(fn(X).numel() > 0))
    with pytest.raises(MemoryLimitError):
        edgeopt.deploy(Net().eval(), target(), **options)
    deployment = edgeopt.deploy(Net().eval(), target(), recipe=recipe, **options)
    assert deployment.memory.use.ram_bytes <= 10 * 1024
