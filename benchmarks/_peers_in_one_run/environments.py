"""An environment of its own for each peer, made where it is missing."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

__all__ = ["InstallError", "environment", "python_of"]

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements"
CONSTRAINTS = HERE.parents[1] / "constraints.txt"


class InstallError(Exception):
    """A peer cannot be installed here; says what the installer said."""


def environment(name: str | None, folder: Path) -> tuple[Path, dict[str, str]]:
    """Returns the interpreter that has the peer, and the variables that it runs with.

    Args:
        name: Of a file in ``requirements/``; None for edgeopt itself, which is where this program runs.
        folder: Where environments lie.

    Raises:
        InstallError: It cannot be made.
    """
    variables = dict(os.environ)
    if name is None:
        return Path(sys.executable), variables
    variables.pop("PYTHONPATH", None)  # what is installed beside edgeopt is not the peer's
    return python_of(folder / name, REQUIREMENTS / f"{name}.txt"), variables


def python_of(folder: Path, requirements: Path) -> Path:
    """Returns the interpreter of the environment in ``folder``, which has what ``requirements`` asks for."""
    python, stamp = folder / "bin" / "python", folder / ".installed"
    content = requirements.read_bytes() + CONSTRAINTS.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return python
    print(f"  installing what {requirements.name} asks for …", file=sys.stderr)
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(folder)])
    _run(
        [str(python), "-m", "pip", "install", "--quiet", "--no-cache-dir", "-r", str(requirements)]
    )
    stamp.write_text(digest)
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise InstallError(" ".join(errors) or done.stderr.strip()[-300:])
