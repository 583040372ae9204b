"""All targets: the descriptors of installed packages, those of the user, and this machine.

A package offers descriptors through the entry-point group ``edgeopt.targets``: any name, and as
value a function (or an attribute) that gives the folder of its TOML files. A user's own live in
``~/.config/edgeopt/targets``. A descriptor is validated when it is asked for, so that a broken one
does not stand in the way of the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from itertools import filterfalse
from pathlib import Path
from typing import TYPE_CHECKING

from edgeopt.contracts.target import Target
from edgeopt.errors import TargetError
from edgeopt.files import config_folder, is_shut
from edgeopt.registry.descriptor import read_descriptor
from edgeopt.registry.host import HOST_NAMES, detect_host
from edgeopt.registry.refused import reason_against
from edgeopt.registry.suggest import canonical, did_you_mean
from edgeopt.registry.toml_file import read_toml

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEFAULT_GROUP", "find_target", "targets", "user_folder"]

DEFAULT_GROUP = "edgeopt.targets"
"""The entry-point group in which packages offer folders of descriptors."""


def targets() -> Mapping[str, Target]:
    """Returns every target by its name, in alphabetical order, ``host`` last; loaded on demand.

    Raises:
        TargetError: Two descriptors claim one name or alias; both files are named. Asking the
            mapping for a target whose descriptor is wrong raises too.
    """
    entries = _Index.scan()
    entries.raise_conflicts()
    return _Targets(entries)


def find_target(target: str | Path | Target) -> Target:
    """Returns the target that is meant.

    Args:
        target: A name or an alias (case and punctuation make no difference), ``host`` for this
            machine, the path of a ``.toml`` file, or a target, which is returned as it is.

    Raises:
        TargetError: No target has that name (the nearest are suggested, or why there can be none),
            two claim it, or its descriptor is wrong.
    """
    if isinstance(target, Target):
        return target
    if isinstance(target, Path) or target.endswith(".toml"):
        return read_descriptor(Path(target).expanduser())
    index = _Index.scan()
    key = canonical(target)
    index.raise_conflicts(key)
    if key not in index.by_key:
        raise _unknown(target, index)
    return index.by_key[key][0].load()


def user_folder() -> Path:
    """Returns the folder of the user's own descriptors, whether it exists or not."""
    return config_folder() / "targets"


@dataclass(frozen=True)
class _Entry:
    """A target that can be loaded: its names, the name proper first, and where it comes from."""

    names: tuple[str, ...]
    origin: str
    load: Callable[[], Target]


@dataclass(frozen=True)
class _Index:
    """Entries by the canonical form of each of their names; more than one is a conflict."""

    by_key: dict[str, list[_Entry]]
    entries: tuple[_Entry, ...]

    @classmethod
    def scan(cls) -> _Index:
        files = sorted(_files(), key=lambda entry: entry.names[0])
        entries = (*files, _Entry(HOST_NAMES, "this machine (host is detected)", detect_host))
        by_key: dict[str, list[_Entry]] = {}
        for entry in entries:
            for key in dict.fromkeys(canonical(name) for name in entry.names):
                by_key.setdefault(key, []).append(entry)
        return cls(by_key, entries)

    def spellings(self) -> dict[str, str]:
        """Returns every name and alias, with the name of the target it stands for."""
        return {name: entry.names[0] for entry in self.entries for name in entry.names}

    def raise_conflicts(self, key: str | None = None) -> None:
        """Raises where two entries claim one name; only for ``key``, where that is given."""
        for claimed in self.by_key if key is None else (key,):
            entries = self.by_key.get(claimed, [])
            if len(entries) > 1:
                raise _conflict(claimed, entries)


class _Targets(Mapping[str, Target]):
    def __init__(self, index: _Index) -> None:
        self._by_name = {entry.names[0]: entry for entry in index.entries}

    def __getitem__(self, name: str) -> Target:
        return self._by_name[name].load()

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return f"<targets: {', '.join(self)}>"


def _files() -> Iterator[_Entry]:
    folders = dict.fromkeys(folder.resolve() for folder in (*_plugin_folders(), user_folder()))
    for folder in filterfalse(is_shut, folders):
        for path in sorted(folder.glob("*.toml")):
            yield _Entry(_names(path), str(path), partial(read_descriptor, path))


def _plugin_folders() -> Iterator[Path]:
    for entry in metadata.entry_points(group=DEFAULT_GROUP):
        package = entry.dist.name if entry.dist else entry.value
        try:
            provider = entry.load()
            folder = Path(provider() if callable(provider) else provider)
        except Exception as error:
            what = f"the targets of the package {package} cannot be found: {error!r}"
            hint = f"reinstall {package}, or uninstall it"
            raise TargetError(what, where=f"entry point {entry.name}", hint=hint) from error
        yield folder


def _names(path: Path) -> tuple[str, ...]:
    """Returns a descriptor's name and aliases; its file's name where it cannot be read."""
    try:
        table = read_toml(path)
    except TargetError:
        return (path.stem,)
    name, aliases = table.get("name"), table.get("aliases", ())
    values = [name, *aliases] if isinstance(aliases, list | tuple) else [name]
    names = tuple(one for one in values if isinstance(one, str) and one)
    return names if isinstance(name, str) and name else (path.stem, *names)


def _conflict(key: str, entries: list[_Entry]) -> TargetError:
    name = next(name for name in entries[0].names if canonical(name) == key)
    origins = " and ".join(entry.origin for entry in entries)
    what = f'"{name}" is claimed by more than one target: {origins}'
    return TargetError(what, hint="rename one of them, or remove the alias")


def _unknown(name: str, index: _Index) -> TargetError:
    against = reason_against(name)
    if against is not None:
        return TargetError(against[0], where="target", hint=against[1])
    near = did_you_mean(name, index.spellings())
    every = "targets: " + ", ".join(entry.names[0] for entry in index.entries)
    what = f'there is no target "{name}"'
    return TargetError(what, where="target", hint=f"{near} {every}" if near else every)
