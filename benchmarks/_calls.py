"""Bundles whose calls are timed: one of each kind that a call may cost something at."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from _deployable import PLAIN, deployable
from _micro_models import micro_model
from torch import nn

import edgeopt
from edgeopt.contracts.storage import Precision
from edgeopt.files import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CALLS", "Call", "call_bundle"]

Samples = list[tuple[torch.Tensor, ...]]


@dataclass(frozen=True)
class Call:
    """A network whose call is timed.

    Attributes:
        what: What about it may cost something.
        precision: That it is deployed in.
        make: Returns the model and inputs.
    """

    what: str
    precision: str
    make: Callable[[], tuple[nn.Module, Samples]]


class _Heads(nn.Module):
    """A small detector's shape: one trunk, three outputs."""

    def __init__(self) -> None:
        super().__init__()
        convolutions = (nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU())
        self.trunk = nn.Sequential(*convolutions)
        self.heads = nn.ModuleList(nn.Conv2d(32, width, 1) for width in (4, 20, 1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        shared = self.trunk(x)
        return tuple(head(shared).flatten(2) for head in self.heads)


def _ds_cnn() -> tuple[nn.Module, Samples]:
    found = micro_model("ds-cnn", 8)
    return found.model, found.samples


def _heads() -> tuple[nn.Module, Samples]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return _Heads().eval(), [(torch.randn(1, 3, 96, 96),) for _ in range(4)]


def _deployed(name: str) -> Callable[[], tuple[nn.Module, Samples]]:
    def make() -> tuple[nn.Module, Samples]:
        found = deployable(name, 4)
        return found.model, found.samples

    return make


CALLS = {
    "DS-CNN": Call("a model of 0.06 ms", "int8", _ds_cnn),
    "three heads": Call("three outputs", "int8", _heads),
    "MobileNetV3-large": Call("a picture, NCHW", "int8", _deployed("MobileNetV3-large")),
    "EfficientNet-Lite0": Call("a picture, NCHW", "int8", _deployed("EfficientNet-Lite0")),
    "all-MiniLM-L6-v2": Call("two integer inputs", "int8-dynamic", _deployed("all-MiniLM-L6-v2")),
}
"""Name to what is called."""


def call_bundle(name: str, backend: str, *, fresh: bool = False) -> Path:
    """Returns the folder of the bundle, from the cache where the code that calls it made it before.

    What it computes is of no matter, so it is quantized in the plainest way and not judged.
    """
    call, seen = CALLS[name], hashlib.sha256(f"{name}{backend}".encode())
    root = Path(edgeopt.__file__).parent
    plugin = Path(import_module(f"edgeopt_{backend}").__file__ or "").parent
    for part in (root / "bundles" / "device", plugin / "device"):
        for file in sorted(part.rglob("*.py")):
            seen.update(file.read_bytes())
    path = cache_folder() / "calls" / f"{name}-{backend}-{seen.hexdigest()[:16]}".replace(" ", "-")
    if path.exists() and not fresh:
        return path
    model, samples = call.make()
    edgeopt.deploy(
        model,
        "host",
        example_inputs=samples[0],
        calibration_data=samples,
        backend=backend,
        precision=call.precision,
        quantization=PLAIN if Precision(call.precision).is_integer else None,
        output=path,
        checks=_UNJUDGED,
        bundle=edgeopt.BundleOptions(overwrite=True),
    )
    return path


_UNJUDGED = edgeopt.Checks(speed=False, samples=2, fidelity={"min_snr_db": -100.0})
