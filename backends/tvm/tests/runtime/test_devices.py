"""Cross-compiled models, run under emulation: the numbers of this machine, or exactly numpy's."""

from __future__ import annotations

import subprocess
from pathlib import PurePosixPath

import numpy as np
import pytest
import torch

import edgeopt
from edgeopt.bundles import GoldenSamples, Tolerance, write_bundle
from edgeopt.contracts import Artifact, Signature, TensorSpec
from edgeopt.contracts.storage import Precision
from edgeopt.devices import EmulatedDevice
from edgeopt.ir import ReferenceRunner, capture_module
from edgeopt.measure import PlacedBundle
from edgeopt.options import CompileOptions, Override, QuantizationConfig
from edgeopt.passes import run_core
from edgeopt.quantization import quantize_program
from edgeopt.registry.target_registry import find_target
from edgeopt.testing.specimens import program_of, specimen
from edgeopt_tvm import TVMBackend
from edgeopt_tvm.library import build_program
from edgeopt_tvm.machine import machine_of
from edgeopt_tvm.packaging import LIBRARY, PROGRAM, device_runtime, model_files

ARCHS = ("aarch64", "armv7", "riscv64")
TARGETS = (
    "generic-aarch64",
    "generic-armv7",
    "generic-riscv64",
    "generic-x86-64-v2",
    "generic-x86-64-v3",
)


def toy_artifact(toy, target, files, entry):
    inputs = [b for b in toy.executable.buffers if b.kind == "input"]
    outputs = [b for b in toy.executable.buffers if b.kind == "output"]
    specs = [
        tuple(TensorSpec(b.name, b.shape, b.dtype) for b in held) for held in (inputs, outputs)
    ]
    return Artifact("tvm", target.name, "int8", Signature(*specs), files, entry)


@pytest.mark.slow
@pytest.mark.qemu
@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("name", ["perceptron", "integers"])
def test_static_programs_compute_the_same(request, name, arch, tmp_path, emulator):
    by = emulator(arch)
    toy = request.getfixturevalue(name)
    program = tmp_path / "run"
    program.write_bytes(build_program(toy.executable, machine_of(find_target(f"generic-{arch}"))))
    program.chmod(0o755)
    words = []
    for index, array in enumerate(toy.inputs):
        np.save(tmp_path / f"in{index}.npy", array)
        words += ["--input", f"in{index}.npy"]
    for index in range(len(toy.wanted)):
        words += ["--output", f"out{index}.npy"]
    for threads in ("1", "3"):
        command = [by, program, *words, "--threads", threads]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        toy.check([np.load(tmp_path / f"out{i}.npy") for i in range(len(toy.wanted))])
    command = [by, program, "--input", "in0.npy", "--output", "nowhere/x.npy"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 2


@pytest.mark.slow
@pytest.mark.qemu
@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize(
    ("name", "precision"),
    [("residual", "int8"), ("tokens", "int8"), ("residual", "int16x8"), ("attention", "float32")],
)
def test_networks_compute_what_the_reference_does(
    name, precision, arch, tmp_path, emulator, without_python
):
    """Without Python on the device, so that nothing is needed there."""
    program = program_of(name, precision)
    inputs = [tensor.numpy() for tensor in specimen(name).example]
    got = emulated(program, inputs, emulator(arch), without_python(arch), tmp_path)
    wanted = ReferenceRunner(program)(*inputs)
    if Precision(precision).is_integer:
        np.testing.assert_array_equal(got, wanted)
    else:
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.qemu
@pytest.mark.parametrize("arch", ARCHS)
def test_sums_of_more_than_32_bits(arch, tmp_path, emulator, without_python):
    """Of 16-bit numbers, some of which become such of 8 bits."""
    layers = torch.nn.Conv2d(150, 9, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(36, 7)
    torch.nn.init.uniform_(layers[0].weight, 0.5, 1.0)
    samples = [(torch.rand(1, 150, 4, 4) + 0.5,) for _ in range(3)]
    program = run_core(capture_module(torch.nn.Sequential(*layers).eval(), samples[0]))
    config = QuantizationConfig(precision="int16x8", overrides={"relu": Override(bits=8)})
    program = quantize_program(program, samples, config)
    inputs = [samples[0][0].numpy()]
    got = emulated(program, inputs, emulator(arch), without_python(arch), tmp_path)
    np.testing.assert_array_equal(got, ReferenceRunner(program)(*inputs))


def emulated(program, inputs, by, target, folder):
    """Returns what a program for ``target`` makes of ``inputs``, run by the emulator ``by``."""
    artifact = TVMBackend().compile(TVMBackend().lower(program, target), CompileOptions())
    assert (artifact.entry, list(artifact.files)) == ("run", ["run"])
    (folder / "run").write_bytes(artifact.files["run"])
    (folder / "run").chmod(0o755)
    for index, array in enumerate(inputs):
        np.save(folder / f"in{index}.npy", array)
    words = [word for i in range(len(inputs)) for word in ("--input", f"in{i}.npy")]
    command = [by, "./run", *words, "--output", "out.npy", "--threads", "2"]
    subprocess.run(command, cwd=folder, check=True)
    return np.load(folder / "out.npy")


class Conversions(torch.nn.Module):
    def forward(self, i, f):
        """Between long integers and floats, which a 32-bit processor has no instruction for."""
        return i.float() * 1.5, f.long() * 3, i // (f.long().abs() + 1), i % 7


@pytest.mark.slow
@pytest.mark.qemu
@pytest.mark.parametrize("arch", ARCHS)
def test_long_integers_and_floats(arch, tmp_path, emulator, without_python):
    by = emulator(arch)
    bare = without_python(arch)
    i = torch.tensor([0, 1, -1, 2**24 + 1, -(2**40), 2**62])
    f = torch.tensor([0.0, -0.5, 1.5, -2.5e9, 3e15, 7.0])
    bundle = edgeopt.deploy(
        Conversions().eval(), bare, precision="float32", backend="tvm", example_inputs=(i, f),
        checks={"speed": False}, output=tmp_path / "bundle",
    ).bundle  # fmt: skip
    words = []
    for name, array in (("i", i), ("f", f)):
        np.save(tmp_path / f"{name}.npy", array.numpy())
        words += ["--input", tmp_path / f"{name}.npy"]
    wanted = [tensor.numpy() for tensor in Conversions()(i, f)]
    for index in range(len(wanted)):
        words += ["--output", tmp_path / f"{index}.npy"]
    subprocess.run([by, bundle.path / "model" / "run", *words], check=True)
    got = [np.load(tmp_path / f"{index}.npy") for index in range(len(wanted))]
    for ours, theirs in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_is_compiled_and_linked(integers, name):
    target = find_target(name)
    files = model_files(integers.executable, target)
    assert set(files) == {LIBRARY, PROGRAM}
    machines = {"aarch64": 183, "armv7": 40, "riscv64": 243, "x86_64": 62}
    for content in files.values():
        assert content[:4] == b"\x7fELF"
        assert int.from_bytes(content[18:20], "little") == machines[target.cpu.arch]
    assert len(files[PROGRAM]) < 64 * 1024
    assert files == model_files(integers.executable, target)


@pytest.mark.slow
@pytest.mark.qemu
def test_a_bundle_on_an_emulated_device(integers, tmp_path):
    target = find_target("rpi4")
    files = model_files(integers.executable, target)
    artifact = toy_artifact(integers, target, files, LIBRARY)
    golden = GoldenSamples.of([integers.inputs], [integers.wanted], Tolerance())
    runtime = device_runtime(target)
    bundle = write_bundle(artifact, runtime, target, path=tmp_path / "toy", golden=golden)
    with EmulatedDevice("aarch64") as device:
        placed = PlacedBundle.push(bundle, device)
        verified = placed.verify()
        assert verified.ok, str(verified)
        np.testing.assert_equal(placed.run([integers.inputs] * 2)[1], integers.wanted)
        # and without Python, in the same place
        place = device.workdir() / "bundles" / bundle.digest[:16]
        words = [str(place / "model" / "run"), "--output", "q=made.npy"]
        for index in range(2):
            words += ["--input", str(place / "golden" / f"input_000_{index}.npy")]
        done = device.run(words)
        assert done.returncode == 0, done.stderr
        device.pull(PurePosixPath("made.npy"), tmp_path / "made.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "made.npy"), integers.wanted[0])
