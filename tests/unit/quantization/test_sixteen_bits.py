"""Activations of 16 bits: of a whole program, of some values, and of all but some."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.api import capture
from edgeopt.contracts.storage import INT8, INT16
from edgeopt.ir import ReferenceRunner
from edgeopt.options import Override, QuantizationConfig
from edgeopt.quantization import quantize_program


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1)

    def forward(self, x):
        return self.last(torch.relu(self.first(x))).sigmoid()


DATA = [torch.randn(1, 3, 9, 9, generator=torch.Generator().manual_seed(n)) for n in range(8)]


@pytest.fixture(scope="module")
def program():
    return capture(Net().eval(), DATA[0])


def stored(program, **settings):
    quantized = quantize_program(program, DATA, QuantizationConfig(**settings))
    names = ("x", "relu", "conv2d_1", "sigmoid")
    return quantized, [quantized.quant[name].storage for name in names]


def snr_db(program, quantized):
    pairs = [
        (ReferenceRunner(program)(x.numpy()), ReferenceRunner(quantized)(x.numpy())) for x in DATA
    ]
    noise = sum(float(np.square(a - b).sum()) for a, b in pairs)
    return 10 * np.log10(sum(float(np.square(a).sum()) for a, _ in pairs) / noise)


def test_all_values_have_sixteen_bits_around_zero(program):
    quantized, kinds = stored(program, precision="int16x8")
    assert kinds == [INT16] * 4
    specs = [s for s in quantized.quant.values() if s.storage == INT16]
    assert {(int(s.zero_point[0]), s.q_min, s.q_max) for s in specs} == {(0, -32767, 32767)}
    assert float(quantized.quant["sigmoid"].scale[0]) == 2.0**-15
    assert quantized.quant["p_first_weight"].storage == INT8
    assert snr_db(program, quantized) > snr_db(program, stored(program)[0]) + 6


def test_what_is_meant_for_an_operator_is_meant_for_what_its_kernel_makes(program):
    _, kinds = stored(program, overrides={"first": Override(bits=16)})
    assert kinds == [INT8, INT16, INT8, INT8]


def test_some_values_of_sixteen_bits_keep_eight(program):
    _, kinds = stored(program, precision="int16x8", overrides={"relu": Override(bits=8)})
    assert kinds == [INT16, INT8, INT16, INT16]
