"""A transformer that reads text goes to an Intel box through OpenVINO.

    python examples/03_text_encoder.py [folder]

What to look at: two integer inputs passed by name, a dataclass as output, and the plan, which says
what will be done before anything is. The encoder is transformers' own BERT class. It is small and
learns here in seconds to tell whether most words of a "sentence" come from the first half of its
vocabulary.

What to expect: less than half the size, not more speed. Norms, softmax and sums of a transformer stay in float,
and at this size the conversions between them and the integers take what integers gain; a model of
millions of weights gains more (docs/speed.md). A still smaller one (hidden_size=32) gains nothing:
the graph outweighs its weights, int8 is the larger file, and edgeopt says so and deploys float32.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification

import edgeopt

LENGTH, WORDS, STEPS = 23, 100, 150


def sentences(count: int, seed: int) -> dict[str, torch.Tensor]:
    """Returns ``count`` sentences (count, 23), filled up from their own length, with masks and labels."""
    noise = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, WORDS, (count, LENGTH), generator=noise)
    lengths = torch.randint(LENGTH // 2, LENGTH + 1, (count, 1), generator=noise)
    mask = (torch.arange(LENGTH) < lengths).long()
    labels = (2 * ((ids < WORDS // 2) * mask).sum(1) > lengths[:, 0]).long()
    return {"input_ids": ids * mask, "attention_mask": mask, "labels": labels}


def trained() -> BertForSequenceClassification:
    """Returns a small BERT, trained."""
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=256,
        max_position_embeddings=LENGTH,
    )
    model = BertForSequenceClassification(config)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(STEPS):
        optimizer.zero_grad()
        model(**sentences(64, seed=step)).loss.backward()
        optimizer.step()
    return model.eval()


def main(folder: Path) -> None:
    """Trains, plans and deploys."""
    torch.manual_seed(0)
    model, test = trained(), sentences(200, seed=10_000)
    labels = test.pop("labels")
    one = {name: values[:1] for name, values in test.items()}
    many = sentences(100, seed=20_000)
    data = [{n: many[n][i : i + 1] for n in ("input_ids", "attention_mask")} for i in range(100)]

    def accuracy(fn) -> float:  # noqa: ANN001 (called as the model is)
        return float((fn(**test).logits.argmax(1) == labels).float().mean())

    deployment = edgeopt.deploy(
        model,
        "nuc-12",
        backend="openvino",
        example_inputs=one,
        calibration_data=data,
        evaluate=accuracy,
        max_drop=0.02,
        output=folder / "encoder",
        bundle=edgeopt.BundleOptions(overwrite=True),
    )
    print(deployment.plan, "\n")
    print(deployment)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/text_encoder"))
