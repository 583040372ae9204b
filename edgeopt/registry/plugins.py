"""Backends, found by entry points of the group ``edgeopt.backends`` and loaded when first used."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING

from edgeopt.errors import EdgeoptError, PluginError
from edgeopt.installation import install_command, reinstall_command, uninstall_command
from edgeopt.registry.suggest import canonical, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeopt.contracts.backend import Backend

__all__ = ["DEFAULT_GROUP", "BackendInfo", "backends", "find_backend"]

DEFAULT_GROUP = "edgeopt.backends"
"""The entry-point group in which packages offer backends."""

_KNOWN = ("tflite", "openvino", "tvm", "micro")
_METHODS = (
    "available",
    "versions",
    "precisions",
    "passes",
    "lower",
    "compile",
    "load",
    "device_runtime",
)
_loaded: dict[metadata.EntryPoint, Backend] = {}


@dataclass(frozen=True)
class BackendInfo:
    """An installed backend, not yet imported.

    Attributes:
        name: The name users write.
        distribution: The package that offers it.
        version: That package's version.
    """

    name: str
    distribution: str
    version: str
    _entry: metadata.EntryPoint = field(repr=False, compare=False)

    def load(self) -> Backend:
        """Returns the backend, constructed once a process.

        Raises:
            PluginError: It cannot be imported or constructed, or lacks part of the contract.
        """
        if self._entry not in _loaded:
            _loaded[self._entry] = _construct(self)
        return _loaded[self._entry]


def backends() -> Mapping[str, BackendInfo]:
    """Returns every installed backend by its name, in alphabetical order; none is imported.

    Raises:
        PluginError: Two packages claim one name; both are named.
    """
    plugins = _scan()
    return {name: _only(name, claims) for name, claims in sorted(plugins.items())}


def find_backend(name: str) -> Backend:
    """Returns the backend called ``name``; case and punctuation make no difference.

    Raises:
        PluginError: It is not installed (with what to type, or the nearest name), two packages
            claim it, or it does not work.
    """
    plugins = _scan()
    key = canonical(name)
    claims = next((plugins[plugin] for plugin in plugins if canonical(plugin) == key), None)
    if claims is None:
        raise _unknown(name, plugins)
    return _only(claims[0].name, claims).load()


def _scan() -> dict[str, list[BackendInfo]]:
    plugins: dict[str, list[BackendInfo]] = {}
    for entry in metadata.entry_points(group=DEFAULT_GROUP):
        package = entry.dist.name if entry.dist else entry.module
        version = entry.dist.version if entry.dist else ""
        plugins.setdefault(entry.name, []).append(BackendInfo(entry.name, package, version, entry))
    return plugins


def _only(name: str, claims: list[BackendInfo]) -> BackendInfo:
    if len(claims) > 1:
        packages = sorted(claim.distribution for claim in claims)
        raise PluginError(
            f'the backend "{name}" is claimed by {" and ".join(packages)}', hint=_keep_one(packages)
        )
    return claims[0]


def _keep_one(packages: list[str]) -> str:
    """Returns what to type; backends that were packages of their own once are in edgeopt's now."""
    others = [name for name in packages if name != "edgeopt"]
    if len(others) < len(packages):
        return uninstall_command(*others)
    return "uninstall all but one of them"


def _construct(info: BackendInfo) -> Backend:
    try:
        backend = info._entry.load()()  # noqa: SLF001 (of the class above)
    except EdgeoptError:
        raise
    except Exception as error:
        what = f'the backend "{info.name}" cannot be loaded: {type(error).__name__}: {error}'
        hint = f"reinstall it: {reinstall_command(distribution=info.distribution)}"
        raise PluginError(what, where=_where(info), hint=hint) from error
    _check(info, backend)
    return backend  # type: ignore[no-any-return]


def _check(info: BackendInfo, backend: object) -> None:
    """Raises where ``backend`` lacks part of `edgeopt.contracts.Backend`."""
    lacking = [name for name in _METHODS if not callable(getattr(backend, name, None))]
    if lacking:
        what = f'the backend "{info.name}" lacks {", ".join(lacking)}'
        hint = f"ask the authors of {info.distribution} for a version that has them"
        raise PluginError(what, where=_where(info), hint=hint)
    if getattr(backend, "name", None) != info.name:
        what = f'the backend "{info.name}" calls itself {getattr(backend, "name", None)!r}'
        hint = "its entry point and its attribute name must agree"
        raise PluginError(what, where=_where(info), hint=hint)


def _where(info: BackendInfo) -> str:
    return f"{info.distribution} {info.version} ({info._entry.value})"  # noqa: SLF001


def _unknown(name: str, found: Mapping[str, object]) -> PluginError:
    key = canonical(name)
    if key in _KNOWN:
        what = f'the backend "{key}" is not installed'
        return PluginError(what, where="backend", hint=install_command(key))
    near = did_you_mean(name, [*found, *_KNOWN])
    every = "installed: " + ", ".join(sorted(found))
    what = f'there is no backend "{name}"'
    return PluginError(what, where="backend", hint=f"{near} {every}" if near else every)
