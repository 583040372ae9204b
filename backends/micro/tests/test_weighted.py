"""Integer convolutions and linears in C give the reference's integers, on this machine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgeopt_micro.core import Core
from edgeopt_micro.testing.bare import NATIVE
from edgeopt_micro.testing.cases import grid, make_case, random_geometry
from edgeopt_micro.weighted import Geometry, Weights, convolution

SOURCES = [NATIVE / "edgeopt_convolution.c", NATIVE / "edgeopt_depthwise.c"]


@pytest.fixture(scope="module", params=["floats", "integers"])
def library(request, compile_library):
    flags = ["-DEDGEOPT_SCALED_BY_INTEGERS=1"] if request.param == "integers" else []
    return compile_library(f"weighted_{request.param}", SOURCES, *flags)


@pytest.mark.parametrize("geometry", grid(), ids=str)
@pytest.mark.parametrize("ties", [False, True])
def test_layers_of_networks(library, run_on_host, geometry, ties):
    case = make_case(geometry, np.random.default_rng(1), ties=ties)
    np.testing.assert_array_equal(run_on_host(library, case), case.expected)


@pytest.mark.parametrize("seed", range(8))
def test_random_layers(library, run_on_host, seed):
    rng = np.random.default_rng(seed)
    for index in range(40):
        case = make_case(random_geometry(rng), rng, ties=index % 4 == 0)
        message = f"{case.geometry} {case.weights}"
        np.testing.assert_array_equal(run_on_host(library, case), case.expected, message)


def test_cases_are_not_all_bounds():
    """Were most results saturated, wrong sums would go unseen."""
    rng = np.random.default_rng(0)
    cases = [make_case(random_geometry(rng), rng) for _ in range(60)]
    inside = [(c.expected > c.weights.low) & (c.expected < c.weights.high) for c in cases]
    assert np.mean([part.mean() for part in inside]) > 0.5


ONE = Weights(
    weight=np.full((1, 1, 1, 4), 127, np.int8),
    bias=np.zeros(1, np.int32),
    factor=np.full(1, 0.01, np.float32),
    in_zero=0,
    out_zero=0,
    low=-128,
    high=127,
)
CORE = Core(triple="", cpu="", fpu=True, dsp=False, mve=False)


def test_sums_that_do_not_fit_int32_are_refused():
    too_large = replace(ONE, bias=np.array([2**31 - 1000], np.int32))
    with pytest.raises(ValueError, match=r"output channel 0 may reach 21475.*int32"):
        convolution(CORE, Geometry(1, (1, 1), (1, 1), 4, 1), too_large)


@pytest.mark.parametrize("factor", [np.nan, np.inf, -0.1])
def test_factors_that_mean_nothing_are_refused(factor):
    wrong = replace(ONE, factor=np.array([factor], np.float32))
    with pytest.raises(ValueError, match="factor"):
        convolution(CORE, Geometry(1, (1, 1), (1, 1), 4, 1), wrong)


@pytest.mark.parametrize("cpu", ["cortex_m3", "cortex_m4"])
def test_weights_of_another_core_do_not_compile(cpu, tmp_path):
    import subprocess
    import sys

    packed_for = 2 if cpu == "cortex_m3" else 1
    command = [
        *(sys.executable, "-m", "ziglang", "cc", "-target", "thumb-freestanding-eabi"),
        *(f"-mcpu={cpu}", f"-DEDGEOPT_PACKING={packed_for}", "-c", str(SOURCES[0])),
        *("-o", str(tmp_path / "convolution.o")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode
    assert "packed for another core" in done.stderr
