"""Which operators a graph that was read may call."""

from __future__ import annotations

import re
from functools import lru_cache

import torch

__all__ = ["check_operator"]

_TARGET = re.compile(r"torch\.ops\.([a-z_]+)\.([A-Za-z0-9_]+)(?:\.([A-Za-z0-9_]+))?")
_NAMESPACES = ("aten", "prims", "quantized_decomposed", "torchvision")
_REGIONS = ("wrap_with_set_grad_enabled", "wrap_with_autocast", "cond")
"""Operators that take a graph: what they do is in the file, and is checked there."""


@lru_cache(4096)
def check_operator(target: str) -> None:
    """Checks that ``target`` is a tensor operator of torch's that has a kernel and touches no file.

    Raises:
        ValueError: It is another callable, or none.
    """
    match = _TARGET.fullmatch(target)
    namespace, name, overload = match.groups() if match else ("", "", None)
    if namespace == "higher_order" and name in _REGIONS and overload is None:
        return
    if namespace not in _NAMESPACES or overload is None or not _is_known(namespace, name, overload):
        raise ValueError(f"it calls {target[:80]!r}")


def _is_known(namespace: str, name: str, overload: str) -> bool:
    """Asks torch's registry of kernels, not the attributes of Python objects."""
    suffix = "" if overload == "default" else overload
    full = f"{namespace}::{name}"
    try:
        torch._C._dispatch_find_schema_or_throw(full, suffix)  # noqa: SLF001 (no public name)
    except RuntimeError:
        return False
    schemas = torch._C._jit_get_schemas_for_operator(full)  # noqa: SLF001 (likewise)
    matches = [schema for schema in schemas if schema.overload_name == suffix]
    return bool(matches) and all(a.name != "filename" for a in matches[0].arguments)
