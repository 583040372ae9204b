"""Integer convolutions and linears in C give the reference's integers on every kind of core."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from edgeopt_micro.testing.bare import CORES, NATIVE, build, run
from edgeopt_micro.testing.cases import grid, make_case, random_geometry
from edgeopt_micro.testing.programs import comparison
from edgeopt_micro.weighted import convolution

pytestmark = pytest.mark.qemu


def _cases(count):
    rng = np.random.default_rng(5)
    cases = [make_case(geometry, rng, ties=i % 2 == 0) for i, geometry in enumerate(grid())]
    return cases + [make_case(random_geometry(rng, 8), rng, ties=i % 4 == 0) for i in range(count)]


@pytest.fixture(scope="module")
def cases():
    return _cases(80)


@pytest.mark.parametrize("name", CORES)
def test_every_core_gives_the_same_bytes(name, cases, tmp_path):
    bare = CORES[name]
    if shutil.which(bare.machine[0]) is None:
        package = "qemu-system-misc" if "riscv" in bare.machine[0] else bare.machine[0]
        pytest.skip(f"{bare.machine[0]} is not installed: sudo apt-get install {package}")
    calls = [convolution(bare.core, case.geometry, case.weights) for case in cases]
    (tmp_path / "cases.c").write_text(comparison(calls, cases))
    sources = {file for call in calls for file in call.sources if file.endswith(".c")}
    program = tmp_path / "cases.elf"
    build(bare, [tmp_path / "cases.c", *sorted(NATIVE / file for file in sources)], program)
    lines = run(bare, program).split("\n")
    wrong = [cases[int(line.split()[1])].geometry for line in lines if line.startswith("wrong ")]
    assert not wrong
    assert lines == ["end", ""]
