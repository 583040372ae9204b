"""The same option as it is typed in Python and on the command line."""

from __future__ import annotations

import json
import shlex
from typing import Any

__all__ = ["deploy_option", "quantization_option"]


def deploy_option(name: str, value: str, *, flag: str) -> tuple[str, str]:
    """Returns an argument of `edgeopt.deploy`, and the flag of ``edgeopt deploy``."""
    return f"{name}={value!r}", f"{flag} {shlex.quote(value)}"


def quantization_option(name: str, value: Any) -> tuple[str, str]:
    """Returns one setting of the quantization, in Python and as a flag."""
    setting = shlex.quote(f"{name}={json.dumps(value)}")
    return f"quantization={{{name!r}: {value!r}}}", f"--set {setting}"
