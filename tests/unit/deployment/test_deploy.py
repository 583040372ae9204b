"""edgeopt.deploy, from a module to a bundle, with backends that run here."""

from __future__ import annotations

import gc
import json

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

import edgeopt
import edgeopt.deployment.candidate
from edgeopt.errors import (
    CalibrationError,
    CaptureError,
    CompileError,
    DeviceError,
    GateError,
    InputError,
    TargetError,
    UnsupportedError,
)
from edgeopt.registry import find_target
from edgeopt.testing.specimens import specimen

RESIDUAL = specimen("residual")
DATA = RESIDUAL.samples


def deploy(model=None, target="host", **options):
    wanted = {"backend": "reference", "calibration_data": DATA, "example_inputs": DATA[0]}
    wanted = {**wanted, **options}
    return edgeopt.deploy(RESIDUAL.model if model is None else model, target, **wanted)


def labels_of(model):
    return torch.cat([model(*sample).argmax(1) for sample in DATA])


def top1(fn):
    wanted = labels_of(RESIDUAL.model)
    return float((torch.cat([fn(*sample) for sample in DATA]).argmax(1) == wanted).float().mean())


def test_a_deployment_holds_everything(tmp_path):
    done = deploy(output=tmp_path / "bundle", evaluate=top1, max_drop=0.1)
    assert done.precision == "int8"
    assert done.accuracy.kind == "accuracy"
    assert done.accuracy.float_value == 1.0
    assert done.parity.ok
    assert done.bundle.path == tmp_path / "bundle"
    assert done.program.precision == "int8"
    assert done.profile is None
    text = str(done)
    for part in ("accuracy", "parity", "size", str(tmp_path / "bundle")):
        assert part in text
    plain = json.loads(json.dumps(done.to_dict()))
    assert plain["bundle_digest"] == done.bundle.digest
    assert plain["accuracy"]["drop"] <= 0.1


def test_the_bundle_answers_as_the_reference(tmp_path):
    done = deploy(output=tmp_path / "bundle.zip")
    runner = edgeopt.load(tmp_path / "bundle.zip")
    reference = edgeopt.reference(done.program)
    x = DATA[3][0].numpy()
    np.testing.assert_array_equal(runner(x), reference(x))
    assert not done.bundle.golden().differences(runner)


def test_same_inputs_same_bundle(tmp_path):
    first = deploy(output=tmp_path / "first")
    second = deploy(output=tmp_path / "second")
    assert first.bundle.digest == second.bundle.digest


def test_without_output_the_bundle_lives_as_long_as_it_is_held():
    done = deploy()
    path = done.bundle.path
    assert (path / "manifest.json").is_file()
    del done
    gc.collect()
    assert not path.exists()


def test_without_evaluate_it_is_agreement():
    done = deploy()
    assert done.accuracy.kind == "agreement"
    assert "agreement" in str(done)
    assert "accuracy" not in str(done)


def test_without_data_nothing_is_made_up():
    done = deploy(calibration_data=None)
    assert done.precision == "float16"
    assert "no calibration data" in done.plan.precision_reason
    assert done.parity.inputs == "example input"
    assert any("one input only" in warning for warning in done.warnings)


@pytest.mark.parametrize("rows", [1, 4])
def test_an_example_of_several_rows_is_said(rows):
    example = tuple(torch.cat([tensor] * rows) for tensor in DATA[0])
    done = deploy(example_inputs=example, calibration_data=None)
    said = [text for text in done.warnings if f"takes {rows} at once" in text]
    assert len(said) == (rows > 1)


def test_a_program_can_be_deployed_too():
    program = edgeopt.capture(RESIDUAL.model, DATA[0])
    assert deploy(program, example_inputs=None).program.precision == "int8"


def test_a_quantized_program_goes_as_it_is():
    program = edgeopt.quantize(RESIDUAL.model, DATA, example_inputs=DATA[0])
    done = deploy(program, evaluate=top1)
    assert done.program.digest == program.digest
    assert done.precision == "int8"
    assert "quantized already" in done.plan.precision_reason
    assert done.float_size_bytes > 3 * program.size_bytes / 2
    assert done.accuracy.snr_db is not None
    assert done.accuracy.snr_db < 60  # it is compared with float


def test_a_quantized_program_that_loses_too_much_is_not_quantized_again():
    def likeness(fn):
        return -float((fn(*DATA[0]) - RESIDUAL.model(*DATA[0])).detach().abs().max())

    program = edgeopt.quantize(RESIDUAL.model, DATA, example_inputs=DATA[0])
    with pytest.raises(GateError) as caught:
        deploy(program, evaluate=likeness, max_drop=1e-6)
    assert [one.precision for one in caught.value.deployment.attempts] == ["int8"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "float16"}, "int8 already, and not made float16 again"),
        ({"quantization": {"weight_bits": 7}}, "the program is quantized already"),
    ],
)
def test_a_quantized_program_is_not_quantized_otherwise(options, words):
    program = edgeopt.quantize(RESIDUAL.model, DATA, example_inputs=DATA[0])
    with pytest.raises(InputError, match=words):
        deploy(program, **options)


def test_an_exported_program_knows_its_inputs():
    exported = torch.export.export(RESIDUAL.model, DATA[0])
    done = edgeopt.deploy(exported, "host", backend="reference")
    assert done.parity.samples == 1


class Lightning(nn.Linear):
    example_input_array = torch.ones(1, 4)


class HuggingFace(nn.Linear):
    dummy_inputs = {"input": torch.ones(1, 4)}  # noqa: RUF012 (as theirs is)


class Timm(nn.Conv2d):
    default_cfg = {"input_size": (3, 8, 8)}  # noqa: RUF012 (as theirs is)


@pytest.mark.parametrize("model", [Lightning(4, 2), HuggingFace(4, 2), Timm(3, 2, 1)])
def test_models_that_name_their_inputs_need_no_example(model):
    done = edgeopt.deploy(model.eval(), "host", backend="reference")
    assert done.parity.ok


def test_a_model_that_does_not_says_what_to_pass():
    with pytest.raises(InputError, match="example_inputs"):
        edgeopt.deploy(nn.Linear(4, 2).eval(), "host", backend="reference")


def test_several_inputs_and_dict_outputs():
    held = specimen("two_by_two")
    inputs = [{"image": i, "vector": v} for i, v in held.samples]

    def evaluate(fn):
        return -float(sum(fn(image=i, vector=v)["score"].square().mean() for i, v in held.samples))

    done = deploy(
        held.model,
        example_inputs=inputs[0],
        calibration_data=inputs,
        evaluate=evaluate,
        max_drop=0.5,
    )
    assert [o.output for o in done.parity.outputs] == ["score", "joint"]


# --- gates ----------------------------------------------------------------------------------------


def test_a_wrong_artefact_fails_and_leaves_nothing(backends, tmp_path):
    backends("wrong")
    with pytest.raises(GateError, match="does not compute") as caught:
        deploy(backend="wrong", output=tmp_path / "bundle")
    assert not list(tmp_path.glob("*bundle*"))
    held = caught.value.deployment
    assert held.bundle is None
    assert not held.parity.ok
    assert "FAILED" in str(held)


def test_a_slow_artefact_warns_with_a_reason(backends):
    backends("slow")
    done = deploy(backend="slow", precision="int8")
    assert not done.speed.ok
    (warning,) = [w for w in done.warnings if "times the time of float32" in w]
    assert "float" in warning
    assert done.bundle is not None


def test_strict_makes_a_warning_fail(backends):
    backends("slow")
    with pytest.raises(GateError, match="times the time of float32"):
        deploy(backend="slow", precision="int8", checks={"strict": True})


@pytest.mark.parametrize("precision", ["int8", "auto"])
def test_times_are_not_part_of_the_bundle(precision, backends):
    backends("slow")
    done = deploy(backend="slow", precision=precision)
    text = json.dumps(done.bundle.report)
    assert "times the time" not in text
    assert "_ms" not in text


def demanding(score, model=RESIDUAL):
    """An evaluate that gives float 1, and ``score(precision-like error)`` to what differs."""

    return lambda fn: score(largest_error(fn, model))


def largest_error(fn, model):
    with torch.no_grad():
        pairs = [(torch.as_tensor(fn(*s)), model.model(*s)) for s in model.samples]
    return max(float((made - exact).abs().max()) for made, exact in pairs)


def test_auto_takes_the_next_precision_where_int8_loses_too_much():
    # int8 with every harmful value in float is as exact as float32 here, and ruled out
    halved = demanding(lambda error: 1.0 - (error > 5e-4 or 0 < error < 1e-5))
    done = deploy(evaluate=halved, max_drop=0.5)
    assert done.precision == "float16"
    precisions = [attempt.precision for attempt in done.attempts]
    assert precisions[0] == "int8"
    assert precisions[-1] == "float16"
    assert [attempt.taken for attempt in done.attempts][-1]
    assert "attempt 1" in str(done)


def test_auto_first_keeps_the_most_harmful_values_in_float():
    done = deploy(evaluate=demanding(lambda error: 1.0 - (error > 2e-3)), max_drop=0.5)
    assert done.precision == "int8"
    first, *others = done.attempts
    assert "keep_float" not in first.settings
    assert others[0].settings["keep_float"]
    assert [one.taken for one in others] == [False] * (len(others) - 1) + [True]
    assert "values in float" in str(done)


def test_auto_keeps_ever_more_of_them_in_float_until_the_budget_holds():
    signal = specimen("signal")
    done = deploy(
        signal.model,
        example_inputs=signal.example,
        calibration_data=signal.samples,
        evaluate=demanding(lambda error: 1.0 - (error > 5e-4), signal),
        max_drop=0.5,
    )
    assert done.precision == "int8"
    kept = [len(a.settings.get("keep_float", ())) for a in done.attempts]
    assert kept == sorted(set(kept))
    assert len(kept) == 3
    assert done.attempts[-1].taken


def test_auto_rounds_inputs_by_the_row_where_static_int8_loses_too_much_of_linears(monkeypatch):
    # with few values in float, static int8 is as exact as float32 here: it would be taken first
    monkeypatch.setattr("edgeopt.deployment.deploy.dynamic_after", lambda *_: 0)
    linears = specimen("projections")
    dynamic = edgeopt.quantize(
        linears.model, example_inputs=linears.example, precision="int8-dynamic"
    )
    reference = edgeopt.reference(dynamic)
    known = largest_error(lambda x: reference(x.numpy()), linears)
    done = deploy(
        linears.model,
        example_inputs=linears.example,
        calibration_data=linears.samples,
        evaluate=demanding(lambda e: float(e < 1e-6 or abs(e - known) < 1e-6), linears),
        max_drop=0.5,
    )
    assert done.precision == "int8-dynamic"
    assert done.attempts[0].precision == "int8"
    assert done.attempts[-1].taken
    assert done.precision_reason.startswith("int8 loses too much (")
    assert done.precision_reason in str(done)
    assert done.report()["precision_reason"] == done.precision_reason


def test_where_not_even_float32_is_good_enough_it_fails():
    with pytest.raises(GateError, match="even float32") as caught:
        deploy(evaluate=demanding(lambda error: 1.0 - (error > 1e-9)), max_drop=0.5)
    attempts = [a.precision for a in caught.value.deployment.attempts]
    assert attempts[:2] == ["int8", "int8"]
    assert attempts[-2:] == ["float16", "float32"]


def test_int8_asked_for_fails_with_a_diagnosis(tmp_path):
    with pytest.raises(GateError, match="outside max_drop") as caught:
        deploy(
            precision="int8",
            evaluate=demanding(lambda error: 1.0 - (error > 1e-9)),
            max_drop=0.5,
            output=tmp_path / "bundle",
        )
    text = str(caught.value)
    assert "most harmful values" in text
    assert "keep_float" in text
    assert "float16" in text
    assert caught.value.deployment.diagnosis.sensitivities
    assert not (tmp_path / "bundle").exists()


def test_agreement_outside_max_drop_fails_likewise():
    torch.manual_seed(1)
    close = nn.Sequential(nn.Flatten(), nn.Linear(12, 400)).eval()
    close[1].weight.data = close[1].weight.data[:1] + 1e-4 * torch.randn(400, 12)
    close[1].bias.data.zero_()
    data = [torch.randn(1, 12) for _ in range(30)]
    with pytest.raises(GateError, match="same class as float"):
        deploy(close, example_inputs=data[0], calibration_data=data, precision="int8", max_drop=0.0)


def test_max_drop_of_what_is_no_score_is_energy():
    held = specimen("attention")
    inputs = {"example_inputs": held.example, "calibration_data": held.samples}
    done = deploy(held.model, **inputs, max_drop=0.1)
    assert done.accuracy.fidelity[0].measure == "error"
    assert 0 < done.accuracy.drop < 0.1
    assert "of the energy" in str(done)
    with pytest.raises(GateError, match="outside max_drop 1e-09"):
        deploy(held.model, **inputs, precision="int8", max_drop=1e-9)


def test_calibration_on_zeros_is_warned_of():
    zeros = [(torch.zeros_like(x),) for (x,) in DATA]
    try:
        warnings = deploy(calibration_data=zeros, precision="int8").warnings
    except GateError as error:
        warnings = error.deployment.warnings
    assert any("calibration samples are zero" in warning for warning in warnings)


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_a_float_model_that_makes_nan_is_refused(precision):
    class Ratio(nn.Module):
        def forward(self, x):
            return x / x.abs()

    data = [torch.randn(1, 4) for _ in range(8)]
    data[5][0, 2] = 0.0
    options = {"example_inputs": data[0], "calibration_data": data}
    with pytest.raises(CalibrationError, match="makes NaN of 1 of 8 calibration samples"):
        deploy(Ratio().eval(), precision=precision, checks={"samples": 8}, **options)


def test_a_weight_beyond_float16_is_warned_of():
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight[0, 0] = 1e6
    options = {"example_inputs": torch.zeros(1, 4), "calibration_data": None}
    try:
        warnings = deploy(model.eval(), precision="float16", **options).warnings
    except GateError as error:
        warnings = error.deployment.warnings
    assert any("float16 ends at 65504" in warning for warning in warnings)


def test_a_target_pass_that_errs_fails_parity(backends):
    backends("halving")
    with pytest.raises(GateError, match=r"6\.0 dB, asked 30 dB") as raised:
        deploy(backend="halving", precision="float32")
    assert "parity" in raised.value.where


def test_a_target_pass_may_change_numbers_where_it_says_so(backends):
    backends("declaring")
    done = deploy(backend="declaring", precision="float32")
    assert done.parity.declared.snr_db == pytest.approx(26.0, abs=0.1)
    assert "outputs a twentieth smaller: 26.0 dB" in str(done)
    assert done.bundle.golden() is not None


def test_a_target_pass_may_not_change_more_than_it_says(backends):
    backends("understating")
    with pytest.raises(GateError, match=r"shrink: 26\.0 dB left, declared 40\.0"):
        deploy(backend="understating", precision="float32")


def test_what_runs_elsewhere_only_is_said_not_to_be_checked(backends):
    backends("elsewhere")
    done = deploy(backend="elsewhere")
    assert done.parity is None
    assert any("parity was not checked here" in warning for warning in done.warnings)


@pytest.mark.slow
def test_what_runs_elsewhere_only_is_checked_there(backends):
    backends("elsewhere")
    done = deploy(backend="elsewhere", device="local")
    assert done.parity.ok
    assert done.parity.where == "local"
    assert not any("not checked here" in warning for warning in done.warnings)


def test_an_exported_program_is_scored_in_batches_of_any_size():
    exported = torch.export.export(RESIDUAL.model, DATA[0])
    pictures = torch.cat([sample[0] for sample in DATA])
    wanted = labels_of(RESIDUAL.model)

    def evaluate(fn):
        return float((fn(pictures).argmax(1) == wanted).float().mean())

    done = deploy(exported, example_inputs=None, evaluate=evaluate)
    assert done.accuracy.float_value == 1.0


def test_a_toolchain_that_fails_is_named(backends):
    backends("breaking")
    with pytest.raises(CompileError, match="fell over"):
        deploy(backend="breaking")


# --- devices --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_this_machine_verifies_and_measures(tmp_path):
    done = deploy(device="local", output=tmp_path / "bundle")
    assert done.profile.latency_ms > 0
    assert done.profile.digest == done.bundle.digest
    assert done.to_dict()["profile"]["device"] == "local"


@pytest.mark.slow
def test_a_device_that_computes_something_else_fails(monkeypatch, tmp_path):
    from edgeopt import reference_backend

    lying = reference_backend._RUNNER.replace("else [result]", "else [-result]")
    monkeypatch.setattr(reference_backend, "_RUNNER", lying)
    with pytest.raises(GateError, match="the device does not compute"):
        deploy(device="local", output=tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_an_unknown_device_is_refused_before_work():
    with pytest.raises(DeviceError, match="emulated"):
        deploy(device="emuleted")


# --- bad input ------------------------------------------------------------------------------------


class Training(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 4), nn.Dropout(0.5))


class Deciding(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x * 2
        return x


def test_a_module_in_training_mode():
    with pytest.raises(InputError, match=r"model\.eval\(\)"):
        deploy(Training(), example_inputs=torch.ones(1, 4))


def test_control_flow_on_data_names_the_line():
    with pytest.raises(CaptureError, match=r"test_deploy\.py:\d+"):
        deploy(Deciding().eval(), example_inputs=torch.ones(1, 4))


def test_an_operator_that_the_backend_lacks(backends):
    backends("narrow")
    with pytest.raises(UnsupportedError, match="no such kernel"):
        deploy(backend="narrow")


def test_an_unknown_target():
    with pytest.raises(TargetError, match="rpi4"):
        deploy(target="rpi44")


def test_an_unknown_setting():
    with pytest.raises(InputError, match="roundng"):
        deploy(quantization={"roundng": "nearest"})
    with pytest.raises(InputError, match="quantization"):
        deploy(quantization={"rounding": "sideways"})


def test_something_that_is_no_model():
    with pytest.raises(InputError, match="Module"):
        deploy("model.pth")


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.zeros_like(x) * x)


@pytest.mark.filterwarnings("ignore")
def test_a_constant_activation():
    data = [torch.randn(1, 4) for _ in range(20)]
    done = deploy(Constant().eval(), example_inputs=data[0], calibration_data=data)
    assert done.parity.ok


@pytest.mark.parametrize("name", ["unused", "tokens", "residual_batch_2"])
def test_unused_inputs_int_inputs_and_batches(name):
    held = specimen(name)
    done = deploy(held.model, example_inputs=held.example, calibration_data=held.samples)
    assert done.parity.ok
    assert done.program.signature.inputs[0].shape == tuple(held.example[0].shape)


def on_host(*names):
    return msgspec.structs.replace(find_target("host"), backends=names)


@pytest.mark.parametrize("flaw", ["wrong", "breaking"])
def test_auto_falls_to_the_next_backend_and_says_so(backends, tmp_path, flaw):
    backends(flaw, "fine")
    done = deploy(target=on_host(flaw, "fine"), backend="auto", output=tmp_path / "bundle")
    assert done.plan.backend == "fine"
    first, second = done.plan.candidates
    assert (first.backend, first.chosen) == (flaw, False)
    assert "failed" in first.reason
    assert (second.backend, second.chosen) == ("fine", True)
    assert second.reason == f"the first of {flaw}, fine that works"
    assert f"backend {flaw}" in str(done)
    assert [one.backend for one in done.measured] == [flaw, "fine"]
    told = done.bundle.report["plan"]["candidates"]
    assert [one["chosen"] for one in told] == [False, True]
    assert done.bundle.path == tmp_path / "bundle"
    done.bundle.verify()


def test_auto_raises_the_first_fault_where_none_works(backends, tmp_path):
    backends("breaking", "wrong")
    target = on_host("breaking", "wrong")
    with pytest.raises(CompileError, match="fell over") as caught:
        deploy(target=target, backend="auto", output=tmp_path / "bundle")
    assert any("does not compute" in note for note in caught.value.__notes__)
    assert not (tmp_path / "bundle").exists()


def test_auto_does_not_look_for_a_backend_that_loses_less(backends):
    backends("fine", "breaking")
    with pytest.raises(GateError, match="max_drop"):
        deploy(
            target=on_host("fine", "breaking"), backend="auto", precision="int8",
            evaluate=demanding(lambda error: 1.0 - (error > 1e-9)), max_drop=0.5,
        )  # fmt: skip


def test_quantization_runs_once_however_many_backends_are_tried(backends, monkeypatch):
    backends("wrong", "fine")
    calls = []
    real = edgeopt.deployment.candidate.quantized

    def counted(*args, **options):
        calls.append(args)
        return real(*args, **options)

    monkeypatch.setattr("edgeopt.deployment.candidate.quantized", counted)
    done = deploy(target=on_host("wrong", "fine"), backend="auto", precision="int8")
    assert done.plan.backend == "fine"
    assert len(calls) == 1


@pytest.mark.parametrize("backend", ["fine", "auto"])
def test_each_model_is_written_once(backend, backends, monkeypatch):
    from edgeopt.reference_backend import ReferenceBackend

    backends("fine")
    written = []
    lower = ReferenceBackend.lower

    def counted(self, program, *rest):
        written.append(program.precision)
        return lower(self, program, *rest)

    monkeypatch.setattr(ReferenceBackend, "lower", counted)
    done = deploy(backend=backend, precision="int8", checks={"speed": True})
    assert done.speed is not None
    assert sorted(written) == ["float32", "int8"]


def test_a_bundle_is_written_of_one_emission(backends, monkeypatch):
    from edgeopt.reference_backend import ReferenceBackend
    from edgeopt.testing.specimens import float_program

    backends("fine")
    written = []
    lower = ReferenceBackend.lower
    monkeypatch.setattr(
        ReferenceBackend, "lower", lambda *given: written.append(1) or lower(*given)
    )
    edgeopt.compile(float_program("perceptron"), "host", backend="auto")
    assert written == [1]
