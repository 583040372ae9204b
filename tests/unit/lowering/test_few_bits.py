"""What a backend without kernels for packed weights is given instead, and what its report says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from edgeopt.api import capture
from edgeopt.contracts import SupportReport
from edgeopt.contracts.storage import INT4, INT8
from edgeopt.ir import QuantSpec, ReferenceRunner
from edgeopt.ir.kernel_kind import node_support
from edgeopt.lowering.few_bits import unpack_weights, with_unpacked
from edgeopt.options import QuantizationConfig
from edgeopt.quantization import quantize_program

DATA = [torch.randn(2, 32, generator=torch.Generator().manual_seed(n)) for n in range(4)]


def program_of_four_bits():
    torch.manual_seed(0)
    program = capture(nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 4)).eval(), DATA[0])
    return quantize_program(program, DATA, QuantizationConfig(weight_bits=4))


def test_weights_with_a_step_a_channel_get_eight_bits_and_the_numbers_stay():
    program = program_of_four_bits()
    unpacked, notes = unpack_weights(program, lambda *_: False)
    assert {program.quant[name].storage for name in notes} == {INT4}
    assert {unpacked.quant[name].storage for name in notes} == {INT8}
    assert sorted(notes) == ["p_0_weight", "p_2_weight"]
    x = DATA[0].numpy()
    assert np.array_equal(ReferenceRunner(program)(x), ReferenceRunner(unpacked)(x))


def test_what_a_backend_keeps_stays_packed():
    program = program_of_four_bits()
    unpacked, notes = unpack_weights(program, lambda _, name, __: name == "p_0_weight")
    assert unpacked.quant["p_0_weight"].storage == INT4
    assert list(notes) == ["p_2_weight"]
    assert unpack_weights(program, lambda *_: True)[0] is program


def test_steps_for_groups_become_float():
    program = program_of_four_bits()
    spec = program.quant["p_0_weight"]
    groups = QuantSpec(
        INT4, spec.scale[:, None], spec.zero_point[:, None], 0, 4, spec.method, group=32
    )
    program = replace(program, quant={**program.quant, "p_0_weight": groups})
    unpacked, notes = unpack_weights(program, lambda *_: False)
    assert "p_0_weight" not in unpacked.quant
    assert "float" in notes["p_0_weight"]


def test_the_report_says_so_of_the_operator():
    program = program_of_four_bits()
    unpacked, notes = unpack_weights(program, lambda *_: False)
    nodes = [n for n in unpacked.graph.nodes if n.op == "call_function"]
    report = SupportReport("b", "t", tuple(node_support(unpacked, n) for n in nodes))
    reasons = {n.node: n.reason for n in with_unpacked(report, unpacked, notes).nodes}
    assert reasons["linear"] == "its weight of 4 bits is stored in 8 bits here"
    assert reasons["relu"] == "part of the kernel of linear"
