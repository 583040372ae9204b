"""Residual streams stay real numbers in static int8, beside linears that read and write them on integers."""

import pytest
import torch
from torch import nn

from edgeopt.ir import ReferenceRunner, gives_real_sums, kernel_kind
from edgeopt.quantization.placement import place_quantizers
from edgeopt.quantization.streams import separate_streams, sums_of_streams
from edgeopt.testing.specimens import float_program, program_of, specimen

aten = torch.ops.aten


def int8(name="encoder", **settings):
    return program_of(name, "int8", **settings)


def named(program, target):
    return [n for n in program.graph.nodes if n.target is target]


def snr_db(program, model, samples):
    runner = ReferenceRunner(program)
    with torch.no_grad():
        exact = [model(*sample) for sample in samples]
    made = [torch.as_tensor(runner(*(t.numpy() for t in sample))) for sample in samples]
    noise = sum(float((a - b).square().sum()) for a, b in zip(exact, made, strict=True))
    return float(10 * torch.log10(sum(a.square().sum() for a in exact) / noise))


def test_what_a_norm_gives_to_a_sum_is_not_rounded():
    program = int8()
    for norm in named(program, aten.layer_norm.default)[:2]:
        assert norm.name not in program.quant
        readers = {user.target for user in norm.users}
        assert aten.add.Tensor in readers
        assert aten.linear.default not in readers


def test_what_only_linears_read_gets_no_alias():
    assert separate_streams(float_program("attention")) is float_program("attention")


def test_a_separated_stream_is_the_same_function():
    program = float_program("encoder")
    separate = separate_streams(program)
    assert separate.digest != program.digest
    (sample,) = specimen("encoder").samples[0]
    expected, got = (ReferenceRunner(p)(sample.numpy()) for p in (program, separate))
    assert (expected == got).all()


def test_an_outlier_behind_a_norm_is_scaled_by_a_product_of_its_own():
    program = int8()
    norm = named(program, aten.layer_norm.default)[1]
    product = next(user for user in norm.users if user.target is aten.mul.Tensor)
    factors = program.constants[product.args[1].name]
    assert factors.argmin() == 3, "the channel whose weight is 40"
    assert program.quant[product.name].is_activation


def test_smoothing_beside_a_stream_can_be_switched_off():
    assert not named(int8(smoothing="off"), aten.mul.Tensor)


@pytest.mark.parametrize("name", ["encoder", "attention"])
def test_sums_that_a_stream_reads_stay_real(name):
    program = int8(name, real_sums="streams")
    real = [n for n in program.graph.nodes if gives_real_sums(program, n)]
    assert real
    for node in real:
        assert node.name not in program.quant
        kind = kernel_kind(program, node)
        assert (kind.kind, bool(kind.reason)) == ("integer", True)
    assert not [n for n in int8(name).graph.nodes if gives_real_sums(int8(name), n)]


def test_functions_read_real_sums_only_where_asked_for():
    streams, functions = (int8(real_sums=one) for one in ("streams", "functions"))
    (before,) = [n.args[0].name for n in named(streams, aten.gelu.default)]
    assert before in streams.quant
    assert before not in functions.quant
    assert kernel_kind(functions, functions.node(before)).kind == "integer"
    assert kernel_kind(functions, named(functions, aten.gelu.default)[0]).kind == "float"


def test_real_sums_are_those_of_integers():
    program = int8(real_sums="streams")
    seen = {}
    runner = ReferenceRunner(program, observe=lambda node, value: seen.update({node.name: value}))
    runner(*(t.numpy() for t in specimen("encoder").samples[0]))
    node = next(n for n in program.graph.nodes if gives_real_sums(program, n))
    x, weight, bias = (seen[part.name].double() for part in node.args[:3])
    expected = (x @ weight.T + bias).float()
    assert torch.allclose(seen[node.name], expected, rtol=1e-5, atol=1e-6)


def test_outputs_and_moved_outputs_stay_on_grids():
    program = int8(real_sums="functions")
    assert all(name in program.quant for name in program.output_names)


def test_real_sums_lose_less_than_rounded_ones():
    example = specimen("encoder")
    rounded, real = (
        snr_db(int8(real_sums=one, smoothing="off"), example.model, example.samples)
        for one in ("off", "functions")
    )
    assert real > rounded


class Carried(nn.Module):
    """A block whose second linear gives a stream one channel of a hundred times the size of all others."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.last = nn.LayerNorm(16), nn.LayerNorm(16)
        self.up, self.down, self.head = nn.Linear(16, 32), nn.Linear(32, 16), nn.Linear(16, 4)
        with torch.no_grad():
            self.down.bias[5] = 100.0
            self.last.weight[5] = 0.01

    def forward(self, x):
        x = self.norm(x)
        return self.head(self.last(x + self.down(torch.relu(self.up(x)))))


def carried():
    torch.manual_seed(0)
    model = Carried().eval()
    return model, [(torch.randn(1, 6, 16),) for _ in range(16)]


def quantized(model, samples, **settings):
    import edgeopt

    return edgeopt.quantize(
        model, samples, example_inputs=samples[0], **{"precision": "int8", **settings}
    )


def test_rounded_sums_get_steps_by_channel_where_one_carries_the_stream():
    model, samples = carried()
    program = quantized(model, samples)
    (step,) = [s for s in program.history if s.name == "spread_sums"]
    (name,) = step.effect["values"]
    (product,) = program.node(name).users
    factors = program.constants[product.args[1].name]
    assert product.target is aten.mul.Tensor
    assert factors.argmax() == 5
    assert product.name not in program.quant, "a product in float, behind the rounding"
    assert snr_db(program, model, samples) > 6 + snr_db(
        quantized(model, samples, smoothing="off"), model, samples
    )


def test_real_sums_need_no_steps_by_channel():
    model, samples = carried()
    program = quantized(model, samples, real_sums="streams")
    assert not [s for s in program.history if s.name == "spread_sums"]


def test_only_linears_in_front_of_a_norm_carry_a_stream():
    model, samples = carried()
    program = quantized(model, samples, precision="float32")
    assert len(sums_of_streams(program)) == 1
    assert set(sums_of_streams(program)) < set(place_quantizers(program).weighted_operators)
