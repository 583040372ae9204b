"""What is trained is what runs, and training beats rounding at four bits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.errors import InputError, TrainingError
from edgeopt.ir import ReferenceRunner, load_program, save_program
from edgeopt.qat import QuantizedModule
from edgeopt.testing.specimens import gratings

pytestmark = pytest.mark.slow

pytest.importorskip("accelerate")

loss = nn.functional.cross_entropy
BITS = {"weight_bits": 4}


def pictures(count, seed):
    return gratings(count, seed, noise=1.2)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.mix = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        x = torch.relu(x + self.mix(x))
        return self.head(nn.functional.max_pool2d(x, 2).mean(dim=(2, 3)))


@pytest.fixture(scope="module")
def data():
    held = torch.utils.data.TensorDataset(*pictures(256, 1))
    return torch.utils.data.DataLoader(held, batch_size=64, shuffle=True)


@pytest.fixture(scope="module")
def network(data):
    torch.manual_seed(0)
    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(10):
        for x, y in data:
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def program(network):
    return edgeopt.capture(network, torch.zeros(1, 1, 8, 8))


def run(program, x):
    runner = ReferenceRunner(program)
    return torch.cat([torch.from_numpy(runner(x[i : i + 1].numpy())) for i in range(len(x))])


def accuracy(program, count=400):
    x, y = pictures(count, 2)
    return float((run(program, x).argmax(dim=1) == y).float().mean())


def test_the_module_computes_what_the_program_computes(program, data):
    x, _ = pictures(40, 3)
    for bits in (8, 4):
        quantized = edgeopt.quantize(program, [b[0] for b in data], weight_bits=bits)
        module = QuantizedModule(quantized).eval()
        assert torch.equal(module(x), run(quantized, x))
        assert torch.equal(module(x[:1]), run(quantized, x[:1]))
        assert torch.equal(module(x.clone().requires_grad_()), run(quantized, x))


def test_bounds_that_are_not_on_the_grid_are_computed_alike():
    torch.manual_seed(4)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU6(), nn.Conv2d(4, 4, 3), nn.Hardtanh(-0.7, 0.7)
    )
    with torch.no_grad():
        model[0].weight *= 20
    x, _ = pictures(16, 5)
    quantized = edgeopt.quantize(model.eval(), x.split(1), example_inputs=x[:1])
    assert torch.equal(QuantizedModule(quantized).eval()(x), run(quantized, x))


@pytest.mark.parametrize("ranges", ["learned", "moving", "fixed"])
def test_what_was_trained_is_what_runs(program, data, ranges):
    x, _ = pictures(40, 3)
    scored = []

    def evaluate(fn):
        scored.append(fn(x))
        return float(len(scored))  # the last epoch is the best

    made = edgeopt.train_quantized(
        program, data, loss, epochs=2, quantization=BITS, ranges=ranges, evaluate=evaluate
    )
    assert torch.equal(scored[-1], run(made, x))
    assert torch.equal(QuantizedModule(made).eval()(x), run(made, x))
    assert made.precision == "int8"
    assert [s.name for s in made.history][-1] == "train_quantized"
    weights = [s for s in made.quant.values() if s.axis is not None and s.dtype == "int8"]
    assert all(s.bits == 4 for s in weights)


def test_a_program_made_before_the_grids_are_frozen_is_what_was_scored(program, data):
    x, _ = pictures(40, 3)
    scored = []

    def evaluate(fn):
        scored.append(fn(x))
        return float(-abs(len(scored) - 2))  # the first epoch is the best, not the start

    made = edgeopt.train_quantized(
        program, data, loss, epochs=3, quantization=BITS, evaluate=evaluate, freeze_after=1.0
    )
    assert torch.equal(scored[1], run(made, x))
    assert not torch.equal(scored[1], scored[-1])


def test_where_no_epoch_is_better_the_start_comes_back(program, data, tmp_path):
    start = edgeopt.quantize(program, [b[0] for b in data], weight_bits=4)
    x, _ = pictures(40, 3)
    scored = []

    def evaluate(fn):
        scored.append(fn(x))
        return float(-len(scored))  # it only gets worse

    options = {"epochs": 3, "evaluate": evaluate, "checkpoint": tmp_path, "patience": 2}
    made = edgeopt.train_quantized(start, data, loss, **options)
    assert made.digest == start.digest
    assert torch.equal(scored[0], run(start, x))
    effect = made.history[-1].effect
    assert made.history[-1].name == "train_quantized"
    assert (effect["start_score"], effect["best_epoch"]) == (-1.0, None)
    assert "no epoch scored higher" in effect["kept"]
    assert effect["stopped_early"]
    assert len(effect["epochs"]) == 2
    again = edgeopt.train_quantized(start, data, loss, **options)  # resumes: nothing is left to do
    assert again.digest == start.digest
    assert len(scored) == 3


def spiral(count, seed):
    """Three arms that a small network can only just tell apart."""
    made = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (count,), generator=made)
    r = torch.rand(count, generator=made) * 0.9 + 0.1
    a = 11 * r + y * 2 * torch.pi / 3
    x = torch.stack([r * torch.cos(a), r * torch.sin(a)], dim=1)
    return x + 0.02 * torch.randn(count, 2, generator=made), y


def test_training_beats_rounding_at_three_bits():  # at four, steps of least squares lose one point in all
    x, y = spiral(1024, 1)
    batches = list(zip(x.split(256), y.split(256), strict=True))
    model = nn.Sequential(
        nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 800)
    for _ in range(100):
        for xs, ys in batches:
            optimizer.zero_grad()
            loss(model(xs), ys).backward()
            optimizer.step()
            schedule.step()
    program = edgeopt.capture(model.eval(), torch.zeros(1, 2))
    ptq = edgeopt.quantize(program, [x[:128]], weight_bits=3)
    qat = edgeopt.train_quantized(ptq, batches, loss, epochs=80, learning_rate=0.01)
    seen, wanted = spiral(1000, 2)
    scores = [
        float((QuantizedModule(p).eval()(seen).argmax(dim=1) == wanted).float().mean())
        for p in (ptq, qat)
    ]
    assert scores[1] > scores[0] + 0.03


def test_grids_move_only_where_they_may(program, data):
    start = edgeopt.quantize(program, [b[0] for b in data], weight_bits=4)
    kept = edgeopt.train_quantized(start, data, loss, epochs=1, ranges="fixed")
    moved = edgeopt.train_quantized(start, data, loss, epochs=1)
    values = [n for n, s in start.quant.items() if s.axis is None]
    gone = [n for n in values if not torch.equal(start.quant[n].scale, moved.quant[n].scale)]
    assert gone
    assert all(
        float((kept.quant[n].scale / start.quant[n].scale - 1).abs().max()) < 5e-3 for n in values
    )


def test_a_killed_run_goes_on_bit_for_bit(program, data, tmp_path):
    options = {"epochs": 2, "quantization": BITS, "checkpoint_every": 3, "freeze_after": 0.5}
    whole = edgeopt.train_quantized(program, data, loss, **options)

    class Killed(BaseException):
        pass

    def kill(stage, done, total):
        if stage == "train_quantized" and done > 1.6:
            raise Killed

    with pytest.raises(Killed):
        edgeopt.train_quantized(program, data, loss, checkpoint=tmp_path, progress=kill, **options)
    again = edgeopt.train_quantized(program, data, loss, checkpoint=tmp_path, **options)
    assert again.digest == whole.digest


def test_a_trained_program_is_saved_and_deployed(program, data, tmp_path):
    made = edgeopt.train_quantized(program, data, loss, epochs=1, quantization=BITS)
    save_program(made, tmp_path / "p.zip")
    assert load_program(tmp_path / "p.zip").digest == made.digest


def test_a_transformer_block_trains():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(20, 8)
            self.norm = nn.LayerNorm(8)
            self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)
            self.head = nn.Linear(8, 4)

        def forward(self, tokens):
            x = self.embed(tokens)
            x = x + self.down(nn.functional.gelu(self.up(self.norm(x))))
            return self.head(x.mean(dim=1))

    program = edgeopt.capture(Block().eval(), torch.zeros(1, 5, dtype=torch.int64))
    data = [{"tokens": torch.randint(0, 20, (8, 5)), "labels": torch.randint(0, 4, (8,))}] * 2
    for precision in ("int8", "int8-dynamic"):
        made = edgeopt.train_quantized(
            program,
            data,
            loss,
            epochs=4,
            learning_rate=0.02,
            quantization={"precision": precision},
        )
        curve = [e["losses"]["total"] for e in made.history[-1].effect["epochs"]]
        assert curve[-1] < curve[0]


def test_loss_and_evaluate_see_what_the_model_returns():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return {"logits": self.head(x), "twice": 2 * x}

    x, y = torch.randn(16, 4), torch.randint(0, 3, (16,))
    made = edgeopt.train_quantized(
        Named().eval(),
        [(x, y)],
        lambda out, target: loss(out["logits"], target),
        epochs=1,
        example_inputs=x[:1],
        evaluate=lambda fn: float(fn(x)["logits"].std() + fn(x=x)["twice"].std()),
    )
    assert made.precision == "int8"


def test_a_nan_stops_with_a_clear_error(program, data, tmp_path):
    with pytest.raises(TrainingError, match="loss is not finite in epoch 0, batch 0"):
        edgeopt.train_quantized(
            program,
            data,
            lambda out, y: loss(out, y) * float("nan"),
            epochs=1,
            checkpoint=tmp_path,
        )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mixed_precision": "bf16"}, "bfloat16 cannot hold"),
        ({"ranges": "guessed"}, 'expected one of .*, got "guessed"'),
        ({"freeze_after": 2}, "a number from 0 to 1, got 2"),
        ({"quantization": {"precision": "float16"}}, "has no grid"),
        ({"learning_rat": 1.0}, "learning_rate"),
    ],
)
def test_wrong_options_are_named(program, data, options, words):
    with pytest.raises(InputError, match=words):
        edgeopt.train_quantized(program, data, loss, epochs=1, **options)


def test_weights_of_recurrent_layers_are_trained_as_they_are_stored():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.lstm(x)[0])

    torch.manual_seed(0)
    x = torch.randn(3, 5, 3)
    captured = edgeopt.capture(Recurrent().eval(), x[:1])
    quantized = edgeopt.quantize(captured, [one[None] for one in x])
    module = QuantizedModule(quantized)
    module(x).square().mean().backward()
    assert all(weight.grad is not None for weight in module.weights.values())
    with torch.no_grad():
        for weight in module.weights.values():
            weight.sub_(0.02 * weight.grad.sign())
    trained = module.eval().to_program()
    moved = [
        n
        for n in trained.constants
        if not torch.equal(trained.constants[n], quantized.constants[n])
    ]
    assert sum("lstm" in name for name in moved) == 4
    want = ReferenceRunner(trained)(x[1:2].numpy())
    torch.testing.assert_close(QuantizedModule(trained).eval()(x)[1:2], torch.from_numpy(want))
