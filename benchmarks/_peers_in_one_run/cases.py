"""The models of the table, each with inputs to calibrate on, others to judge by, and what the float model says.

What is written of a model is all that a peer's environment gets: an exported program and arrays.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgeopt.files import replacing

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

__all__ = ["CASES", "Content", "written_case"]

CALIBRATION = 100


@dataclass(frozen=True)
class Content:
    """A model with its inputs.

    Attributes:
        model: In eval mode; it returns one tensor.
        calibration: One array an input, its first axis the samples, of which each is a batch of one.
        checks: Others, likewise.
        measure: What is measured of the outputs, a name of `accuracy.MEASURES`.
        labels: What is right, one a check; None where nobody knows.
        transformer: Whether peers' documentation for transformers applies.
    """

    model: nn.Module
    calibration: tuple[np.ndarray, ...]
    checks: tuple[np.ndarray, ...]
    measure: str
    labels: np.ndarray | None = None
    transformer: bool = False


def written_case(name: str, folder: Path) -> Path:
    """Returns the folder with the case called ``name``, below ``folder``; made where it is missing."""
    place = folder / name
    if place.exists():
        return place
    content = CASES[name]()
    place.parent.mkdir(parents=True, exist_ok=True)
    with replacing(place) as draft:
        draft.mkdir()
        _write(content, draft)
    return place


def _write(content: Content, folder: Path) -> None:
    example = tuple(torch.from_numpy(array[:1]) for array in content.calibration)
    rows = zip(*content.checks, strict=True)
    samples = [tuple(torch.from_numpy(x[None]) for x in row) for row in rows]
    with torch.no_grad():  # first run, then exported: detectors keep anchors of their first call
        reference = np.concatenate([content.model(*sample).numpy() for sample in samples])
        torch.export.save(torch.export.export(content.model, example), folder / "model.pt2")
    np.savez(folder / "calibration.npz", *content.calibration)
    np.savez(folder / "checks.npz", *content.checks)
    np.save(folder / "reference.npy", reference)
    if content.labels is not None:
        np.save(folder / "labels.npy", content.labels)
    weights = sum(p.numel() for p in content.model.parameters())
    facts = {
        "transformer": content.transformer,
        "measure": content.measure,
        "calibration": len(content.calibration[0]),
        "checks": len(content.checks[0]),
        "parameters": weights,
    }
    (folder / "case.json").write_text(json.dumps(facts))


def _keywords() -> Content:
    from _peers_in_one_run.keywords import features, trained  # noqa: PLC0415 (speaks many words)

    calibration, _ = features(CALIBRATION, learnt=True)
    checks, labels = features(1000, learnt=False)
    return Content(trained(), (calibration,), (checks,), "classes", labels)


def _lite0() -> Content:
    from _lite0 import lite0  # noqa: PLC0415 (needs optional packages)
    from photographs import calibration_set, held_out_set  # noqa: PLC0415

    return Content(lite0(), (calibration_set(CALIBRATION),), (held_out_set(200),), "classes")


def _taught(name: str, make: Callable[[], nn.Module]) -> Content:
    """Returns a model that learnt which photograph a picture is cut from, at a lower resolution."""
    from _peers_in_one_run.taught import taught  # noqa: PLC0415

    model, calibration, checks = taught(name, make, CALIBRATION)
    return Content(model, (calibration,), (checks,), "classes")


def _mobilenetv3() -> Content:
    from _mobilenetv3 import MobileNetV3  # noqa: PLC0415

    return _taught("MobileNetV3-large", lambda: MobileNetV3(large=True))


def _resnet18() -> Content:
    from _deployable import transformers_model  # noqa: PLC0415 (slow)

    sizes = {"embedding_size": 64, "hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2]}
    settings = {**sizes, "layer_type": "basic", "num_labels": 1000}
    make = transformers_model("ResNetForImageClassification", "ResNetConfig", **settings)
    return _taught("ResNet-18", make)


def _yolo() -> Content:
    """Returns uitag's detector of elements of user interfaces: calibrated on the left of two screenshots."""
    from _any_model.packages import make_importable  # noqa: PLC0415

    make_importable()
    from _peers_in_one_run.screenshots import crops, detector  # noqa: PLC0415

    model, plain = detector()
    return Content(model, crops(CALIBRATION, plain, 0), crops(40, plain, 1), "boxes")


def _minilm() -> Content:
    """Returns MiniLM: WordNet's words and what they mean, 64 tokens; other rows of the file calibrate."""
    example = _example("12_sentence_search")
    model, tokenizer = example.encoder()
    tokenizer.enable_truncation(64)
    count = 200
    words, meanings = example.words_and_definitions(count)
    others = example.words_and_definitions(97)
    texts = [*others[0][:50], *others[1][:50]]
    calibration = _tokens(example, tokenizer, texts)
    checks = _tokens(example, tokenizer, [*words, *meanings])
    return Content(model, calibration, checks, "neighbours", transformer=True)


def _tokens(example: Any, tokenizer: Any, texts: list[str]) -> tuple[np.ndarray, ...]:
    rows = [tuple(example.tokens(tokenizer, text, 64).values()) for text in texts]
    return tuple(torch.cat(column).numpy() for column in zip(*rows, strict=True))


def _example(name: str) -> Any:
    path = Path(__file__).parents[2] / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location("example", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CASES: dict[str, Callable[[], Content]] = {
    "DS-CNN": _keywords,
    "EfficientNet-Lite0": _lite0,
    "MobileNetV3-large": _mobilenetv3,
    "ResNet-18": _resnet18,
    "YOLO11s": _yolo,
    "all-MiniLM-L6-v2": _minilm,
}
"""Name to what makes the model; a row more of the table is a name more here."""
