"""A program tuned, compiled with what was found, and run: the same integers as without."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt.errors import InputError
from edgeopt.ir import ReferenceRunner
from edgeopt.options import CompileOptions, TuneOptions
from edgeopt.quantization import QuantizationConfig, quantize_program
from edgeopt.registry import find_target
from edgeopt.testing.specimens import float_program, specimen
from edgeopt_tvm import TVMBackend


@pytest.fixture(scope="module")
def program():
    config = QuantizationConfig(rounding="nearest")
    return quantize_program(float_program("residual"), specimen("residual").samples, config)


@pytest.mark.slow
def test_a_tuned_program_computes_the_same(program, tmp_path):
    backend, target, path = TVMBackend(), find_target("host"), str(tmp_path / "t.sqlite")
    report = backend.tune(program, target, TuneOptions(trials=30, database=path))
    assert report.trials == 30
    assert report.failures == {}
    assert sum(k.count for k in report.kernels) >= 4
    assert report.best_ms <= report.default_ms
    artifact = backend.compile(backend.lower(program, target), CompileOptions(tuning_database=path))
    gained = sum(k.best_ms < k.default_ms for k in report.kernels)
    assert artifact.metadata["tuned"] >= gained
    runner, reference = backend.load(artifact, threads=1), ReferenceRunner(program)
    for sample in specimen("residual").samples:
        arrays = [t.numpy() for t in sample]
        np.testing.assert_array_equal(runner(*arrays), reference(*arrays))
    runner.close()


def test_a_database_that_is_not_there_is_refused(program, tmp_path):
    options = CompileOptions(tuning_database=str(tmp_path / "missing.sqlite"))
    with pytest.raises(InputError, match="no tuning database"):
        TVMBackend().compile(TVMBackend().lower(program, find_target("host")), options)
