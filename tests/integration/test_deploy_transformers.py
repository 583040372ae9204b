"""Models of Hugging Face's transformers: dicts in, dataclasses out."""

from __future__ import annotations

import pytest
import torch

import edgeopt

transformers = pytest.importorskip("transformers", reason="NOT CHECKED: pip install transformers")

BERT = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 16,
    "num_labels": 3,
}


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return transformers.BertForSequenceClassification(transformers.BertConfig(**BERT)).eval()


def batches(count, size=1):
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        ids = torch.randint(0, 100, (size, 12), generator=generator)
        ends = torch.randint(3, 13, (size, 1), generator=generator)
        mask = (torch.arange(12) < ends).long()
        yield {"input_ids": ids, "attention_mask": mask}


def test_dicts_in_and_dataclasses_out(classifier):
    data = list(batches(8, size=4))
    wanted = [classifier(**batch).logits.argmax(1) for batch in data]

    def evaluate(fn):
        right = [
            (fn(**b).logits.argmax(1) == w).float().mean()
            for b, w in zip(data, wanted, strict=True)
        ]
        return float(torch.stack(right).mean())

    done = edgeopt.deploy(
        classifier,
        "host",
        backend="reference",
        example_inputs=next(batches(1)),
        calibration_data=data,
        evaluate=evaluate,
        max_drop=0.2,
    )
    assert done.accuracy.float_value == 1.0
    assert done.parity.outputs[0].output == "logits"
    assert [spec.name for spec in done.program.signature.inputs] == ["input_ids", "attention_mask"]


def test_dummy_inputs_are_enough(classifier):
    done = edgeopt.deploy(classifier, "host", backend="reference")
    assert done.precision == "int8-dynamic"
    assert done.parity.ok


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_masks_need_neither_lookups_nor_logic(attention):
    config = transformers.BertConfig(**BERT, attn_implementation=attention)
    model = transformers.BertForSequenceClassification(config).eval()
    one = next(batches(1))
    program = edgeopt.capture(model, one)
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not called & {"aten.index.Tensor", "aten.__and__.Tensor"}
    for batch in batches(4):
        wanted = model(**batch).logits
        given = edgeopt.reference(program)(*(value.numpy() for value in batch.values()))
        assert torch.allclose(torch.from_numpy(given), wanted, atol=1e-5)


@pytest.mark.parametrize("backend", ["tflite", "openvino", "tvm"])
def test_int8_on_real_backends(classifier, backend):
    info = edgeopt.backends().get(backend)
    if info is None or info.load().available() is not None:
        pytest.skip(f"NOT CHECKED: pip install 'edgeopt[{backend}]'")
    data = list(batches(24))
    done = edgeopt.deploy(
        classifier,
        "host",
        backend=backend,
        example_inputs=data[0],
        calibration_data=data,
        checks=edgeopt.Checks(speed=False),
    )
    assert done.precision == "int8"
    assert done.parity.ok
    assert done.accuracy.cosine > 0.99
