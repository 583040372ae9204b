"""Tables of embeddings that are the weights of a linear too."""

import pytest
import torch
from torch import nn

from edgeopt.ir import ReferenceRunner
from edgeopt.quantization import QuantizationConfig, quantize_program
from edgeopt.quantization.tables import separate_tables

IDS = torch.tensor([[3, 14, 15, 9, 26, 5, 35]])
SAMPLES = [
    torch.randint(0, 50, (1, 7), generator=torch.Generator().manual_seed(n)) for n in range(24)
]


class Tied(nn.Module):
    def __init__(self, norm=False):
        super().__init__()
        self.table, self.norm = nn.Embedding(50, 16), nn.LayerNorm(16) if norm else nn.Identity()
        self.first, self.head = nn.Linear(16, 16), nn.Linear(16, 50, bias=False)
        self.head.weight = self.table.weight

    def forward(self, ids):
        return self.head(nn.functional.gelu(self.first(self.norm(self.table(ids)))))


@pytest.mark.parametrize("precision", ["int8", "int16x8"])
def test_a_table_that_is_a_weight_has_a_grid_for_each(program, precision):
    captured = program(Tied, IDS)
    quantized = quantize_program(captured, SAMPLES, QuantizationConfig(precision=precision))
    table = next(n for n in quantized.graph.nodes if n.name == "embedding").args[0]
    assert quantized.quant[table.name].granularity == "tensor"
    assert quantized.quant["p_head_weight"].granularity == "channel"
    want, got = ReferenceRunner(captured)(IDS.numpy()), ReferenceRunner(quantized)(IDS.numpy())
    assert ((want - got) ** 2).sum() < 1e-2 * (want**2).sum()


def test_a_table_that_is_read_in_float_stays_one(program):
    captured = program(lambda: Tied(norm=True), IDS)
    assert separate_tables(captured) is captured


def test_a_table_alone_stays_as_it_is(program):
    captured = program(lambda: nn.Sequential(nn.Embedding(50, 16), nn.Linear(16, 4)), IDS)
    assert separate_tables(captured) is captured
