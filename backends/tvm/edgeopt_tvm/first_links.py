"""What zig needs to link for a machine, made while kernels are compiled: its cache is empty at first.

The C library's start files, the compiler's own functions and the objects of our C sources are the same for every model,
and zig keeps them. The first model would wait for them at its end.
"""

from __future__ import annotations

import hashlib
from importlib import metadata, resources
from typing import TYPE_CHECKING

import tvm

from edgeopt.files import cache_folder
from edgeopt.progress import progress_to, silent
from edgeopt_tvm.executable import Executable
from edgeopt_tvm.kernel_verification import link_trial
from edgeopt_tvm.library import generate
from edgeopt_tvm.linking import link_library, link_runner, zig_target
from edgeopt_tvm.machine import here

if TYPE_CHECKING:
    from pathlib import Path

    from edgeopt_tvm.machine import Machine

__all__ = ["prepare_links"]


def prepare_links(machine: Machine) -> None:
    """Links a model of no kernels as others are linked, once for each machine, zig and version of our sources.

    Raises:
        TargetError: zig has no C library for the machine.
        PluginError: zig is not installed.
        CompileError: It cannot be linked.
    """
    mark = _mark(machine)
    if mark.exists():
        return
    with progress_to(silent):
        parts = generate(Executable(tvm.IRModule({}), (), (), {}), machine)
    link_trial(parts, machine, is_here=machine.arch == here().arch)
    link_runner(link_library(parts, machine), machine)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def _mark(machine: Machine) -> Path:
    digest = hashlib.sha256(f"{zig_target(machine)} {metadata.version('ziglang')}".encode())
    for file in sorted(resources.files("edgeopt_tvm.native").iterdir(), key=lambda f: f.name):
        if file.is_file():
            digest.update(file.read_bytes())
    return cache_folder() / "zig" / "prepared" / digest.hexdigest()
