"""Weights that are packed for a core, read on this machine: the gate's numbers are the core's."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt_micro.core import Core
from edgeopt_micro.packing import packing_of
from edgeopt_micro.testing.bare import NATIVE
from edgeopt_micro.testing.cases import grid, make_case, random_geometry

CORES = {
    "plain": Core(triple="", cpu="", fpu=True, dsp=False, mve=False),
    "dsp": Core(triple="", cpu="", fpu=True, dsp=True, mve=False),
    "mve": Core(triple="", cpu="", fpu=True, dsp=True, mve=True),
}


@pytest.fixture(scope="module", params=CORES)
def packed(request, compile_library):
    core = CORES[request.param]
    flags = ["-DEDGEOPT_PORTABLE", f"-DEDGEOPT_PACKING={packing_of(core)}"]
    name = f"portable_{request.param}"
    return core, compile_library(name, [NATIVE / "edgeopt_portable.c"], *flags)


def test_layers_of_networks(packed, run_on_host):
    core, library = packed
    for geometry in grid():
        case = make_case(geometry, np.random.default_rng(1))
        np.testing.assert_array_equal(
            run_on_host(library, case, core), case.expected, str(geometry)
        )


def test_random_layers(packed, run_on_host):
    core, library = packed
    chance = np.random.default_rng(3)
    for index in range(80):
        case = make_case(random_geometry(chance), chance, ties=index % 4 == 0)
        got = run_on_host(library, case, core)
        np.testing.assert_array_equal(got, case.expected, str(case.geometry))
