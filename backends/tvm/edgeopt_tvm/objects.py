"""Kernels to object files, each made once: equal ones are kept in the cache, across models and runs.

What is kept of a kernel is known by a digest of its code, of the machine and of TVM's version, and holds a
digest of itself: what is damaged is made anew. The least recently used go when the cache is full.
"""

from __future__ import annotations

import hashlib
import logging
from importlib import metadata
from typing import TYPE_CHECKING, Any

import msgspec
import tvm

from edgeopt.files import cache_folder, replacing
from edgeopt.progress import report_progress
from edgeopt_tvm.codegen import object_files
from edgeopt_tvm.tuning.workload import machine_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgeopt_tvm.machine import Machine

__all__ = ["KernelObject", "code_digest", "kernel_objects"]

_LOG = logging.getLogger(__name__)
_MOST_BYTES = 512 << 20
"""What the cache may hold."""
_KEPT_SHARE = 0.75
"""How full it is left when it was too full."""
_DIGEST_BYTES = hashlib.sha256().digest_size


class KernelObject(msgspec.Struct, frozen=True):
    """The machine code of a kernel.

    Attributes:
        symbol: What it is called there, behind ``__tvm_ffi_``; equal code has the same name.
        content: The object file.
    """

    symbol: str
    content: bytes


def kernel_objects(functions: Mapping[str, Any], machine: Machine) -> dict[str, KernelObject]:
    """Returns the code of kernels, by their names.

    Args:
        functions: Name to PrimFunc, ready for code generation.
        machine: What it shall run on.

    Raises:
        CompileError: TVM failed.
    """
    symbols = {name: f"kernel_{code_digest(f, machine)[:32]}" for name, f in functions.items()}
    codes = {symbol: functions[name] for name, symbol in symbols.items()}
    contents = {symbol: _kept(symbol) for symbol in codes}
    lacking = {symbol: codes[symbol] for symbol in codes if not contents[symbol]}
    done, total = len(codes) - len(lacking), len(codes) + 1
    for symbol, content in object_files(lacking, machine) if lacking else ():
        contents[symbol] = content
        _keep(symbol, content)
        done += 1
        report_progress("kernels", done, total)
    if lacking:
        _make_room(_folder(), _MOST_BYTES)
    report_progress("kernels", total, total)
    return {name: KernelObject(symbol, contents[symbol]) for name, symbol in symbols.items()}


def code_digest(function: Any, machine: Machine) -> str:
    """Returns what the code of ``function`` on ``machine`` is known by."""
    parts = (machine_text(machine), metadata.version("apache-tvm"), tvm.ir.save_json(function))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _folder() -> Path:
    return cache_folder() / "tvm-kernels"


def _place(symbol: str) -> Path:
    digest = symbol.removeprefix("kernel_")
    return _folder() / digest[:2] / digest[2:]


def _kept(symbol: str) -> bytes:
    """Returns the object file that is kept, nothing where none is, or a damaged one."""
    path = _place(symbol)
    try:
        entry = path.read_bytes()
        path.touch()
    except OSError:
        return b""
    content = entry[_DIGEST_BYTES:]
    return content if entry[:_DIGEST_BYTES] == _seal(symbol, content) else b""


def _keep(symbol: str, content: bytes) -> None:
    try:
        with replacing(_place(symbol), sync=False) as new:
            new.write_bytes(_seal(symbol, content) + content)
    except OSError as error:  # it is made anew the next time
        _LOG.debug("the code of a kernel cannot be kept: %s", error)


def _seal(symbol: str, content: bytes) -> bytes:
    return hashlib.sha256(symbol.encode() + b"\n" + content).digest()


def _make_room(folder: Path, most: int) -> None:
    """Removes the least recently used, where there is more than ``most`` bytes."""
    try:
        states = [(path, path.stat()) for path in folder.glob("*/*")]
        left = sum(state.st_size for _, state in states)
        if left <= most:
            return
        for path, state in sorted(states, key=lambda entry: entry[1].st_mtime):
            if left <= most * _KEPT_SHARE:
                return
            path.unlink(missing_ok=True)
            left -= state.st_size
    except OSError as error:  # another process removes them too
        _LOG.debug("kernels in the cache cannot be removed: %s", error)
