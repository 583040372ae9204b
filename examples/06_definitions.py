"""A transformer reads definitions: a BERT teaches a smaller one, which goes to a Raspberry Pi 4 and here.

    python examples/06_definitions.py [folder] [--quick] [--every N]

What to look at: Hugging Face's own model class, batches that are dicts, sentences of any length
behind an attention mask, and a student that learns the teacher's answers, hidden features and
attention maps. The task: what kind of thing does a definition speak of? WordNet 3.0 (Princeton; its
licence lets anybody use and pass it on) has 82 000 definitions of nouns in 26 fields: "animal",
"food", "feeling" … Needs Debian's package wordnet-base. `--quick` takes every fifth definition, and
smaller networks: it shows the way, and reaches less.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from zlib import crc32

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertForSequenceClassification

import edgeopt

WORDNET = Path("/usr/share/wordnet/data.noun")
MISSING = f"{WORDNET}: the definitions are missing\n  -> sudo apt-get install wordnet-base"
FIELDS = [
    "Tops",
    "act",
    "animal",
    "artifact",
    "attribute",
    "body",
    "cognition",
    "communication",
    "event",
    "feeling",
    "food",
    "group",
    "location",
    "motive",
    "object",
    "person",
    "phenomenon",
    "plant",
    "possession",
    "process",
    "quantity",
    "relation",
    "shape",
    "state",
    "substance",
    "time",
]
FIRST_FIELD = 3
"""WordNet's number of the first of the nouns' fields."""
LENGTH, BATCH = 32, 64

Batch = dict[str, torch.Tensor]


def definitions(every: int = 1) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Returns definitions and their fields: those to learn from, and a tenth that nobody learns from.

    Args:
        every: Takes one in so many.
    """
    if not WORDNET.exists():
        sys.exit(MISSING)
    found: dict[str, int] = {}
    for line in WORDNET.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):  # the licence
            continue
        facts, _, gloss = line.partition(" | ")
        text = gloss.partition('; "')[0].strip()  # without the sentences that show its use
        found.setdefault(text, int(facts.split(maxsplit=2)[1]) - FIRST_FIELD)
    known = [(text, field) for text, field in found.items() if crc32(text.encode()) % every == 0]
    tests = {pair for pair in known if crc32(b"test" + pair[0].encode()) % 10 == 0}
    return [pair for pair in known if pair not in tests], [p for p in known if p in tests]


def word_pieces(texts: list[str], count: int) -> Tokenizer:
    """Returns a tokenizer of ``count`` word pieces, learned from the texts."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106 (no password)
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=count, special_tokens=["[PAD]", "[UNK]", "[CLS]"], show_progress=False
    )
    made.train_from_iterator(texts, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", special_tokens=[("[CLS]", 2)]
    )
    made.enable_truncation(LENGTH)
    made.enable_padding(length=LENGTH)
    return made


def encoded(pairs: list[tuple[str, int]], tokenizer: Tokenizer) -> Batch:
    """Returns all of them as what the model takes: ids and masks (n, 32), labels (n,)."""
    made = tokenizer.encode_batch([text for text, _ in pairs])
    return {
        "input_ids": torch.tensor([one.ids for one in made]),
        "attention_mask": torch.tensor([one.attention_mask for one in made]),
        "labels": torch.tensor([field for _, field in pairs]),
    }


class Batches:
    """The definitions in batches, in another order in each epoch.

    Args:
        held: As `encoded` returns them.
        size: Definitions in a batch.
    """

    def __init__(self, held: Batch, size: int = BATCH) -> None:
        self.held, self.size = held, size

    def __len__(self) -> int:
        return len(self.held["labels"]) // self.size

    def __iter__(self):  # noqa: ANN204
        order = torch.randperm(len(self.held["labels"]))
        for picked in order[: len(self) * self.size].split(self.size):
            yield {name: values[picked] for name, values in self.held.items()}


def encoder(words: int, width: int, layers: int) -> BertForSequenceClassification:
    """Returns a BERT with heads of 32, and random weights."""
    config = BertConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        intermediate_size=4 * width,
        max_position_embeddings=LENGTH,
        num_labels=len(FIELDS),
        attn_implementation="eager",  # the one that gives attention maps away
    )
    return BertForSequenceClassification(config)


def fastest() -> str:
    """Returns bfloat16 where this processor computes in it."""
    told = getattr(torch.cpu, "get_capabilities", dict)()
    return "bf16" if told.get("avx512_bf16") or told.get("amx_bf16") else "no"


def trained(  # noqa: ANN201
    model: torch.nn.Module,
    batches: Batches,
    epochs: int,
    rate: float,
    folder: Path,
    teacher: torch.nn.Module | None = None,
    **distillation,  # noqa: ANN003
):
    """Returns a trained copy; without a teacher only the labels count. A killed run goes on."""
    made = edgeopt.distill(
        model,
        teacher or model,
        batches,
        epochs=epochs,
        logits_weight=1.0 if teacher else 0.0,
        temperature=2.0,
        learning_rate=rate / model.config.hidden_size,  # the narrower, the larger
        warmup=0.1,
        mixed_precision=fastest(),
        checkpoint=folder,
        checkpoint_every=200,
        **distillation,
    )
    return made.student


def accuracy(fn, tests: Batch) -> float:  # noqa: ANN001 (called as the model is)
    """Returns the share of definitions (0 to 1) whose field ``fn`` names."""
    right = 0
    for ids, mask, labels in zip(*(tests[n].split(256) for n in tests), strict=True):
        with torch.no_grad():
            right += int((fn(input_ids=ids, attention_mask=mask).logits.argmax(1) == labels).sum())
    return right / len(tests["labels"])


def kilobytes(model: torch.nn.Module) -> float:
    """Returns the kB of a model's weights."""
    return sum(4 * p.numel() for p in model.parameters()) / 1e3


def main(folder: Path, *, every: int, quick: bool) -> None:
    """Trains, distils and deploys, and prints what each step gave."""
    torch.manual_seed(0)
    words, epochs, teaching, learning = (8000, 3, (128, 2), (64, 1))
    rate = 0.2 if quick else 0.3  # by the width; at more, a small teacher sometimes learns nothing
    if quick:
        every, words, epochs, teaching, learning = (5, 2000, 2, (64, 2), (32, 1))
    lessons, held_out = definitions(every)
    tokenizer = word_pieces([text for text, _ in lessons], words)
    kept = folder / f"training-{words}-{every}"
    kept.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))  # what makes ids of words, on the device too
    train, tests = encoded(lessons, tokenizer), encoded(held_out, tokenizer)
    batches = Batches(train)
    print(f"{len(lessons)} definitions to learn from, {len(held_out)} to judge by", flush=True)
    rows: list[tuple[str, float, float, float]] = []

    def note(what: str, score: float, size: float, since: float) -> None:
        rows.append((what, 100 * score, size, time.perf_counter() - since))
        print(f"  {what}: {100 * score:.1f} %, {size:.0f} kB, {rows[-1][3]:.0f} s", flush=True)

    start = time.perf_counter()
    teacher = trained(encoder(words, *teaching), batches, epochs, rate, kept / "teacher")
    note("teacher, float", accuracy(teacher, tests), kilobytes(teacher), start)

    start = time.perf_counter()
    plain = trained(encoder(words, *learning), batches, epochs, rate, kept / "plain")
    note("student, without a teacher", accuracy(plain, tests), kilobytes(plain), start)

    start = time.perf_counter()
    student = trained(
        encoder(words, *learning),
        batches,
        epochs,
        rate,
        kept / "student",
        teacher,
        features={"bert.encoder": "bert.encoder"},  # what the last layers put out
        features_weight=0.1,
        attention={learning[1] - 1: teaching[1] - 1},
        attention_weight=0.1,
    )
    note("student, distilled", accuracy(student, tests), kilobytes(student), start)

    for target in ("rpi4", "host"):
        start = time.perf_counter()
        done = deployed(student, target, folder / target, train, tests)
        what = f"{done.precision} on {target}, {done.plan.backend}"
        note(what, done.accuracy.value, done.size_bytes / 1e3, start)
        print(done, "\n")

    print(f"\n{'':30}{'accuracy, %':>12}{'kB':>8}{'seconds':>9}")
    for what, score, size, seconds in rows:
        print(f"{what:30}{score:12.1f}{size:8.0f}{seconds:9.0f}")


def deployed(model, target: str, path: Path, train: Batch, tests: Batch):  # noqa: ANN001, ANN201
    """Returns the deployment: quantized after training, checked on held-out definitions."""
    names = ("input_ids", "attention_mask")
    # WordNet lists field by field: the first 128 would all be of one or two, and show too small ranges.
    apart = len(train["labels"]) // 128
    some = [{n: train[n][i : i + 1] for n in names} for i in range(0, 128 * apart, apart)]
    judged = {name: values[:2000] for name, values in tests.items()}
    return edgeopt.deploy(
        model,
        target,
        example_inputs=some[0],
        calibration_data=some,
        evaluate=lambda fn: accuracy(fn, judged),
        precision="int8",
        max_drop=0.01,
        bundle=edgeopt.BundleOptions(labels=FIELDS, overwrite=True),
        output=path,
    )


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", nargs="?", default="out/definitions", type=Path)
    asked.add_argument("--quick", action="store_true", help="a fifth, and smaller networks")
    asked.add_argument("--every", default=1, type=int, help="take one definition in so many")
    given = asked.parse_args()
    main(given.folder, every=given.every, quick=given.quick)
