"""Executables, compiled for this machine and run through the module that goes onto devices."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from edgeopt.progress import progress_to
from edgeopt_tvm import objects
from edgeopt_tvm.device import runtime
from edgeopt_tvm.device.runtime import Model
from edgeopt_tvm.executable import Buffer, Executable, Step
from edgeopt_tvm.library import build_library


@pytest.fixture(scope="module")
def libraries(perceptron, integers, machine, tmp_path_factory):
    """Returns the toys, each with its library."""
    made = {}
    for name, toy in (("perceptron", perceptron), ("integers", integers)):
        path = tmp_path_factory.mktemp(name) / "model.so"
        path.write_bytes(build_library(toy.executable, machine))
        made[name] = (toy, path)
    return made


@pytest.mark.parametrize("threads", [0, 1, 2, 5])
@pytest.mark.parametrize("name", ["perceptron", "integers"])
def test_computes_what_it_should(libraries, name, threads):
    toy, path = libraries[name]
    model = Model(str(path), {}, threads)
    for _ in range(3):
        toy.check(model(*toy.inputs))
    assert model.facts()["threads"] == (threads or model.facts()["threads"])
    model.close()
    model.close()
    with pytest.raises(RuntimeError, match="closed"):
        model(*toy.inputs)


def test_same_bytes_in_another_process(perceptron, machine, libraries, tmp_path):
    assert build_library(perceptron.executable, machine) == libraries["perceptron"][1].read_bytes()


def test_holds_no_path_and_exports_only_its_interface(libraries):
    content = libraries["perceptron"][1].read_bytes()
    assert not re.search(rb"/tmp/|/home/|/root/|edgeopt-[a-z0-9_]{8}", content)
    assert not re.search(rb"TVMBackend|__tvm_ffi", content)
    needed = set(re.findall(rb"[\w-]+\.so\.\d+", content))
    assert needed <= {b"libc.so.6", b"libm.so.6", b"ld-linux-x86-64.so.2"}


def test_arrays_that_lie_anywhere(libraries):
    toy, path = libraries["integers"]
    model = Model(str(path), {}, 2)
    room = np.zeros(8 * 32 + 1, np.int8)
    odd = room[1:].reshape(8, 32)
    odd[:] = toy.inputs[0]
    toy.check(model(odd, toy.inputs[1]))
    columns = np.asfortranarray(toy.inputs[0])
    toy.check(model(columns, toy.inputs[1]))


def test_earlier_outputs_stay(libraries):
    toy, path = libraries["perceptron"]
    model = Model(str(path), {}, 1)
    (first,) = model(*toy.inputs)
    was = first.copy()
    model(toy.inputs[0] + 1)
    np.testing.assert_array_equal(first, was)


def test_the_library_alone_runs_on_the_last_inputs_and_leaves_what_was_answered(libraries):
    toy, path = libraries["perceptron"]
    model = Model(str(path), {}, 1)
    with pytest.raises(RuntimeError, match="never called"):
        model.invoke()
    outputs = model(*toy.inputs)
    for output in outputs:
        output[:] = 7.0
    model.invoke()
    model.invoke()
    assert all((output == 7.0).all() for output in outputs)
    model.close()
    with pytest.raises(RuntimeError, match="closed"):
        model.invoke()


def test_read_only_inputs_are_taken(libraries):
    toy, path = libraries["perceptron"]
    frozen = toy.inputs[0].copy()
    frozen.setflags(write=False)
    toy.check(Model(str(path), {}, 1)(frozen, *toy.inputs[1:]))


@pytest.mark.parametrize("wrong", [(), (np.zeros((16, 24)),), (np.zeros((24, 16), np.float32),)])
def test_refuses_what_does_not_fit(libraries, wrong):
    model = Model(str(libraries["perceptron"][1]), {}, 1)
    with pytest.raises(ValueError, match="expected"):
        model(*wrong)


def test_tells_steps_and_times_them(libraries):
    toy, path = libraries["perceptron"]
    model = Model(str(path), {}, 2)
    assert model.steps() == [
        {"kernel": "dense", "origins": ["linear", "relu"]},
        {"kernel": "act", "origins": ["tanh"]},
    ]
    outputs, times = model.profile(*toy.inputs)
    toy.check(outputs)
    assert len(times) == 2
    assert all(0 < t < 10**9 for t in times)
    told = model.operators(5, *toy.inputs)
    assert [step["layers"] for step in told["steps"]] == [["linear", "relu"], ["tanh"]]
    assert [step["name"] for step in told["steps"]] == ["0:dense", "1:act"]
    assert 0 < sum(step["ns"] for step in told["steps"]) < told["whole_ns"]


def test_many_callers_of_one_model_and_of_several(libraries):
    toys = [libraries["perceptron"], libraries["integers"]]
    models = [(toy, Model(str(path), {}, 2)) for toy, path in toys for _ in range(2)]

    def call(number):
        toy, model = models[number % len(models)]
        toy.check(model(*toy.inputs))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(200)))


def test_hands_loops_over_thousands_of_times(chain, machine, tmp_path):
    path = tmp_path / "model.so"
    path.write_bytes(build_library(chain(300), machine))
    for threads in (2, 3):
        model = Model(str(path), {}, threads)
        for _ in range(20):
            (y,) = model(np.zeros(64, np.int32))
            assert (y == 300).all()


def test_views_of_inputs_and_outputs(chain, machine, tmp_path):
    made = chain(2)
    buffers = (
        Buffer("x", (8, 8), "int32", "input"),
        Buffer("flat x", (64,), "int32", "temporary", alias=0),
        Buffer("middle", (64,), "int32", "temporary"),
        Buffer("y", (4, 16), "int32", "output"),
        Buffer("flat y", (64,), "int32", "temporary", alias=3),
    )
    seen = Executable(made.module, buffers, (Step("k", (1, 2)), Step("k", (2, 4))), {})
    path = tmp_path / "model.so"
    path.write_bytes(build_library(seen, machine))
    x = np.arange(64, dtype=np.int32).reshape(8, 8)
    (y,) = Model(str(path), {}, 1)(x)
    np.testing.assert_array_equal(y, (x + 2).reshape(4, 16))


def test_names_of_any_kind(chain, machine, tmp_path):
    made = chain(1)
    name = 'x "quoted" \\ ??/ é\n\x01'
    odd = dataclasses.replace(made.buffers[0], name=name)
    seen = Executable(made.module, (odd, made.buffers[1]), made.steps, {})
    path = tmp_path / "model.so"
    path.write_bytes(build_library(seen, machine))
    with pytest.raises(ValueError, match="expected") as caught:
        Model(str(path), {}, 1)(np.zeros(3, np.int32))
    assert name in str(caught.value)


def test_schedules_and_progress(chain, machine, tmp_path, monkeypatch):
    monkeypatch.setattr(objects, "cache_folder", lambda: tmp_path)
    told, seen = [], []

    def schedule(function, held):
        seen.append((str(function.attrs["global_symbol"]), held))
        return function

    with progress_to(lambda *now: told.append(now)):
        build_library(chain(2), machine, schedule=schedule)
    assert seen == [("k", machine)]
    assert told == [("kernels", 1, 2), ("kernels", 2, 2), ("link", 1, 1)]


def test_its_module_needs_only_numpy(libraries):
    path = libraries["perceptron"][1]
    code = (
        "import sys, numpy as np\n"
        f"exec(open({runtime.__file__!r}).read())\n"
        f"Model({str(path)!r}, {{}}, 1)(np.zeros((16, 24), np.float32))\n"
        "print(sorted(n for n in sys.modules if n.split('.')[0] in ('tvm', 'tvm_ffi', 'torch')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
