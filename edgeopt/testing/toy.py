"""A bundle that needs no toolchain: its model multiplies, its runtime is numpy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edgeopt.contracts import Artifact, DeviceRuntime, Signature, Target, TensorSpec, Wheel
from edgeopt.contracts.target import Cpu, Os

if TYPE_CHECKING:
    from edgeopt.bundles import GoldenSamples

__all__ = [
    "REPLAY_RUNTIME",
    "TOY_RUNTIME",
    "replay_artifact",
    "toy_artifact",
    "toy_golden",
    "toy_runtime",
    "toy_target",
]

TOY_RUNTIME = '''\
"""Multiplies by the number in the model file."""

import json

import numpy as np


class Model:
    def __init__(self, path, metadata, threads):
        with open(path) as stream:
            self.factor = np.float32(json.load(stream)["factor"])
        self.outputs = metadata["outputs"]
        self.threads = threads

    def __call__(self, x, *others):
        return [x * self.factor, x.sum(keepdims=True)][: self.outputs]

    def facts(self):
        return {"name": "toy", "version": "1.0", "threads": self.threads}
'''


def toy_target(name: str = "toy-board") -> Target:
    """Returns the descriptor of a device that does not exist."""
    cpu = Cpu("x86_64", "Toy", 2, ("sse2",), "generic", "x86_64-linux-gnu", 128)
    system = Os("Toy Linux 1", "2.31", "3.11")
    return Target(name, "Toy Board", "none", cpu, system, 1024, ("toy",))


def toy_artifact(
    *, factor: float = 2.0, inputs: int = 1, outputs: int = 1, target: str = "toy-board"
) -> Artifact:
    """Returns an artefact for `toy_runtime`: ``y0 = factor * x0``, ``y1`` the sum of ``x0``."""
    specs = tuple(TensorSpec(f"x{i}", (1, 4), "float32") for i in range(inputs))
    output_specs = (TensorSpec("y0", (1, 4), "float32"), TensorSpec("y1", (1, 1), "float32"))
    return Artifact(
        backend="toy",
        target=target,
        precision="float32",
        signature=Signature(specs, output_specs[:outputs]),
        files={
            "model.json": json.dumps({"factor": factor}).encode(),
            "weights/part.bin": bytes(range(256)),
        },
        entry="model.json",
        metadata={"outputs": outputs, "scale": 0.125},
        program_digest="0" * 64,
        tools={"toy": "1.0"},
        operators={"MUL": 1},
        origins={"MUL": "mul"},
    )


def toy_runtime(*, wheels: tuple[Wheel, ...] = (), source: str = TOY_RUNTIME) -> DeviceRuntime:
    """Returns what the device needs: nothing but numpy, unless ``wheels`` say otherwise."""
    return DeviceRuntime("toy", wheels, source)


def toy_golden(artifact: Artifact, *, samples: int = 2, wrong: float = 0.0) -> GoldenSamples:
    """Returns golden samples of ``factor = 2``, moved by ``wrong``."""
    from edgeopt.bundles import GoldenSamples, Tolerance  # noqa: PLC0415 (keeps imports acyclic)

    noise = np.random.default_rng(7)
    shapes = [spec.shape for spec in artifact.signature.inputs]
    inputs = [[noise.random(shape, np.float32) for shape in shapes] for _ in range(samples)]
    count = len(artifact.signature.outputs)
    outputs = [[x[0] * 2 + np.float32(wrong), x[0].sum(keepdims=True)][:count] for x in inputs]
    return GoldenSamples.of(inputs, outputs, Tolerance(atol=1e-6, min_cosine=0.999))


REPLAY_RUNTIME = '''\
"""Answers with the arrays that lie beside it, whatever it is asked."""

import numpy as np


class Model:
    def __init__(self, path, metadata, threads):
        with np.load(path) as arrays:
            self.outputs = [arrays[name] for name in metadata["outputs"]]

    def __call__(self, *inputs):
        return list(self.outputs)

    def facts(self):
        return {"name": "replay", "version": "1.0", "threads": 0}
'''


def replay_artifact(inputs: dict[str, np.ndarray], outputs: dict[str, np.ndarray]) -> Artifact:
    """Returns an artefact for `REPLAY_RUNTIME`: it takes inputs like these, and gives these outputs."""
    from edgeopt.bundles.npy import write_npz  # noqa: PLC0415 (keeps imports acyclic)

    takes, gives = (
        tuple(TensorSpec(name, array.shape, str(array.dtype)) for name, array in side.items())
        for side in (inputs, outputs)
    )
    whole = toy_artifact()
    return msgspec.structs.replace(
        whole,
        signature=Signature(takes, gives),
        files={"outputs.npz": write_npz(outputs)},
        entry="outputs.npz",
        metadata={"outputs": list(outputs)},
    )
