"""Where in the user's code a node comes from."""

from __future__ import annotations

import re
import sysconfig
from fnmatch import fnmatch
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = [
    "is_standard",
    "is_torch",
    "matches",
    "module_path",
    "operator_name",
    "short_path",
    "shorten_trace",
    "source_line",
]

_FRAME = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')


def operator_name(node: torch.fx.Node) -> str:
    """Returns the operator as ATen calls it, for example ``aten.conv2d.default``."""
    if node.op != "call_function":
        return node.op
    return str(node.target) if hasattr(node.target, "_schema") else node.target.__name__  # type: ignore[union-attr]


def source_line(node: torch.fx.Node) -> str:
    """Returns ``file:line`` of the innermost frame outside torch, empty where unknown."""
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    own = [f for f in frames if not is_torch(f[0]) and not f[0].startswith("<")]
    if not frames:
        return ""
    file, line, _ = (own or frames)[-1]
    return f"{short_path(file)}:{line}"


def module_path(node: torch.fx.Node) -> str:
    """Returns the path of the innermost module that made the node, for example ``fc1``."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [entry[0] for entry in stack.values()]
    return paths[-1].removeprefix("L['self'].") if paths else ""


def matches(node: torch.fx.Node, pattern: str) -> bool:
    """Returns whether a pattern (``*`` and ``?``) is that of a value's name or of its module."""
    path = module_path(node)
    inside = bool(path) and (fnmatch(path, pattern) or fnmatch(path, f"{pattern}.*"))
    return inside or fnmatch(node.name, pattern)


def is_torch(file: str) -> bool:
    """Returns whether ``file`` is part of PyTorch, whether its path was shortened or not."""
    return short_path(file).startswith("torch/")


def is_standard(file: str) -> bool:
    """Returns whether ``file`` is Python's own library, or code that it made of a string."""
    library = file.startswith(sysconfig.get_paths()["stdlib"]) and "/site-packages/" not in file
    return library or file == "<string>"  # a notebook's and a terminal's have other names


def short_path(file: str) -> str:
    """Returns a path without the machine's folders: from the package on, or the bare name."""
    if not PurePath(file).is_absolute():
        return file
    for mark in ("/site-packages/", "/dist-packages/"):
        if mark in file:
            return file.split(mark, 1)[1]
    return PurePath(file).name


def shorten_trace(trace: str) -> str:
    """Returns a stack trace whose files are `short_path`; a second time changes nothing."""
    return re.sub(r'File "([^"]+)"', lambda found: f'File "{short_path(found[1])}"', trace)
