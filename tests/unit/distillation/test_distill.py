"""A student learns from its teacher, a killed run goes on bit for bit, and bad input is named."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.errors import InputError, TrainingError

pytest.importorskip("accelerate")


def network(width, classes=4):
    return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, classes))


@pytest.fixture
def teacher():
    torch.manual_seed(1)
    return network(32).eval()


@pytest.fixture
def student():
    torch.manual_seed(2)
    return network(6)


@pytest.fixture
def data(teacher):
    x = torch.randn(96, 8, generator=torch.Generator().manual_seed(3))
    y = teacher(x).argmax(dim=1)
    held = torch.utils.data.TensorDataset(x, y)
    return torch.utils.data.DataLoader(held, batch_size=16, shuffle=True)


def agreement(student, teacher):
    x = torch.randn(400, 8, generator=torch.Generator().manual_seed(9))
    return float((student(x).argmax(dim=1) == teacher(x).argmax(dim=1)).float().mean())


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_the_student_comes_to_agree_with_its_teacher(student, teacher, data):
    before = {k: v.clone() for k, v in student.state_dict().items()}
    made = edgeopt.distill(
        student,
        teacher,
        data,
        epochs=15,
        learning_rate=0.02,
        task_loss=nn.functional.cross_entropy,
        task_weight=0.5,
    )
    assert agreement(made.student, teacher) > max(0.75, agreement(student.eval(), teacher) + 0.2)
    assert not made.student.training
    assert all(torch.equal(v, before[k]) for k, v in student.state_dict().items())
    curves = made.history.curves()
    assert set(curves) == {"logits", "task", "total"}
    assert curves["total"][-1] < 0.7 * curves["total"][0]
    assert made.history.svg().startswith("<svg")
    json.dumps(made.history.to_dict())


@pytest.mark.parametrize("every", [0, 4])
def test_a_killed_run_goes_on_bit_for_bit(student, teacher, data, tmp_path, every):
    options = {"epochs": 3, "seed": 5, "checkpoint_every": every, "features": {"1": "1"}}
    whole = edgeopt.distill(student, teacher, data, checkpoint=tmp_path / "a", **options)

    class Killed(BaseException):
        pass

    def kill(stage, done, total):
        if done > 1.8:
            raise Killed

    with pytest.raises(Killed):
        edgeopt.distill(student, teacher, data, checkpoint=tmp_path / "b", progress=kill, **options)
    torch.manual_seed(77)
    again = edgeopt.distill(student, teacher, data, checkpoint=tmp_path / "b", **options)
    assert same(whole.student, again.student)
    assert whole.history == again.history
    plain = edgeopt.distill(student, teacher, data, **options)
    assert same(whole.student, plain.student)


def test_a_checkpoint_is_safetensors_and_json(student, teacher, data, tmp_path):
    edgeopt.distill(student, teacher, data, epochs=1, checkpoint=tmp_path)
    names = {p.suffix for p in tmp_path.rglob("*") if p.is_file() and p.name != "lock"}
    assert names == {".json", ".safetensors"}
    folder = next(tmp_path.glob("step-*"))
    (folder / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(InputError, match="damaged"):
        edgeopt.distill(student, teacher, data, epochs=1, checkpoint=tmp_path)


def test_a_checkpoint_of_another_run_is_refused(student, teacher, data, tmp_path):
    edgeopt.distill(student, teacher, data, epochs=1, checkpoint=tmp_path)
    with pytest.raises(InputError, match=r"temperature is 4\.0 there, 2\.0 here"):
        edgeopt.distill(student, teacher, data, epochs=1, checkpoint=tmp_path, temperature=2.0)
    edgeopt.distill(
        student, teacher, data, epochs=1, checkpoint=tmp_path, temperature=2.0, resume=False
    )


def test_a_nan_stops_and_keeps_the_last_good_checkpoint(student, teacher, data, tmp_path):
    seen = []

    def loss(output, target):
        seen.append(1)
        return output.sum() * (float("nan") if len(seen) > 8 else 0.0)

    with pytest.raises(TrainingError, match="task is not finite in epoch 1, batch 2") as caught:
        edgeopt.distill(student, teacher, data, epochs=3, task_loss=loss, checkpoint=tmp_path)
    assert caught.value.checkpoint == tmp_path
    assert len(caught.value.history.epochs) == 1
    made = edgeopt.distill(student, teacher, data, epochs=3, checkpoint=tmp_path)
    assert [e.epoch for e in made.history.epochs] == [0, 1, 2]
    assert all(torch.isfinite(p).all() for p in made.student.parameters())


def test_other_classes_are_named(teacher, data):
    with pytest.raises(InputError, match="student tells 3 classes apart, the teacher 4"):
        edgeopt.distill(network(6, classes=3), teacher, data, epochs=1)


def test_features_alone_need_no_common_classes(teacher, data):
    made = edgeopt.distill(
        network(6, classes=3),
        teacher,
        data,
        epochs=4,
        learning_rate=0.02,
        logits_weight=0,
        features={"0": "0"},
    )
    curve = made.history.curves()["features"]
    assert curve[-1] < 0.8 * curve[0]


def test_a_module_that_is_not_there_is_named(student, teacher, data):
    with pytest.raises(InputError, match="the teacher has no module 'layer'"):
        edgeopt.distill(student, teacher, data, epochs=1, features={"0": "layer"})


def test_training_stops_early_and_keeps_the_best(student, teacher, data):
    scores = iter([0.1, 0.9, 0.5, 0.4, 0.3])
    kept = []

    def evaluate(model):
        kept.append({k: v.clone() for k, v in model.state_dict().items()})
        return next(scores)

    made = edgeopt.distill(student, teacher, data, epochs=5, evaluate=evaluate, patience=2)
    assert (made.history.best_epoch, made.history.best_score) == (1, 0.9)
    assert made.history.stopped_early
    assert len(made.history.epochs) == 4
    assert all(torch.equal(v, kept[1][k]) for k, v in made.student.state_dict().items())


def test_pictures_learn_where_the_teacher_looks():
    def looks(width):
        return nn.Sequential(
            nn.Conv2d(1, width, 3, stride=2 if width == 4 else 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(width, 3),
        )

    data = [torch.randn(8, 1, 9, 9) for _ in range(3)]
    made = edgeopt.distill(
        looks(4), looks(8), data, epochs=3, features={"1": "1"}, attention={"1": "1"}
    )
    assert set(made.history.curves()) == {"logits", "features", "attention", "total"}


def test_an_iterator_is_refused(student, teacher, data):
    with pytest.raises(InputError, match="only once"):
        edgeopt.distill(student, teacher, iter(data), epochs=1)


def test_hugging_face_models_and_dict_batches(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    transformers = pytest.importorskip("transformers")

    def bert(width, layers):
        config = transformers.BertConfig(
            vocab_size=50,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=2,
            intermediate_size=2 * width,
            max_position_embeddings=16,
            num_labels=3,
            attn_implementation="eager",
        )
        return transformers.BertForSequenceClassification(config)

    batch = {
        "input_ids": torch.randint(0, 50, (4, 7)),
        "attention_mask": torch.tensor([[1] * 7, [1] * 5 + [0] * 2] * 2),
        "labels": torch.tensor([0, 1, 2, 0]),
        "idx": torch.arange(4),
    }
    made = edgeopt.distill(
        bert(8, 1),
        bert(16, 2),
        [batch],
        epochs=2,
        attention={0: 1},
        features={"bert.encoder.layer.0": "bert.encoder.layer.1"},
    )
    curves = made.history.curves()
    assert set(curves) == {"logits", "features", "attention", "task", "total"}


def test_bf16_computes_in_bfloat16_and_keeps_weights_and_losses_in_float32(student, teacher, data):
    seen, losses = set(), set()
    handle = student[0].register_forward_hook(lambda _m, _x, y: seen.add(y.dtype))

    def task(output, target):
        losses.add(output.dtype)
        return nn.functional.cross_entropy(output, target)

    settings = {"epochs": 12, "learning_rate": 0.02, "features": {"1": "1"}}
    made = edgeopt.distill(
        student, teacher, data, task_loss=task, mixed_precision="bf16", **settings
    )
    handle.remove()
    assert seen == {torch.float32, torch.bfloat16}  # the first run looks at shapes only
    assert losses == {torch.float32}
    assert {p.dtype for p in made.student.parameters()} == {torch.float32}
    assert agreement(made.student, teacher) > agreement(student, teacher) + 0.2


def test_a_precision_that_is_unknown_is_named(student, teacher, data):
    with pytest.raises(InputError, match="fp8"):
        edgeopt.distill(student, teacher, data, epochs=1, mixed_precision="fp8")
