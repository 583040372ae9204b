"""Real backends on this machine: operators followed back to the model; the backend chosen by data."""

from __future__ import annotations

import pytest
import torch

import edgeopt
from edgeopt.measure import explain
from edgeopt.testing.specimens import specimen

pytestmark = pytest.mark.slow

MODEL = specimen("residual").model
# Large enough that each operator takes more than the microsecond that LiteRT's profiler counts in.
SAMPLES = list(torch.randn(8, 1, 3, 96, 96, generator=torch.Generator().manual_seed(0)))


def deployed(backend, path, **options):
    return edgeopt.deploy(
        MODEL, "host", example_inputs=SAMPLES[0], calibration_data=SAMPLES,
        backend=backend, precision="int8", output=path, checks=edgeopt.Checks(speed=False),
        quantization={"rounding": "nearest"}, bundle={"threads": 1}, **options,
    )  # fmt: skip


@pytest.mark.parametrize("backend", ["tflite", "openvino", "tvm"])
def test_every_convolution_is_followed_to_its_line(backend, tmp_path):
    pytest.importorskip(f"edgeopt_{backend}")
    done = deployed(backend, tmp_path / "bundle")
    found = edgeopt.profile_operators(done.bundle, device="local", runs=20, threads=1)
    told = {value for one in found.operators for value in one.values}
    wanted = {n.node for n in done.support.nodes if "conv2d" in n.operator}
    assert wanted <= told
    convolutions = [one for one in found.operators if "conv2d" in one.operator]
    assert all(one.source for one in convolutions)
    products = [one for one in convolutions if one.kind != "layout"]  # TVM transposes the input
    assert all(one.macs and one.kind == "integer" for one in products)
    assert sum(one.macs for one in convolutions) == sum(
        row["macs"] for row in done.bundle.report["values"] if "conv2d" in row["operator"]
    )
    assert explain(found, done.bundle.manifest.target)[0].topic == "dominates"


def test_auto_measures_all_and_chooses_one(tmp_path):
    done = deployed("auto", tmp_path / "bundle", device="local")
    measured = {one.backend: one.latency for one in done.measured}
    assert {"tflite", "openvino"} <= set(measured)
    assert measured[done.plan.backend] is not None
    assert [c.backend for c in done.plan.candidates if c.chosen] == [done.plan.backend]
    assert done.bundle.manifest.backend == done.plan.backend
    assert done.profile.digest == done.bundle.digest
    done.bundle.verify()
    text = str(done)
    assert all(f"backend {name}" in text for name in measured)
