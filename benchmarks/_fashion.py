"""Networks that learnt Fashion-MNIST, made once: each lies in the cache as structure and safetensors.

Data, network and training are those of examples/05_fashion_mnist.py. What is in the cache is known by
its name and by the settings below; ``--fresh`` makes it anew.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_model, save_model
from torch.nn import functional

import edgeopt
from edgeopt.files import cache_folder
from edgeopt.ir import load_program, save_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from edgeopt.ir import Program
    from edgeopt.pruning import Pruned

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
example = import_module("05_fashion_mnist")

__all__ = [
    "IMPORTANCES",
    "SETTINGS",
    "batches",
    "example",
    "halved",
    "integer",
    "judged",
    "longer",
    "score",
    "score_program",
    "small",
    "student",
    "teacher",
    "tuned_teacher",
]

IMPORTANCES = ("activation", "l1", "taylor", "l2", "random")

SETTINGS: dict[str, Any] = {
    "teacher": {"widths": (40, 80, 160), "epochs": 3, "learning_rate": 3e-3},
    "half": {"macs": 0.5, "epochs": 1, "learning_rate": 1e-3},
    "small": {"widths": (16, 32, 64), "epochs": 3, "learning_rate": 3e-3},
    "student": {"macs": 0.2, "epochs_between": 1, "epochs": 2, "learning_rate": 2e-3},
    "qat": {"pictures": 20_000, "epochs": 1, "learning_rate": {8: 1e-4, 4: 1e-3}},
}
"""Whatever is trained on all 60 000 pictures, where nothing else is said."""

CALIBRATION = 128
STEPS_BETWEEN = 40
"""Between two checkpoints."""


@cache
def judged() -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the 10 000 test pictures and their classes."""
    return example.clothes("t10k")


@cache
def batches(count: int = 60_000) -> Any:
    """Returns the training pictures in batches; fewer ones are drawn evenly from all."""
    pictures, labels = example.clothes()
    step = len(labels) // count
    return example.Batches(pictures[::step], labels[::step])


def teacher(seed: int) -> nn.Module:
    """Returns the large network."""
    chosen = SETTINGS["teacher"]

    def make() -> nn.Module:
        return example.trained(
            _new("teacher", seed), batches(), epochs=chosen["epochs"], **_how("teacher", seed)
        )

    return _network("teacher", seed, make)


def tuned_teacher(seed: int) -> nn.Module:
    """Returns the large network after learning on as long as `halved` does: what that alone brings."""

    def make() -> nn.Module:
        return example.trained(
            teacher(seed),
            batches(),
            epochs=SETTINGS["half"]["epochs"],
            **_how("half", seed, "whole"),
        )

    return _network("tuned", seed, make, like=lambda: teacher(seed), settings=("teacher", "half"))


def small(seed: int, *, distilled: bool) -> nn.Module:
    """Returns a small network that learnt from scratch: from the teacher, or from labels alone."""

    def make() -> nn.Module:
        return example.trained(
            _new("small", seed),
            batches(),
            teacher(seed) if distilled else None,
            epochs=SETTINGS["small"]["epochs"],
            **_how("small", seed, "distilled" if distilled else "plain"),
        )

    return _network("small", seed, make, "distilled" if distilled else "plain")


def halved(seed: int, importance: str) -> tuple[nn.Module, nn.Module]:
    """Returns the teacher with half its MACs: as pruned, and after learning labels again."""
    chosen = SETTINGS["half"]
    pictures, labels = batches().pictures[:64], batches().labels[:64]

    def cut() -> Pruned:
        return edgeopt.prune(
            teacher(seed),
            pictures[:1],
            macs=chosen["macs"],
            importance=importance,
            calibration_data=list(zip(pictures.split(1), labels.split(1), strict=True)),
            loss=lambda model, item: functional.cross_entropy(model(item[0]), item[1]),
            multiple=8,
            seed=seed,
        )

    def learnt() -> Pruned:
        pruned = cut()
        module = example.trained(
            pruned.module, batches(), epochs=chosen["epochs"], **_how("half", seed, importance)
        )
        return replace(pruned, module=module)

    return (
        _pruned("half", seed, cut, f"{importance}-as-cut"),
        _pruned("half", seed, learnt, importance),
    )


def student(seed: int) -> nn.Module:
    """Returns the teacher pruned in two steps to a quarter of its MACs, learning from what it was."""
    chosen = SETTINGS["student"]

    def make() -> Pruned:
        pruned = example.smaller(
            teacher(seed),
            batches(),
            macs=chosen["macs"],
            epochs=chosen["epochs_between"],
            folder=_run("smaller", seed, ""),
        )
        module = example.trained(
            pruned.module,
            batches(),
            teacher(seed),
            epochs=chosen["epochs"],
            **_how("student", seed),
        )
        return replace(pruned, module=module)

    return _pruned("student", seed, make)


def longer(seed: int) -> nn.Module:
    """Returns the student, in float, after learning as long as `integer` trains it at 8 bits."""
    chosen = SETTINGS["qat"]

    def make() -> nn.Module:
        return example.trained(
            student(seed),
            batches(chosen["pictures"]),
            epochs=chosen["epochs"],
            learning_rate=chosen["learning_rate"][8],
            warmup=0.0,
            seed=seed,
        )

    return _network(
        "longer",
        seed,
        make,
        like=lambda: student(seed),
        settings=("teacher", "student", "qat"),
    )


def integer(
    seed: int, bits: int, *, trained: bool, of: Callable[[int], nn.Module] = student
) -> Program:
    """Returns the student in integers: rounded, or trained on its grid."""
    chosen = SETTINGS["qat"]
    pictures = batches().pictures[:CALIBRATION]
    common = {"example_inputs": pictures[:1], "calibration_data": pictures.split(1)}

    def make() -> Program:
        model, settings = of(seed), {"weight_bits": bits}
        if not trained:
            return edgeopt.quantize(
                model, common["calibration_data"], example_inputs=pictures[:1], **settings
            )
        return edgeopt.train_quantized(
            model,
            batches(chosen["pictures"]),
            functional.cross_entropy,
            epochs=chosen["epochs"],
            learning_rate=chosen["learning_rate"][bits],
            quantization=settings,
            seed=seed,
            checkpoint=_run("qat", seed, str(bits)),
            checkpoint_every=STEPS_BETWEEN,
            **common,
        )

    path = _place(f"{'qat' if trained else 'ptq'}-{of.__name__}", seed, str(bits), "qat", "student")
    path = path.with_name(f"{path.name}.zip")
    if "--fresh" in sys.argv or not path.exists():
        _say(path.stem)
        save_program(make(), path)
    return load_program(path)


def score(model: nn.Module) -> float:
    """Returns the percentage of the test pictures whose class the network names."""
    return 100 * example.accuracy(model.eval(), *judged())


def score_program(program: Program, backend: str = "tflite") -> float:
    """Returns the same for what is deployed, run by its runtime."""
    runner = edgeopt.load(edgeopt.compile(program, "host", backend=backend))
    pictures, labels = judged()
    found = np.concatenate([runner(x) for x in pictures.numpy()[:, None]])
    return 100 * float((found.argmax(1) == labels.numpy()).mean())


def _new(what: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return example.Network(SETTINGS[what]["widths"])


def _how(what: str, seed: int, kind: str = "") -> dict[str, Any]:
    return {
        "learning_rate": SETTINGS[what]["learning_rate"],
        "seed": seed,
        "checkpoint": _run(what, seed, kind),
        "checkpoint_every": STEPS_BETWEEN,
    }


def _run(what: str, seed: int, kind: str) -> Path:
    """Returns where a run keeps its checkpoints; a run that was stopped goes on from there."""
    folder = _place(f"run-{what}", seed, kind, *SETTINGS)
    if "--fresh" in sys.argv:
        rmtree(folder, ignore_errors=True)
    return folder


def _network(
    what: str,
    seed: int,
    make: Callable[[], nn.Module],
    kind: str = "",
    like: Callable[[], nn.Module] | None = None,
    settings: tuple[str, ...] = (),
) -> nn.Module:
    settings = settings or ("teacher", what)
    path = _place(what, seed, kind, *settings)
    path = path.with_name(f"{path.name}.safetensors")
    if "--fresh" in sys.argv or not path.exists():
        _say(path.stem)
        save_model(make(), str(path))
    model = like() if like is not None else _new(what, seed)
    load_model(model, str(path))
    return model.eval()


def _pruned(what: str, seed: int, make: Callable[[], Pruned], kind: str = "") -> nn.Module:
    path = _place(what, seed, kind, "teacher", what)
    if "--fresh" in sys.argv or not path.exists():
        _say(path.name)
        made = make().save(path.with_name(f"{path.name}.new"))
        rmtree(path, ignore_errors=True)
        Path(made).rename(path)
    return edgeopt.load_pruned(path, lambda: _new("teacher", seed))


def _place(what: str, seed: int, kind: str, *settings: str) -> Path:
    held = json.dumps({name: SETTINGS[name] for name in settings}, sort_keys=True)
    digest = sha256(held.encode()).hexdigest()[:8]
    folder = cache_folder() / "fashion"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "-".join(filter(None, (what, kind, f"seed{seed}", digest)))


def _say(what: str) -> None:
    print(f"  making {what} …", file=sys.stderr, flush=True)
