"""The artefact of the model in ``tiny.c``, as the backend would write it, for each of QEMU's machines."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgeopt.contracts import Artifact, MemoryRegion, Microcontroller, Signature, Target, TensorSpec
from edgeopt.registry import find_target
from edgeopt_micro.board import board_metadata, board_runtime, firmware_files
from edgeopt_micro.build import archive
from edgeopt_micro.core import core_of
from edgeopt_micro.source import native_file

SOURCE = Path(__file__).with_name("tiny.c").read_text()
DIGEST, OTHER_DIGEST = "ab" * 32, "cd" * 32
PAIRS, ARENA_BYTES = 750, 3776

_X = {"dtype": "int8", "model_dtype": "float32", "stored_shape": [1, 2 * PAIRS], "order": [0, 1]}
_HALVES = {**_X, "stored_shape": [1, PAIRS]}
_TOTAL = {"dtype": "int32", "model_dtype": "int32", "stored_shape": [1], "order": [0]}
_GRID = {"low": -128, "high": 127}
_FLAT = {"scale": 0.0, "zero_point": 0, "low": 0, "high": 0}
TENSORS = {
    "inputs": [{**_X, "scale": 0.5, "zero_point": -3, **_GRID}],
    "outputs": [{**_HALVES, "scale": 0.25, "zero_point": 1, **_GRID}, {**_TOTAL, **_FLAT}],
}


@dataclass(frozen=True)
class Core:
    """A core that QEMU has a machine for."""

    emulator: str
    triple: str
    cpu: str
    arch: str = "cortex-m"


CORES = {
    "M0": Core("microbit", "thumb-freestanding-eabi", "cortex_m0"),
    "M3": Core("mps2-an385", "thumb-freestanding-eabi", "cortex_m3"),
    "M4": Core("mps2-an386", "thumb-freestanding-eabihf", "cortex_m4"),
    "M7": Core("mps2-an500", "thumb-freestanding-eabihf", "cortex_m7"),
    "M33": Core("mps2-an505", "thumb-freestanding-eabihf", "cortex_m33"),
    "M55": Core("mps3-an547", "thumb-freestanding-eabihf", "cortex_m55"),
    "RV32": Core("virt", "riscv32-freestanding-none", "generic_rv32+m+c", "riscv32"),
}


def target_of(core: str, *, flash_kb: int = 256, ram_kb: int = 64, **fields: Any) -> Target:
    """Returns a microcontroller with that core."""
    own = CORES[core]
    micro = Microcontroller(
        regions=(
            MemoryRegion("flash", "flash", 0, flash_kb),
            MemoryRegion("SRAM", "ram", 0x20000000, ram_kb),
        ),
        zig_triple=own.triple,
        zig_cpu=own.cpu,
        **{"emulator": own.emulator, **fields},
    )
    like = find_target("generic-cortex-m4f")
    cpu = msgspec.structs.replace(like.cpu, arch=own.arch, model=core)
    return msgspec.structs.replace(
        like, name=f"tiny-{core.lower()}", aliases=(), cpu=cpu, microcontroller=micro
    )


def artifact_of(target: Target, *defines: str, digest: str = DIGEST) -> Artifact:
    """Returns the artefact, its C compiled with ``defines``."""
    assert target.microcontroller is not None
    head = "".join(f"#define {define}\n" for define in (f'TINY_DIGEST "{DIGEST}"', *defines))
    source = {
        "model.c": (head + SOURCE).encode(),
        "edgeopt_model.h": native_file("edgeopt_model.h"),
    }
    return Artifact(
        backend="micro",
        target=target.name,
        precision="int8",
        signature=Signature(
            (TensorSpec("x", (1, 2 * PAIRS), "float32"),),
            (TensorSpec("halves", (1, PAIRS), "float32"), TensorSpec("total", (1,), "int32")),
        ),
        files={
            **{f"src/{name}": content for name, content in source.items()},
            "libmodel.a": _library(tuple(source.items()), core_of(target)),
            **firmware_files(),
        },
        entry="src/model.c",
        metadata={
            "model": "tiny",
            "arena_bytes": ARENA_BYTES,
            **TENSORS,
            **board_metadata(target, target.microcontroller, digest, ARENA_BYTES),
        },
        program_digest=digest,
    )


@cache
def _library(source: tuple[tuple[str, bytes], ...], core: Any) -> bytes:
    return archive(dict(source), core)


def laid_out(artifact: Artifact, folder: Path) -> str:
    """Returns the path of the artefact's entry, its files written below ``folder``."""
    for name, content in artifact.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return str(folder / artifact.entry)


def sample(seed: int = 0) -> tuple[np.ndarray]:
    """Returns an input that lies on its grid."""
    whole = np.random.default_rng(seed).integers(-128, 128, (1, 2 * PAIRS))
    return (((whole + 3) * 0.5).astype(np.float32),)


def expected(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns what the model answers, to the bit."""
    sums = (x / 0.5 - 3).astype(np.int64).reshape(-1, 2).sum(1)
    halves = (((sums >> 1) - 1) * 0.25).astype(np.float32)[None]
    return halves, np.array([sums.sum()], np.int32)


RUNTIME = board_runtime()
