"""Backends from entry points of real distributions."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from edgeopt.contracts import Backend
from edgeopt.errors import PluginError
from edgeopt.installation import install_command, reinstall_command, uninstall_command
from edgeopt.registry import BackendInfo, backends, find_backend
from edgeopt.registry import plugins as module
from edgeopt.registry.plugins import DEFAULT_GROUP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Installer = Callable[..., Path]

METHODS = (
    "available", "versions", "precisions", "passes", "lower", "compile", "load", "device_runtime",
)  # fmt: skip


def _source(name: str, methods: tuple[str, ...] = METHODS) -> str:
    lines = [f"    def {method}(self, *args, **options): ..." for method in methods]
    return "\n".join(["class Made:", f"    name = {name!r}", *lines]) + "\n"


def _backend(install: Installer, package: str, name: str, source: str) -> str:
    """Installs a package with one backend and returns its module's name."""
    code = f"{package.replace('-', '_')}_code"
    entries = {name: f"{code}:Made"}
    install(package, group=DEFAULT_GROUP, entries=entries, modules={code: source})
    return code


def test_listing_imports_nothing(install: Installer) -> None:
    code = _backend(install, "lazy-one", "lazy", "raise RuntimeError('imported')")
    info = backends()["lazy"]
    assert (info.name, info.distribution, info.version) == ("lazy", "lazy-one", "2.5")
    assert code not in sys.modules


def test_a_backend_is_constructed_once(install: Installer) -> None:
    _backend(install, "good-one", "good", _source("good"))
    backend = find_backend("good")
    assert isinstance(backend, Backend)
    assert find_backend("good") is backend
    assert find_backend("GOOD") is backend
    assert backends()["good"].load() is backend


def test_case_and_punctuation_make_no_difference(install: Installer) -> None:
    _backend(install, "long-one", "long-name", _source("long-name"))
    assert find_backend("Long_Name").name == "long-name"


def test_the_core_offers_the_reference() -> None:
    assert backends()["reference"] == BackendInfo(
        "reference",
        "edgeopt",
        backends()["reference"].version,
        None,  # type: ignore[arg-type]
    )


def test_two_packages_that_claim_one_name(install: Installer) -> None:
    _backend(install, "acme-one", "acme", _source("acme"))
    _backend(install, "acme-two", "acme", _source("acme"))
    _backend(install, "other-one", "other", _source("other"))
    for ask in (lambda: find_backend("acme"), backends):
        with pytest.raises(PluginError) as caught:
            ask()
        assert str(caught.value) == (
            'the backend "acme" is claimed by acme-one and acme-two\n'
            "  -> uninstall all but one of them"
        )
    assert find_backend("other").name == "other"


def test_a_backend_of_ours_that_is_still_installed_apart(install: Installer) -> None:
    _backend(install, "edgeopt-reference", "reference", _source("reference"))
    with pytest.raises(PluginError) as caught:
        backends()
    assert caught.value.hint == uninstall_command("edgeopt-reference")


@pytest.mark.parametrize("said", ["tvm", "TVM"])
def test_a_known_backend_that_is_not_installed(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEFAULT_GROUP", "edgeopt.backends.nobody")
    with pytest.raises(PluginError) as caught:
        find_backend(said)
    assert str(caught.value) == (
        f'backend: the backend "tvm" is not installed\n  -> {install_command("tvm")}'
    )


def test_an_unknown_name_suggests_the_nearest_and_lists_all() -> None:
    with pytest.raises(PluginError) as caught:
        find_backend("tflight")
    first, second = str(caught.value).splitlines()
    assert first == 'backend: there is no backend "tflight"'
    assert second == '  -> did you mean "tflite"? installed: ' + ", ".join(backends())


def test_a_backend_that_does_not_import(install: Installer) -> None:
    code = _backend(install, "broken-one", "broken", "import a_module_that_is_not_there")
    with pytest.raises(PluginError) as caught:
        find_backend("broken")
    assert str(caught.value) == (
        f'broken-one 2.5 ({code}:Made): the backend "broken" cannot be loaded:'
        " ModuleNotFoundError: No module named 'a_module_that_is_not_there'\n"
        f"  -> reinstall it: {reinstall_command(distribution='broken-one')}"
    )
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_backend_whose_class_is_missing(install: Installer) -> None:
    _backend(install, "empty-one", "empty", "")
    with pytest.raises(PluginError, match="cannot be loaded: AttributeError"):
        find_backend("empty")


def test_a_backend_that_cannot_be_constructed(install: Installer) -> None:
    source = "class Made:\n    def __init__(self): raise OSError('no licence')\n"
    _backend(install, "costly-one", "costly", source)
    with pytest.raises(PluginError, match="cannot be loaded: OSError: no licence"):
        find_backend("costly")


def test_a_backend_without_part_of_the_contract(install: Installer) -> None:
    kept = tuple(method for method in METHODS if method not in {"lower", "device_runtime"})
    code = _backend(install, "part-one", "part", _source("part", kept))
    with pytest.raises(PluginError) as caught:
        find_backend("part")
    assert str(caught.value) == (
        f'part-one 2.5 ({code}:Made): the backend "part" lacks lower, device_runtime\n'
        "  -> ask the authors of part-one for a version that has them"
    )


def test_a_backend_that_calls_itself_otherwise(install: Installer) -> None:
    _backend(install, "alias-one", "alias", _source("another"))
    with pytest.raises(PluginError, match="the backend \"alias\" calls itself 'another'"):
        find_backend("alias")


def test_the_contract_is_what_is_checked() -> None:
    declared = {name for name in vars(Backend) if not name.startswith("_")}
    assert declared == set(METHODS)
