"""One TOML file to one `Target`, or to an error that names the file, the field and the mistake."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.contracts.target import Target
from edgeopt.errors import TargetError
from edgeopt.registry.rules import broken_rules
from edgeopt.registry.schema import Problem, problems

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["parse_descriptor", "read_descriptor", "read_toml"]


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
    _raise_any(problems(Target, table), file)
    target = msgspec.convert(table, Target)
    _raise_any(broken_rules(target), file)
    return target


def read_toml(path: Path) -> dict[str, Any]:
    """Returns the content of the TOML file at ``path``.

    Raises:
        TargetError: It cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        raise TargetError(what, where=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        what = f"is not valid TOML: {error}"
        raise TargetError(what, where=path.name, hint=f"see {path}") from error


def _raise_any(found: Sequence[Problem], file: str) -> None:
    """Raises one error for all of ``found``; the last one's hint is the error's."""
    if not found:
        return
    lines = []
    for problem in found:
        lines.append(f"{file}: {problem.path}: {problem.what}")
        lines += [f"  -> {problem.hint}"] if problem.hint else []
    hint = found[-1].hint
    where = f"{file}: {found[0].path}"
    text = "\n".join(lines[:-1] if hint else lines)
    raise TargetError(text.removeprefix(f"{where}: "), where=where, hint=hint)
