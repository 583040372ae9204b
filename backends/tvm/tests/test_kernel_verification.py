"""Kernels are tried on random numbers before a bundle holds them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import tvm
from torch import nn

import edgeopt
from edgeopt.errors import CompileError
from edgeopt.ir import capture_module
from edgeopt.options import CompileOptions
from edgeopt.passes import run_core
from edgeopt.quantization import QuantizationConfig, quantize_program
from edgeopt.registry.target_registry import find_target
from edgeopt_tvm import TVMBackend, compiler, kernel_verification
from edgeopt_tvm.kernel_verification import verify_kernels
from edgeopt_tvm.kernels import scheduled
from edgeopt_tvm.lowering import lower_program
from edgeopt_tvm.machine import here, machine_of
from edgeopt_tvm.tuning import Chooser


@pytest.fixture(autouse=True)
def forgetful(tmp_path, monkeypatch):
    """Nothing is remembered from before."""
    monkeypatch.setattr(kernel_verification, "cache_folder", lambda: tmp_path)


@pytest.fixture(scope="module")
def program():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1)).eval()
    samples = [(torch.randn(1, 3, 6, 6),) for _ in range(4)]
    held = run_core(capture_module(model, samples[0]))
    return quantize_program(held, samples, QuantizationConfig(rounding="nearest"))


def _kernels(program, machine):
    executable = lower_program(program, machine)
    functions = {g.name_hint: f for g, f in executable.module.functions.items()}
    return executable, {name: scheduled(f, machine) for name, f in functions.items()}


LARGEST = {"uint8": "T.float32(255.0)", "int8": "T.float32(127.0)"}[here().activations]


def _spoilt(function):
    """Returns the kernel with another clip: it runs, and computes something else."""
    text = function.script().replace(LARGEST, "T.float32(100.0)")
    held = tvm.script.from_source(text)
    return held.with_attr("global_symbol", "main")


def _spoilt_kernel(executable, name):
    return scheduled(_spoilt(executable.module[name]), here())


def test_right_kernels_are_remembered(program):
    executable, ready = _kernels(program, here())
    first, second = (verify_kernels(executable, ready, here()) for _ in range(2))
    assert (first.right, first.known, first.wrong) == (len(ready), 0, {})
    assert (second.right, second.known) == (0, len(ready))


def test_a_wrong_kernel_is_found_and_named(program):
    executable, ready = _kernels(program, here())
    name = next(n for n in ready if LARGEST in executable.module[n].script())
    spoilt = {**ready, name: _spoilt_kernel(executable, name)}
    found = verify_kernels(executable, spoilt, here())
    assert set(found.wrong) == {name}
    assert "elements" in found.wrong[name]
    assert verify_kernels(executable, spoilt, here()).wrong  # not remembered


def test_a_kernel_that_crashes_is_found_among_others(program):
    executable, ready = _kernels(program, here())
    name = min(ready)
    trap = tvm.tirx.Evaluate(tvm.tirx.call_extern("int32", "abort"))
    found = verify_kernels(executable, {**ready, name: ready[name].with_body(trap)}, here())
    assert set(found.wrong) == {name}
    assert "signal 6" in found.wrong[name]


@pytest.mark.qemu
@pytest.mark.slow
@pytest.mark.parametrize("target", ["rpi4", "rpi5", "generic-armv7", "generic-riscv64"])
def test_code_for_other_processors_is_tried_in_their_emulators(program, target):
    machine = machine_of(find_target(target))
    executable, ready = _kernels(program, machine)
    found = verify_kernels(executable, ready, machine)
    assert (found.right, found.wrong, found.unchecked) == (len(ready), {}, "")


def test_code_that_cannot_run_here_says_why(program):
    machine = replace(here(), features=(*here().features, "+amx-imagined"))
    executable, ready = _kernels(program, here())
    assert "amx-imagined" in verify_kernels(executable, ready, machine).unchecked


def test_a_wrong_tuned_kernel_gives_way_to_the_one_without_tuning(program, monkeypatch):
    class Tuned(Chooser):
        def __call__(self, function, machine=None):
            return super().__call__(_spoilt(function), machine)

    monkeypatch.setattr(compiler, "open_chooser", lambda machine, _: Tuned(machine))
    made = TVMBackend().compile(TVMBackend().lower(program, find_target("host")), CompileOptions())
    assert made.metadata["wrong"] > 0
    assert any("was wrong as scheduled" in note for note in made.metadata["notes"])


def test_a_kernel_that_is_wrong_without_tuning_enters_no_bundle(program, monkeypatch):
    class Broken(Chooser):
        def __call__(self, function, machine=None):
            return super().__call__(_spoilt(function), machine)

        def plain(self, function):
            return super().plain(_spoilt(function))

    monkeypatch.setattr(compiler, "open_chooser", lambda machine, _: Broken(machine))
    with pytest.raises(CompileError, match="wrong on random numbers"):
        TVMBackend().compile(TVMBackend().lower(program, find_target("host")), CompileOptions())


class Counted(nn.Module):
    """Positions as RoBERTa counts them: products of two numbers of 32 bits."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        mask = ids.ne(1).int()
        return (torch.cumsum(mask, 1).type_as(mask) * mask).long() + 1


def test_products_of_random_numbers_stay_within_their_type() -> None:
    model, ids = Counted().eval(), torch.randint(0, 3, (1, 24))
    bundle = edgeopt.compile(edgeopt.capture(model, ids), "host", backend="tvm")
    np.testing.assert_array_equal(edgeopt.load(bundle)(ids.numpy()), model(ids).numpy())
