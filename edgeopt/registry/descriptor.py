"""One TOML file to one `Target`, or to an error that names the file, the field and the mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.boundary import convert
from edgeopt.contracts.target import Target
from edgeopt.errors import TargetError
from edgeopt.registry.descriptor_rules import broken_rules
from edgeopt.registry.schema import problems, raise_any
from edgeopt.registry.toml_file import read_toml

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["parse_descriptor", "read_descriptor"]


def read_descriptor(path: Path) -> Target:
    """Returns the target that the file at ``path`` describes.

    Raises:
        TargetError: It cannot be read, is not TOML, or fields are wrong; all of them are named.
    """
    return parse_descriptor(read_toml(path), file=path.name)


def parse_descriptor(table: dict[str, Any], *, file: str) -> Target:
    """Returns the target that ``table`` describes.

    Args:
        table: The content of a descriptor.
        file: Its name, for errors.

    Raises:
        TargetError: A field is wrong; all wrong fields are named.
    """
    raise_any(problems(Target, table), file, TargetError)
    target = convert(table, Target, where=file, error=TargetError)
    raise_any(broken_rules(target), file, TargetError)
    return target
