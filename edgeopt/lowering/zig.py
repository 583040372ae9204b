"""zig's C compiler, which brings every C library and linker along: one way to call it for all backends."""

from __future__ import annotations

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from edgeopt.errors import CompileError, PluginError
from edgeopt.files import cache_folder
from edgeopt.installation import install_command

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run_zig"]

_TIMEOUT_S = 600


def run_zig(words: Sequence[str], folder: Path, where: str) -> None:
    """Runs ``zig words`` in ``folder``: paths within it are relative, and none gets into what is made.

    Args:
        words: Its command line.
        folder: Where it runs.
        where: What is being compiled, for errors.

    Raises:
        PluginError: zig is not installed.
        CompileError: It cannot be run, or fails; with what it says.
    """
    cache = cache_folder() / "zig"
    env = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache)}
    command = [_zig(where), *words]
    try:
        cache.mkdir(parents=True, exist_ok=True)
        process = subprocess.run(
            command,
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompileError(f"zig could not be run: {error}", where=where) from error
    if process.returncode != 0:
        message = process.stderr.strip()[-2000:] or f"status {process.returncode}"
        raise CompileError(f"the model cannot be linked: {message}", where=where)


def _zig(where: str) -> str:
    spec = find_spec("ziglang")
    if spec is None or not spec.submodule_search_locations:
        raise PluginError(
            "the linker zig is not installed", where=where, hint=install_command("micro")
        )
    return os.fspath(Path(spec.submodule_search_locations[0]) / "zig")
