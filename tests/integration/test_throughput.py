"""Several runs at once: each answers as one alone does, and the command line tells how many a second."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import edgeopt
from edgeopt.cli.main import app
from edgeopt_openvino.device.runtime import Model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
    data = [torch.randn(1, 16) for _ in range(8)]
    return edgeopt.deploy(
        model.eval(), "host", backend="openvino", precision="int8", example_inputs=(data[0],),
        calibration_data=data, output=tmp_path_factory.mktemp("openvino") / "bundle",
        checks=edgeopt.Checks(speed=False), quantization={"rounding": "nearest"},
    ).bundle  # fmt: skip


@pytest.mark.parametrize("count", [0, 3])
def test_streams_answer_as_the_model_does(bundle, count):
    metadata = bundle.manifest.metadata
    model = Model(str(bundle.path / bundle.manifest.entry), metadata, 1)
    streams = model.streams(count, 1)
    assert len(streams) == (count or len(streams)) > 0
    rng = np.random.default_rng(0)
    inputs = [rng.normal(0, 1, (1, 16)).astype(np.float32) for _ in streams]
    wanted = [model(array)[0] for array in inputs]
    with ThreadPoolExecutor(len(streams)) as pool:
        for _ in range(20):
            got = list(
                pool.map(lambda pair: pair[0](pair[1])[0], zip(streams, inputs, strict=True))
            )
            np.testing.assert_array_equal(np.stack(got), np.stack(wanted))


def test_the_command_line_tells_frames_a_second(bundle):
    words = ["profile", str(bundle.path), "--throughput", "--streams", "2"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.output
    assert "a second [" in told.output
    assert "2 at once" in told.output
    refused = CliRunner().invoke(app, [*words, "--operators"])
    assert refused.exit_code == 2
    assert "--throughput" in refused.output
