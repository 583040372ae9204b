"""edgeopt.deploy with the real toolchains, from a trained network to a bundle that runs by itself."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.gate.metrics import cosine
from edgeopt.registry import find_target

BACKENDS = ("tflite", "openvino")
TARGETS = {"tflite": "rpi4", "openvino": "host"}


def available(name):
    """Returns whether a backend's plugin and toolchain are there."""
    info = edgeopt.backends().get(name)
    return info is not None and info.load().available() is None


def needs(name):
    reason = f"NOT CHECKED: pip install 'edgeopt[{name}]'"
    return pytest.param(name, marks=pytest.mark.skipif(not available(name), reason=reason))


EACH = pytest.mark.parametrize("backend", [needs(name) for name in BACKENDS])


def shapes(count, seed):
    """Returns pictures of noise with a bright square (0), stripe (1) or nothing (2), and which."""
    generator = torch.Generator().manual_seed(seed)
    pictures = 0.3 * torch.randn(count, 1, 16, 16, generator=generator)
    labels = torch.randint(0, 3, (count,), generator=generator)
    for picture, label in zip(pictures, labels, strict=True):
        x, y = torch.randint(0, 11, (2,), generator=generator).tolist()
        if label == 0:
            picture[0, x : x + 5, y : y + 5] += 1.0
        elif label == 1:
            picture[0, x : x + 2, :] += 1.0
    return pictures, labels


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU6())
        self.depth = nn.Sequential(
            nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.BatchNorm2d(16), nn.ReLU6()
        )
        self.mix = nn.Sequential(nn.Conv2d(16, 16, 1), nn.BatchNorm2d(16))
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = self.stem(x)
        x = torch.relu(x + self.mix(self.depth(x)))
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def trained():
    """Returns a network that tells shapes apart, trained here in seconds."""
    torch.manual_seed(0)
    model = Net()
    pictures, labels = shapes(1500, seed=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(6):
        for picked in torch.randperm(len(pictures)).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(pictures[picked]), labels[picked]).backward()
            optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def top1():
    pictures, labels = shapes(300, seed=2)

    def evaluate(fn):
        with torch.no_grad():
            return float((fn(pictures).argmax(1) == labels).float().mean())

    return evaluate


@pytest.fixture(scope="module")
def deployed(trained, top1, tmp_path_factory):
    """Returns a function that deploys the network to a backend once."""
    made = {}

    def get(backend):
        if backend not in made:
            pictures, _ = shapes(100, seed=3)
            made[backend] = edgeopt.deploy(
                trained,
                TARGETS[backend],
                example_inputs=pictures[:1],
                calibration_data=pictures.split(1),
                evaluate=top1,
                max_drop=0.02,
                backend=backend,
                output=tmp_path_factory.mktemp(backend) / "bundle",
                # One program for both: what this machine's products can hold.
                quantization={"weight_bits": find_target("host").quantization.weight_bits},
                bundle=edgeopt.BundleOptions(labels=("square", "stripe", "nothing")),
            )
        return made[backend]

    return get


@EACH
def test_int8_keeps_accuracy_and_parity(deployed, backend):
    done = deployed(backend)
    assert done.accuracy.float_value > 0.9
    assert done.accuracy.drop <= 0.02
    assert done.parity.ok
    assert done.parity.cosine >= 0.9999
    assert done.precision == "int8"
    assert done.support.count("float") == 0
    assert done.speed is not None


@EACH
def test_the_bundle_runs_without_torch_and_edgeopt(deployed, backend, tmp_path):
    bundle = deployed(backend).bundle
    pictures, _ = shapes(1, seed=9)
    np.save(tmp_path / "in.npy", pictures.numpy())
    hook = "import sys; sys.modules['torch'] = sys.modules['edgeopt'] = None"
    (tmp_path / "sitecustomize.py").write_text(hook)
    command = [sys.executable, "run.py", "--input", str(tmp_path / "in.npy")]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "out.npy")],
        cwd=bundle.path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    got = np.load(tmp_path / "out.npy")
    np.testing.assert_array_equal(got, edgeopt.load(bundle)(pictures.numpy()))


@EACH
def test_the_report_in_the_bundle_says_what_was_measured(deployed, backend):
    done = deployed(backend)
    report = done.bundle.report
    assert report["accuracy"]["kind"] == "accuracy"
    assert report["parity"]["ok"]
    assert report["program_digest"] == done.program.digest
    json.dumps(done.to_dict())


@pytest.mark.skipif(not all(map(available, BACKENDS)), reason="NOT CHECKED: needs both plugins")
def test_one_program_gives_the_same_answers_from_both_backends(deployed):
    """Quantize once, the same numbers everywhere."""
    program = deployed("tflite").program
    pictures, _ = shapes(50, seed=4)
    answers = []
    for backend in BACKENDS:
        runner = edgeopt.load(edgeopt.compile(program, "host", backend=backend))
        answers.append(np.concatenate([runner(p[None].numpy()) for p in pictures]))
    assert cosine(*answers) >= 0.9999
    agreed = (answers[0].argmax(1) == answers[1].argmax(1)).mean()
    assert agreed >= 0.995
    assert deployed("openvino").program.digest == program.digest


@EACH
def test_same_inputs_same_bytes(trained, backend, tmp_path):
    pictures, _ = shapes(30, seed=3)
    digests = set()
    for name in ("first", "second"):
        done = edgeopt.deploy(
            trained,
            TARGETS[backend],
            example_inputs=pictures[:1],
            calibration_data=pictures.split(1),
            backend=backend,
            output=tmp_path / name,
            checks=edgeopt.Checks(speed=False),
        )
        digests.add(done.bundle.digest)
    assert len(digests) == 1


@EACH
@pytest.mark.parametrize("precision", ["int8-dynamic", "float16", "float32"])
def test_other_precisions_need_no_data(trained, backend, precision):
    pictures, _ = shapes(1, seed=5)
    done = edgeopt.deploy(
        trained,
        TARGETS[backend],
        example_inputs=pictures,
        backend=backend,
        precision=precision,
        checks=edgeopt.Checks(speed=False),
    )
    assert done.parity.ok
    assert done.program.precision == precision


@pytest.mark.skipif(not available("tflite"), reason="NOT CHECKED: pip install 'edgeopt[tflite]'")
def test_auto_takes_the_first_backend_of_the_target(trained):
    pictures, _ = shapes(1, seed=5)
    done = edgeopt.deploy(
        trained, "raspberry-pi-4", example_inputs=pictures, checks=edgeopt.Checks(speed=False)
    )
    assert done.plan.backend == "tflite"
    assert done.plan.target == "rpi4"


class Bessel(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)


@EACH
def test_an_operator_that_it_lacks_is_named_with_its_line(backend):
    with pytest.raises(edgeopt.errors.UnsupportedError, match="bessel") as caught:
        edgeopt.deploy(
            Bessel().eval(), TARGETS[backend], example_inputs=torch.ones(1, 4), backend=backend
        )
    assert "test_deploy_backends.py:" in str(caught.value)
    assert not caught.value.report.ok
