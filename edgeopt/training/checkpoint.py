"""Checkpoints of a training run: safetensors and JSON, written whole or not at all.

A folder holds ``latest.json``, which names one subfolder and the digests of its files. The
subfolder is complete, and on the disk, before ``latest.json`` names it, so a run that is killed at any time leaves
the last good checkpoint behind. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from edgeopt.boundary import decode_json, decode_tensors, read_file
from edgeopt.boundary.tensors import MAX_FILE
from edgeopt.errors import InputError
from edgeopt.files import Busy, locked, replacing, sweep, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "VERSION",
    "Checkpoint",
    "hold_folder",
    "load_optimizer",
    "optimizer_state",
    "read_checkpoint",
    "unusable",
    "write_checkpoint",
]

_LOG = logging.getLogger(__name__)

VERSION = 1
POINTER = "latest.json"
PREFIX = "step-"
_STATE = "state.json"

Tensors = dict[str, torch.Tensor]
_HINT = "delete the folder or pass resume=False to begin anew"
_MAX_STATE = 256 << 20


class _Pointer(msgspec.Struct):
    """``latest.json``."""

    version: Any
    folder: str
    sha256: dict[str, str]


@dataclass
class Checkpoint:
    """Everything a run needs to go on.

    Attributes:
        state: Plain values: where the run is, its history, the optimizer's numbers.
        tensors: File name (without ending) to named tensors: ``model``, ``optimizer``, ``random-0``.
    """

    state: dict[str, Any]
    tensors: dict[str, Tensors] = field(default_factory=dict)


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Keeps other runs out of a folder of checkpoints until the block ends.

    Raises:
        InputError: Another run writes its checkpoints there, or the folder cannot be made.
    """
    try:
        with locked(folder / "lock", wait_s=0):
            sweep(folder)  # what killed runs left; this one may write nothing
            yield
    except Busy as error:
        hint = "wait for it, or name another folder"
        what = "another run writes its checkpoints there"
        raise InputError(what, where=str(folder), hint=hint) from error


def write_checkpoint(folder: Path, name: str, checkpoint: Checkpoint) -> None:
    """Writes ``checkpoint`` below ``folder`` and drops the one before it.

    Raises:
        InputError: The system did not let it be written; the one before it is still there.
    """
    sweep(folder)
    try:
        place = _write(folder, name, checkpoint)
        digests = {path.name: _digest(path) for path in sorted(place.iterdir())}
        pointer = {"version": VERSION, "folder": place.name, "sha256": digests}
        write_file(folder / POINTER, json.dumps(pointer, indent=1).encode())
    except (OSError, SafetensorError) as error:
        hint = "free some space, or name another folder"
        what = f"the checkpoint cannot be written: {error}"
        raise InputError(what, where=str(folder), hint=hint) from error
    _LOG.debug("%s holds the last checkpoint", place)
    for old in folder.glob(f"{PREFIX}*"):
        if old != place:
            shutil.rmtree(old, ignore_errors=True)


def _write(folder: Path, name: str, checkpoint: Checkpoint) -> Path:
    """Returns the subfolder that holds it: never the one that ``latest.json`` names until now."""
    for copy in itertools.count():
        place = folder / (f"{PREFIX}{name}-{copy}" if copy else f"{PREFIX}{name}")
        if place.exists():
            continue
        with replacing(place, overwrite=False) as new:
            new.mkdir()
            for key, tensors in checkpoint.tensors.items():
                whole = {n: t.detach().cpu().contiguous().clone() for n, t in tensors.items()}
                save_file(whole, new / f"{key}.safetensors")
            (new / _STATE).write_text(json.dumps(checkpoint.state, sort_keys=True))
        break
    return place


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Returns the last good checkpoint below ``folder``, None where there is none.

    Raises:
        InputError: It is damaged, or of a version that this edgeopt cannot read.
    """
    if not (folder / POINTER).is_file():
        return None
    try:
        content = read_file(folder / POINTER, most=_MAX_STATE)
        pointer = decode_json(content, _Pointer, where=str(folder))
        if pointer.version != VERSION:
            raise unusable(folder, f"is of version {pointer.version!r}, not {VERSION}")
        return _read(folder, folder / Path(pointer.folder).name, pointer.sha256)
    except InputError as error:
        if error.hint == _HINT:
            raise
        raise unusable(folder, f"cannot be read: {error.what}") from error
    except (ValueError, OSError) as error:
        raise unusable(folder, f"cannot be read: {error}") from error


def _read(folder: Path, place: Path, digests: dict[str, str]) -> Checkpoint:
    """Returns what lies at ``place``; what is decoded is what was checked."""
    state: dict[str, Any] = {}
    tensors: dict[str, Tensors] = {}
    for name, digest in digests.items():
        path = place / Path(name).name
        is_tensors = path.suffix == ".safetensors"
        content = read_file(path, most=MAX_FILE if is_tensors else _MAX_STATE)
        if hashlib.sha256(content).hexdigest() != digest:
            raise unusable(folder, f"is damaged: {name} has changed")
        if is_tensors:
            tensors[path.stem] = decode_tensors(content, where=str(path))
        elif path.name == _STATE:
            state = decode_json(content, dict[str, Any], where=str(path), most=_MAX_STATE)
    if _STATE not in digests:
        raise unusable(folder, f"is damaged: it has no {_STATE}")
    return Checkpoint(state, tensors)


def unusable(folder: Path, what: str) -> InputError:
    """Returns the error of a checkpoint that cannot be taken up."""
    return InputError(
        f"the checkpoint {what}",
        where=str(folder),
        hint=_HINT,
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def optimizer_state(optimizer: Any) -> tuple[Tensors, dict[str, Any]]:
    """Returns an optimizer's state as named tensors and as values that JSON holds."""
    state_dict = optimizer.state_dict()
    tensors: Tensors = {}
    plain: dict[str, dict[str, Any]] = {}
    for index, entries in state_dict["state"].items():
        for name, value in entries.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{index}.{name}"] = value
            else:
                plain.setdefault(str(index), {})[name] = value
    state = {"groups": state_dict["param_groups"], "plain": plain}
    try:
        return tensors, json.loads(json.dumps(state))
    except TypeError as error:
        raise InputError(
            f"{type(optimizer).__name__} keeps state that is neither tensor nor number",
            where="optimizer",
            hint="take another optimizer, or train without checkpoint",
        ) from error


def load_optimizer(optimizer: Any, tensors: Tensors, plain: dict[str, Any]) -> None:
    """Puts an optimizer into a state that `optimizer_state` returned."""
    state: dict[int, dict[str, Any]] = {int(i): dict(v) for i, v in plain["plain"].items()}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    groups = [
        {k: tuple(v) if k == "betas" else v for k, v in group.items()} for group in plain["groups"]
    ]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
