"""Advice in the language of the command line: what is typed there for what Python calls an option."""

from __future__ import annotations

import re
from functools import cache

from edgeopt.cli.derive import Source, flag_names
from edgeopt.cli.flags import NAMES
from edgeopt.options import DeployOptions

__all__ = ["in_flags"]

_BOTH = re.compile(r"\S+ in Python, (--\S+) in the terminal")
_GROUPED = re.compile(
    r"(?:bundle|checks|calibration|tuning)=\w+\((.*?)\)|\b(?:BundleOptions|Checks|Calibration)\((.*?)\)"
)


def in_flags(text: str) -> str:
    """Returns ``text`` with flags for options: ``--max-drop`` for ``max_drop=``, ``--precision int8`` for
    ``precision='int8'``.

    Args:
        text: An error, a hint or a warning of the Python API.
    """
    text = _BOTH.sub(r"\1", text)
    text = _GROUPED.sub(lambda match: match[1] or match[2] or match[0], text)
    names = _flags()
    every = "|".join(sorted(names, key=len, reverse=True))
    valued = rf"(?<![-\w.])({every})=(?:'([^']*)'|\"([^\"]*)\"|(…|[\w.]+))?"
    text = re.sub(valued, lambda match: _typed(names[match[1]], match), text)
    long = "|".join(name for name in names if "_" in name)
    return re.sub(rf"(?<![-\w./\"'])({long})\b(?![.(])", lambda match: f"--{names[match[1]]}", text)


def _typed(flag: str, match: re.Match[str]) -> str:
    value = match[2] or match[3] or match[4] or ""
    if value in {"True", "False"}:
        return f"--{flag}" if value == "True" else f"--no-{flag}"
    return f"--{flag} {value}".rstrip()


@cache
def _flags() -> dict[str, str]:
    """Returns option to the flag that it has in `deploy`."""
    names = flag_names(Source(DeployOptions, names=NAMES))
    return {name: flag for name, flag in names.items() if name not in {"input", "name"}}
