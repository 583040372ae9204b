"""From a float program and data to each precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.errors import CalibrationError, InputError
from edgeopt.ir import ReferenceRunner, capture_module, load_program, ops, save_program
from edgeopt.ir.operators import CONVOLUTIONS
from edgeopt.passes import run_core
from edgeopt.progress import progress_to
from edgeopt.quantization import Override, QuantizationConfig, quantize_program


def snr_db(program, quantized, samples):
    exact, rounded = ReferenceRunner(program), ReferenceRunner(quantized)
    a = np.concatenate([exact(s.numpy()) for s in samples])
    b = np.concatenate([rounded(s.numpy()) for s in samples])
    return 10 * np.log10((a**2).sum() / ((a - b) ** 2).sum())


def test_int8_is_close_and_every_weighted_operator_is_integer(residual, images):
    quantized = quantize_program(residual, images[:16])
    assert quantized.precision == "int8"
    assert snr_db(residual, quantized, images[16:]) > 25
    for node in quantized.graph.nodes:
        if ops.is_weighted(node):
            value, weight, bias = ops.weighted_parts(node)
            assert quantized.quant[value.name].dtype == "int8"
            assert quantized.quant[weight.name].axis == 0
            assert quantized.quant[bias.name].dtype == "int32"


def test_the_default_beats_plain_rounding_on_the_calibration_data(residual, images):
    plain = QuantizationConfig(
        ranges="minmax", equalization="off", bias_correction="off", rounding="nearest"
    )
    naive = snr_db(residual, quantize_program(residual, images[:16], plain), images[:16])
    best = snr_db(residual, quantize_program(residual, images[:16]), images[:16])
    assert best > naive + 0.5


def test_smoothing_helps_a_transformer_with_large_channels(encoder, tokens):
    off = quantize_program(encoder, tokens[:16], QuantizationConfig(smoothing="off"))
    on = quantize_program(encoder, tokens[:16])
    assert snr_db(encoder, on, tokens[16:]) > snr_db(encoder, off, tokens[16:]) + 1


def test_the_same_data_give_the_same_program(residual, images):
    first = quantize_program(residual, images[:4])
    again = quantize_program(residual, images[:4])
    assert first.digest == again.digest


def test_a_quantized_program_survives_its_archive(residual, images, tmp_path):
    quantized = quantize_program(residual, images[:4])
    loaded = load_program(save_program(quantized, tmp_path / "model.edgeopt"))
    assert loaded.digest == quantized.digest
    x = images[5].numpy()
    assert np.array_equal(ReferenceRunner(loaded)(x), ReferenceRunner(quantized)(x))


def test_seven_bit_weights_stay_within_63(residual, images):
    quantized = quantize_program(residual, images[:4], QuantizationConfig(weight_bits=7))
    weights = [k for k, s in quantized.quant.items() if s.axis is not None and s.dtype == "int8"]
    largest = max(
        int(quantized.quant[k].quantize(quantized.constants[k]).abs().max()) for k in weights
    )
    assert largest == 63


def test_dynamic_needs_no_data(residual, images):
    quantized = quantize_program(residual, None, QuantizationConfig(precision="int8-dynamic"))
    assert quantized.precision == "int8-dynamic"
    assert set(quantized.quant) <= set(quantized.constants)
    assert quantized.size_bytes < residual.size_bytes / 2
    assert snr_db(residual, quantized, images) > 30


def test_half_precision_halves_the_size(residual, images):
    quantized = quantize_program(residual, None, QuantizationConfig(precision="float16"))
    assert quantized.size_bytes == residual.size_bytes / 2
    assert snr_db(residual, quantized, images) > 50


class Hidden(nn.Module):
    """Hides one of three numbers, and divides by next to nothing."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf, 7e4]))

    def forward(self, x):
        return x + self.mask, x.abs() / (x.abs() + 1e-12)


def test_half_precision_leaves_infinities_and_numbers_of_the_model_as_they_are():
    """An epsilon that became 0 makes NaN of 0; a row of the largest halves has a softmax."""
    program = run_core(capture_module(Hidden().eval(), (torch.zeros(1, 3),)))
    half = quantize_program(program, None, QuantizationConfig(precision="float16"))
    hidden, ratio = ReferenceRunner(half)(np.zeros((1, 3), np.float32))
    np.testing.assert_array_equal(hidden, [[0.0, -np.inf, 65504.0]])
    np.testing.assert_array_equal(ratio, np.zeros((1, 3)))


def test_static_int8_without_data_is_refused(residual):
    with pytest.raises(CalibrationError, match="none is ever invented"):
        quantize_program(residual)


def test_empty_data_is_refused(residual):
    with pytest.raises(CalibrationError, match="no sample"):
        quantize_program(residual, [])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(residual, images, bad):
    spoiled = images[1].clone()
    spoiled[0, 0, 0, 0] = bad
    with pytest.raises(CalibrationError, match="item 1"):
        quantize_program(residual, [images[0], spoiled])


def test_a_model_that_overflows_is_named(program):
    class Overflow(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)
            nn.init.constant_(self.fc.weight, 1e38)

        def forward(self, x):
            return self.fc(x)

    captured = program(Overflow, torch.zeros(1, 4))
    with pytest.raises(CalibrationError, match="in the float model"):
        quantize_program(captured, [torch.full((1, 4), 100.0)])


@pytest.mark.parametrize("prescribed", [False, True])
@pytest.mark.parametrize("settings", [{}, {"precision": "int16x8"}, {"ranges": "minmax"}])
def test_a_value_that_is_nan_in_one_sample_is_named(program, settings, prescribed):
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            shares = self.first(x).masked_fill(x > 0, -torch.inf).softmax(-1)
            return self.last(shares.tanh() if prescribed else shares + 1)

    captured = program(Masked, -torch.ones(1, 4))
    samples = [-torch.ones(1, 4), torch.ones(1, 4), -torch.ones(1, 4)]
    with pytest.raises(CalibrationError, match="NaN or infinite in the float model"):
        quantize_program(captured, samples, QuantizationConfig(**settings))


def test_what_only_rounding_takes_out_of_the_numbers_is_kept_in_float(program):
    class Angle(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 4)
            nn.init.eye_(self.first.weight)
            nn.init.zeros_(self.first.bias)

        def forward(self, x):
            return self.last(self.first(x).asin())

    samples = [torch.tensor([[-0.35, 0.2, 0.5, 1.0]])]
    captured = program(Angle, samples[0])
    quantized = quantize_program(captured, samples)
    (step,) = [step for step in quantized.history if step.name == "quantize"]
    assert step.effect["weighted_operators"] == 1
    assert "makes asin infinite" in step.effect["float"]["linear"]
    assert np.isfinite(ReferenceRunner(quantized)(samples[0].numpy())).all()
    assert snr_db(captured, quantized, samples) > 35


def test_a_constant_activation_is_exact(program):
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)
            nn.init.zeros_(self.fc.weight)

        def forward(self, x):
            return torch.relu(self.fc(x))

    captured = program(Constant, torch.zeros(1, 4))
    quantized = quantize_program(captured, [torch.randn(1, 4) for _ in range(4)])
    x = np.ones((1, 4), np.float32)
    expected = ReferenceRunner(captured)(x)
    np.testing.assert_allclose(ReferenceRunner(quantized)(x), expected, atol=0.01)


def test_a_module_can_stay_in_float(residual, images):
    config = QuantizationConfig(keep_float=("head",))
    quantized = quantize_program(residual, images[:4], config)
    linear = next(n for n in quantized.graph.nodes if n.target is ops.aten.linear.default)
    assert linear.name not in quantized.quant
    assert linear.args[1].name not in quantized.quant
    others = [n for n in quantized.graph.nodes if n.target in CONVOLUTIONS]
    assert all(n.args[1].name in quantized.quant for n in others)


def test_a_range_can_be_given(residual, images):
    name = residual.input_names[0]
    config = QuantizationConfig(overrides={name: Override(low=-2.0, high=2.0)})
    quantized = quantize_program(residual, images[:4], config)
    assert quantized.quant[name].method == "given"
    assert quantized.quant[name].high == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize(
    "config",
    [
        QuantizationConfig(keep_float=("no_such_*",)),
        QuantizationConfig(overrides={"no_such": Override(ranges="mse")}),
    ],
)
def test_a_pattern_that_matches_nothing_is_refused(residual, images, config):
    with pytest.raises(InputError, match="matches no value and no module"):
        quantize_program(residual, images[:2], config)


def test_batches_and_labels_are_understood(residual, images):
    batch = torch.cat(images[:6])
    quantized = quantize_program(residual, [(batch, torch.arange(6))])
    step = next(s for s in quantized.history if s.name == "quantize")
    assert step.settings["samples"] == 6


def test_progress_is_told(residual, images):
    told = []
    with progress_to(lambda *what: told.append(what)):
        quantize_program(residual, images[:3])
    assert {stage for stage, *_ in told} == {"calibrate", "quantize"}
    assert told[-1][1] == told[-1][2]
