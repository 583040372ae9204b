"""Models with several methods, and what they keep from call to call."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import edgeopt
import edgeopt.deployment.streams
from edgeopt.deployment.methods import play
from edgeopt.errors import CalibrationError, CaptureError, GateError, InputError
from edgeopt.ir import ReferenceRunner


class Counts(nn.Module):
    """Writes to two buffers: one is replaced, one is written into."""

    def __init__(self):
        super().__init__()
        self.linear, self.inner = nn.Linear(4, 4), nn.Module()
        self.register_buffer("hidden", torch.full((1, 4), 0.5))
        self.inner.register_buffer("recent", torch.zeros(1, 3, 4))

    def forward(self, x):
        self.hidden = torch.tanh(self.linear(x) + self.hidden)
        self.inner.recent.copy_(torch.cat([self.inner.recent[:, 1:], self.hidden[:, None]], 1))
        return self.hidden * 2, self.inner.recent.sum(1)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.last = nn.LSTM(6, 16, batch_first=True), nn.Linear(16, 3)

    def forward(self, x, state):
        y, state = self.lstm(x, state)
        return self.last(y), state


class Encode(nn.Module):
    def __init__(self, table):
        super().__init__()
        self.table = table

    def forward(self, x):
        return {"memory": self.table(x), "position": torch.zeros(1, dtype=torch.int64)}


class Step(nn.Module):
    def __init__(self, table):
        super().__init__()
        self.table = table

    def forward(self, y, memory, position):
        return {"score": (self.table(y) * memory).sum(1) + position, "position": position + 1}


ZERO = torch.zeros(1, 1, 16)


def recurrent(model):
    return edgeopt.Method(
        model,
        (torch.zeros(1, 1, 6), (ZERO, ZERO)),
        reads={"state_0": "h", "state_1": "c"},
        writes={"output_1": "h", "output_2": "c"},
    )


def pair(table):
    start = torch.zeros(1, dtype=torch.int64)
    return {
        "encode": edgeopt.Method(
            Encode(table).eval(),
            torch.zeros(1, 8),
            writes={"memory": "memory", "position": "position"},
        ),
        "step": edgeopt.Method(
            Step(table).eval(),
            (torch.zeros(1, 8), torch.zeros(1, 8), start),
            reads={"memory": "memory", "position": "position"},
            writes={"position": "position"},
        ),
    }


def calls(seed, steps=6):
    torch.manual_seed(seed)
    return [("encode", torch.randn(1, 8)), *(("step", torch.randn(1, 8)) for _ in range(steps))]


def deploy(model, **options):
    options = {"backend": "reference", "precision": "float32", **options}
    return edgeopt.deploy(model, "host", checks={"speed": False}, **options)


def test_buffers_that_a_model_writes_to_become_state():
    torch.manual_seed(0)
    model = Counts().eval()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    method = edgeopt.Method(model, torch.zeros(1, 4), keeps=("hidden", "inner.recent"))
    done = deploy(method, calibration_data=[torch.randn(20, 1, 4) for _ in range(2)])
    assert all(torch.equal(before[name], buffer) for name, buffer in model.named_buffers())
    runner = edgeopt.load(done.bundle)
    for x in torch.randn(30, 1, 4):
        for value, expected in zip(runner(x.numpy()), model(x), strict=True):
            np.testing.assert_allclose(value, expected.detach().numpy(), atol=1e-5)
    assert set(runner.states) == {"hidden", "inner.recent"}
    assert done.streams.calls == 40
    assert done.streams.parity_db > 100


def test_reset_goes_back_to_what_the_model_begins_with():
    method = edgeopt.Method(Counts().eval(), torch.zeros(1, 4), keeps=("hidden", "inner.recent"))
    runner = edgeopt.load(deploy(method).bundle)
    x = np.ones((1, 4), np.float32)
    first = runner(x)
    assert not np.array_equal(runner(x)[0], first[0])
    runner.reset()
    np.testing.assert_array_equal(runner(x)[0], first[0])
    assert float(runner.states["hidden"].max()) != 0.5
    runner.reset()
    np.testing.assert_array_equal(runner.states["hidden"], np.full((1, 4), 0.5, np.float32))


def test_a_forgotten_buffer_says_what_to_write():
    with pytest.raises(CaptureError, match="writes to its buffer") as caught:
        edgeopt.deploy(Counts().eval(), "host", example_inputs=torch.zeros(1, 4))
    assert "edgeopt.Method" in str(caught.value)


def test_state_that_is_passed_goes_from_call_to_call():
    torch.manual_seed(1)
    model = Recurrent().eval()
    done = deploy(recurrent(model), calibration_data=[torch.randn(12, 1, 1, 6) for _ in range(3)])
    runner, state = edgeopt.load(done.bundle), (ZERO, ZERO)
    for x in torch.randn(25, 1, 1, 6):
        y, state = model(x, state)
        np.testing.assert_allclose(runner(x.numpy()), y.detach().numpy(), atol=1e-5)


@pytest.mark.slow
def test_the_bundles_runner_keeps_state_over_each_sample(tmp_path):
    model = Recurrent().eval()
    done = deploy(recurrent(model), output=tmp_path / "bundle")
    xs = torch.randn(9, 1, 1, 6)
    np.save(tmp_path / "x.npy", xs.numpy())
    command = [sys.executable, str(done.bundle.path / "run.py"), "--input", str(tmp_path / "x.npy")]
    command += ["--each", "--output", str(tmp_path / "y.npy")]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    runner = edgeopt.load(done.bundle)
    expected = np.stack([runner(x.numpy()) for x in xs])
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), expected)
    info = subprocess.run([*command[:2], "--info"], capture_output=True, text=True, check=False)
    assert "state_0 float32[1, 1, 16] (state h)" in info.stdout


def test_methods_share_state():
    torch.manual_seed(2)
    table = nn.Linear(8, 8)
    done = deploy(pair(table), calibration_data=[calls(seed) for seed in range(3)])
    runner = edgeopt.load(done.bundle)
    assert runner.methods == ("encode", "step")
    (_, x), *steps = calls(50)
    runner(x.numpy())
    memory = table(x)
    for place, (_, y) in enumerate(steps):
        expected = ((table(y) * memory).sum(1) + place).detach().numpy()
        np.testing.assert_allclose(runner.method("step")(y.numpy()), expected, atol=1e-4)


def test_int8_is_judged_over_many_calls():
    torch.manual_seed(3)
    model = Recurrent().eval()
    data = [torch.randn(40, 1, 1, 6) for _ in range(3)]
    done = deploy(recurrent(model), precision="int8", calibration_data=data)
    assert done.precision == "int8"
    assert done.streams.longest == 40
    assert 20 < done.streams.snr_db < 80
    assert "calls in 3 sessions" in str(done)
    with pytest.raises(GateError, match="outside max_drop"):
        deploy(recurrent(model), precision="int8", calibration_data=data, max_drop=1e-9)


def test_a_drift_that_no_single_call_shows_is_refused(monkeypatch):
    """Each call is off by a little that the next one takes over: an integrator."""

    class Sums(nn.Module):
        def forward(self, x, total):
            total = total + x
            return {"y": total * 1.0, "total": total}

    def drifting(session, methods, runners, states):
        for step, (inputs, outputs) in enumerate(play(session, methods, runners, states)):
            is_float = all(isinstance(one, ReferenceRunner) for one in runners.values())
            factor = 1.0 if is_float else 1.0 + 0.01 * step
            yield inputs, tuple(output * np.float32(factor) for output in outputs)

    monkeypatch.setattr(edgeopt.deployment.streams, "play", drifting)
    method = edgeopt.Method(
        Sums().eval(),
        (torch.zeros(1, 4), torch.zeros(1, 4)),
        reads={"total": "total"},
        writes={"total": "total"},
    )
    with pytest.raises(GateError, match="over many calls: 50 calls") as caught:
        deploy(
            method, calibration_data=[torch.rand(50, 1, 4)], backend="tflite", precision="float32"
        )
    assert caught.value.deployment.streams.parity_db < 30


def test_every_precision_of_a_further_method_is_that_of_the_first():
    table = nn.Linear(8, 8)
    for precision in ("float32", "int8-dynamic", "int8"):
        done = deploy(pair(table), precision=precision, calibration_data=[calls(1, 30)] * 2)
        assert {own.precision for own in done.bundle.manifest.programs} == {precision}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"reads": {"state": "h"}}, "forward has no input state"),
        ({"writes": {"output_9": "h"}}, "forward has no output output_9"),
        ({"writes": {"output_0": "h", "output_2": "c"}}, "it is float32"),
        ({"reads": {}}, "no method reads the state h"),
        ({"keeps": ("cache",)}, "the model has no buffer cache"),
    ],
)
def test_state_that_is_none_is_refused(change, match):
    method = recurrent(Recurrent().eval())
    fields = {"reads": method.reads, "writes": method.writes, **change}
    changed = edgeopt.Method(method.model, method.example_inputs, **fields)
    with pytest.raises(InputError, match=match):
        deploy(changed)


def test_calls_that_fit_no_method_are_refused():
    table = nn.Linear(8, 8)
    with pytest.raises(CalibrationError, match="there is no method 'encod'") as caught:
        deploy(pair(table), calibration_data=[[("encod", torch.zeros(1, 8))]])
    assert "session 0, call 0" in str(caught.value)
    with pytest.raises(CalibrationError, match="expected float32 of shape"):
        deploy(pair(table), calibration_data=[[("encode", torch.zeros(1, 9))]])
    with pytest.raises(CalibrationError, match="expected a call, got a Tensor"):
        deploy(pair(table), calibration_data=[[torch.zeros(1, 8)]])


def test_what_methods_cannot_have_is_refused():
    method = recurrent(Recurrent().eval())
    with pytest.raises(InputError, match="compared call by call"):
        deploy(method, evaluate=lambda fn: 1.0)
    with pytest.raises(InputError, match="for one shape"):
        deploy(method, shapes={"batches": (2,)})
    with pytest.raises(InputError, match=r"expected an edgeopt\.Method, got a Linear"):
        deploy({"forward": nn.Linear(2, 2)})
    with pytest.raises(InputError, match="a method is called"):
        deploy({"a b": method})


def test_there_is_no_other_method():
    runner = edgeopt.load(deploy(recurrent(Recurrent().eval())).bundle)
    with pytest.raises(InputError, match="there is no method 'decode'"):
        runner.method("decode")


def test_buffers_of_two_modules_do_not_become_one_state():
    methods = {
        name: edgeopt.Method(Counts().eval(), torch.zeros(1, 4), keeps=("hidden", "inner.recent"))
        for name in ("left", "right")
    }
    with pytest.raises(
        InputError, match="left and right each keep a buffer of their own"
    ) as caught:
        deploy(methods)
    assert 'keeps={"hidden": "right_hidden"}' in str(caught.value)
    names = {"hidden": "right_hidden", "inner.recent": "right_recent"}
    right = edgeopt.Method(methods["right"].model, torch.zeros(1, 4), keeps=names)
    runner = edgeopt.load(deploy({"left": methods["left"], "right": right}).bundle)
    x = torch.ones(1, 4)
    for name in ("left", "right", "left", "right"):
        expected = methods[name].model(x)[0].detach().numpy()
        np.testing.assert_allclose(runner.method(name)(x.numpy())[0], expected, atol=1e-5)


def test_a_state_begins_with_one_value():
    table = nn.Linear(8, 8)
    methods = pair(table)
    other = edgeopt.Method(
        Step(table).eval(),
        (torch.zeros(1, 8), torch.ones(1, 8), torch.zeros(1, dtype=torch.int64)),
        reads={"memory": "memory", "position": "position"},
        writes={"position": "position"},
    )
    with pytest.raises(InputError, match="begins with another value"):
        deploy({**methods, "again": other})


@pytest.mark.parametrize(
    ("module", "keeps", "match"),
    [
        ("output", ("h",), "an output state_h"),
        ("variadic", ("h",), r"forward takes \*x"),
    ],
)
def test_models_that_cannot_keep_are_refused(module, keeps, match):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("h", torch.zeros(1, 4))

        def forward(self, x):
            self.h = self.h + x
            return {"state_h": x, "y": self.h * 2}

    class Variadic(Named):
        def forward(self, *x):
            self.h = self.h + x[0]
            return self.h * 2

    model = (Named if module == "output" else Variadic)().eval()
    with pytest.raises(InputError, match=match):
        deploy(edgeopt.Method(model, torch.zeros(1, 4), keeps=keeps))


def test_sessions_that_are_none_are_refused():
    method = recurrent(Recurrent().eval())
    with pytest.raises(CalibrationError, match="expected a session"):
        deploy(method, calibration_data=[1, 2])
    with pytest.raises(CalibrationError, match=r"inputs of shape \[3, 1, 6\]"):
        deploy(method, calibration_data=[[torch.zeros(3, 1, 6)]])
    with pytest.raises(InputError, match="each method has its own"):
        deploy(method, example_inputs=torch.zeros(1, 1, 6))
    with pytest.raises(InputError, match="a state is called 3"):
        deploy(edgeopt.Method(method.model, method.example_inputs, reads={"state_0": 3}))


def test_what_outputs_mean_is_said_of_the_first_method_only(tmp_path):
    table = nn.Linear(8, 8)
    step = pair(table)["step"]
    methods = {"step": step, "encode": pair(table)["encode"]}
    done = deploy(methods, bundle={"postprocess": edgeopt.Classification(output="score")},
                  output=tmp_path / "bundle")  # fmt: skip
    np.save(tmp_path / "x.npy", np.zeros((1, 8), np.float32))
    command = [sys.executable, str(done.bundle.path / "run.py"), "--input", str(tmp_path / "x.npy")]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    other = subprocess.run(
        [*command, "--method", "encode"], capture_output=True, text=True, check=False
    )
    assert other.returncode == 2, other.stdout
    assert "nothing to do" in other.stderr
    assert "Traceback" not in other.stderr


@pytest.mark.slow
def test_the_command_line_times_the_program_that_is_run(tmp_path):
    """`edgeopt run` of a bundle with state: the answer, and the time of that program."""
    done = deploy(recurrent(Recurrent().eval()), backend="tflite", output=tmp_path / "bundle")
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 6), np.float32))
    code = "from edgeopt.cli.main import run; run()"
    command = [sys.executable, "-c", code, "run", str(done.bundle.path)]
    said = subprocess.run([*command, "--input", str(tmp_path / "x.npy")],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert "output_0" in said.stdout
    assert "output_1" not in said.stdout
