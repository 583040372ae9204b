"""Where grids go, and which values share one."""

from __future__ import annotations

import torch
from torch import nn

from edgeopt.ir import ops
from edgeopt.ir.reference import Simulation
from edgeopt.options import QuantizationConfig
from edgeopt.quantization.pipeline import quantize_program
from edgeopt.quantization.placement import place_quantizers


def names_of(program, target):
    return [n.name for n in program.graph.nodes if n.target is target]


def test_every_weighted_operator_of_a_convolutional_network_is_integer(residual):
    placement = place_quantizers(residual)
    assert len(placement.weighted_operators) == 5
    float_values = {
        n.name
        for n in residual.graph.nodes
        if n.op == "call_function" and n.name not in placement.values
    }
    inside = {
        n.name for n in residual.graph.nodes if n.op == "call_function" and ops.fused_activation(n)
    }
    assert float_values == inside  # only what a fused activation takes from the kernel


def test_an_add_before_an_activation_rounds_once(residual):
    placement = place_quantizers(residual)
    (add,) = names_of(residual, torch.ops.aten.add.Tensor)
    assert add not in placement.values
    assert next(iter(residual.node(add).users)).name in placement.values


def test_the_residual_stream_of_a_transformer_stays_in_float(program):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(8, 8), nn.Linear(8, 8)
            self.norm = nn.LayerNorm(8)

        def forward(self, x):
            return self.norm(self.one(x) + self.two(x))

    captured = program(Block, torch.zeros(1, 4, 8))
    placement = place_quantizers(captured)
    (add,) = names_of(captured, torch.ops.aten.add.Tensor)
    assert add not in placement.values
    assert len(placement.weighted_operators) == 2


def test_what_leads_to_a_pole_keeps_its_epsilon(program):
    """A row of small numbers beside rows of large ones: its mean of squares is less than a step."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.norm, self.two = nn.Linear(8, 8), nn.RMSNorm(8), nn.Linear(8, 8)
            nn.init.eye_(self.one.weight)
            nn.init.zeros_(self.one.bias)

        def forward(self, x):
            x = self.one(x)
            return self.two(self.norm(x)), self.two(x / (x.abs() + 0.01)), (x * x + 1e-6).log()

    data = [torch.randn(1, 4, 8) * torch.tensor([[100.0], [30.0], [3.0], [0.0]]) for _ in range(8)]
    captured = program(Scaled, data[0])
    placement = place_quantizers(captured)
    assert len(placement.weighted_operators) == 3
    assert not set(names_of(captured, torch.ops.aten.mean.dim)) & set(placement.values)
    for output in Simulation(quantize_program(captured, data)).outputs([data[1]]):
        assert output.isfinite().all()


class ClassToken(nn.Module):
    """The head of a vision transformer: a small token in front of the patches, then a norm."""

    def __init__(self):
        super().__init__()
        self.patches, self.norm, self.head = nn.Conv2d(3, 8, 2, 2), nn.LayerNorm(8), nn.Linear(8, 8)
        self.token = nn.Parameter(0.01 * torch.randn(1, 1, 8))

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.norm(torch.cat([self.token, tokens], 1)))[:, 0]


def test_a_class_token_in_front_of_a_norm_stays_in_float(program):
    captured = program(ClassToken, torch.zeros(1, 3, 8, 8))
    placement = place_quantizers(captured)
    (cat,) = names_of(captured, torch.ops.aten.cat.default)
    assert cat not in placement.values
    assert not placement.constants
    assert len(placement.weighted_operators) == 2


def test_a_small_class_token_survives_quantization(program):
    inputs = torch.randn(32, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    captured = program(ClassToken, inputs[:1])
    quantized = quantize_program(captured, list(inputs.split(1)))
    plain, rounded = Simulation(captured), Simulation(quantized)
    for x in inputs.split(1):
        (wanted,), (got,) = plain.outputs([x]), rounded.outputs([x])
        assert (wanted - got).norm() < 0.05 * wanted.norm()  # was more than half of it


def test_concatenated_values_share_a_grid(program):
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

        def forward(self, x):
            return torch.cat([self.one(x), self.two(x)], 1)

    captured = program(Branches, torch.zeros(1, 3, 4, 4))
    placement = place_quantizers(captured)
    groups = {placement.group[n] for n in placement.values if n != captured.input_names[0]}
    assert len(groups) == 1


def test_a_node_that_is_kept_in_float_has_no_grid(residual):
    linear = names_of(residual, torch.ops.aten.linear.default)[0]
    placement = place_quantizers(residual, keep_float=[linear])
    assert linear not in placement.weighted_operators
    assert linear not in placement.values
    assert len(placement.weighted_operators) == 4


class Words(nn.Module):
    """Word pieces, a norm, and a head; ``tied`` uses the table as the head's weight too."""

    def __init__(self, *, tied):
        super().__init__()
        self.table, self.norm, self.head = nn.Embedding(50, 8), nn.LayerNorm(8), nn.Linear(8, 50)
        if tied:
            self.head.weight = self.table.weight

    def forward(self, ids):
        return self.head(self.norm(self.table(ids)))


def test_a_table_of_embeddings_is_integers_of_the_grid_of_what_is_read(program):
    ids = torch.arange(12).reshape(2, 6)
    quantized = quantize_program(program(lambda: Words(tied=False), ids[:1]), [ids])
    (node,) = [n for n in quantized.graph.nodes if n.target is torch.ops.aten.embedding.default]
    table, read = quantized.quant[node.args[0].name], quantized.quant[node.name]
    assert table.dtype == "int8"
    assert table.same_grid(read)
    held = quantized.constants[node.args[0].name]
    assert torch.equal(table.fake(held), held)
    assert float(held.abs().max()) > 1  # its grid spans the table, not only what was seen


def test_a_table_that_is_a_weight_too_keeps_the_weight_s_grid(program):
    captured = program(lambda: Words(tied=True), torch.zeros(1, 6, dtype=torch.int64))
    placement = place_quantizers(captured)
    (read,) = names_of(captured, torch.ops.aten.embedding.default)
    assert read not in placement.values
    assert len(placement.weighted_operators) == 1


def test_an_embedding_may_be_kept_in_float(program):
    captured = program(lambda: Words(tied=False), torch.zeros(1, 6, dtype=torch.int64))
    (read,) = names_of(captured, torch.ops.aten.embedding.default)
    assert read in place_quantizers(captured).values
    assert read not in place_quantizers(captured, keep_float=[read]).values


def test_weights_of_recurrent_layers_are_stored_row_by_row(program):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.gru, self.head = nn.LSTM(4, 5), nn.GRU(5, 5), nn.Linear(5, 2)

        def forward(self, x):
            return self.head(self.gru(self.lstm(x)[0])[0])

    x = torch.randn(6, 1, 4)
    captured = program(Recurrent, x)
    weights = {n for n in captured.constants if "_weight_" in n}
    assert len(weights) == 4
    assert place_quantizers(captured).rows == weights
    config = QuantizationConfig(keep_float=("gru",))
    for found, kept in (
        (quantize_program(captured, [x]), ""),
        (quantize_program(captured, [x], config), "gru"),
        (quantize_program(captured, None, QuantizationConfig(precision="int8-dynamic")), ""),
    ):
        stored = {n for n in weights if n in found.quant}
        assert stored == {n for n in weights if not kept or kept not in n}
        assert all(
            (found.quant[n].storage.name, found.quant[n].axis) == ("int8", 0) for n in stored
        )
