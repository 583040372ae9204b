"""Randomness that a killed run can go on with: one seed an epoch, and the state in between."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import numpy as np
import torch

__all__ = ["random_state", "restore_random_state", "seed_epoch"]

WORDS = 624
"""Length of the Mersenne Twister's state."""


def seed_epoch(seed: int, epoch: int, process: int, loader: Any) -> None:
    """Seeds all generators for one epoch, those that order ``loader``'s data alike everywhere.

    The order of an epoch then depends on seed and epoch alone, however the run came there.
    """
    shared = _mixed(seed, epoch, 0)
    for part in (loader, *(getattr(loader, n, None) for n in ("sampler", "batch_sampler"))):
        for owner in (part, getattr(part, "sampler", None)):
            generator = getattr(owner, "generator", None)
            if isinstance(generator, torch.Generator):
                generator.manual_seed(shared)
    own = _mixed(seed, epoch, process)
    random.seed(own)
    np.random.seed(own % 2**32)  # noqa: NPY002 (what a user's augmentation draws from)
    torch.manual_seed(own)


def random_state() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Returns the state of all generators as tensors and as JSON values."""
    version, words, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002
    tensors = {
        "torch": torch.get_rng_state(),
        "python": torch.tensor(words, dtype=torch.int64),
        "numpy": torch.from_numpy(np.asarray(keys).astype(np.int64)),
    }
    for index in range(torch.cuda.device_count()):
        tensors[f"cuda.{index}"] = torch.cuda.get_rng_state(index)
    plain = {
        "python": [version, gauss],
        "numpy": [int(position), int(has_gauss), float(cached)],
    }
    return tensors, plain


def restore_random_state(tensors: dict[str, torch.Tensor], plain: dict[str, Any]) -> None:
    """Puts all generators into a state that `random_state` returned."""
    version, gauss = plain["python"]
    random.setstate((version, tuple(tensors["python"].tolist()), gauss))
    position, has_gauss, cached = plain["numpy"]
    keys = tensors["numpy"].numpy().astype(np.uint32)[:WORDS]
    np.random.set_state(("MT19937", keys, position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(tensors["torch"])
    for index in range(torch.cuda.device_count()):
        if f"cuda.{index}" in tensors:
            torch.cuda.set_rng_state(tensors[f"cuda.{index}"], index)


def _mixed(*parts: int) -> int:
    digest = hashlib.sha256(",".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:7], "little")
