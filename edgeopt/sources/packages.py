"""Imports of the libraries that models come from: on first use, with what to type where one is missing."""

from __future__ import annotations

import importlib
from typing import Any

from edgeopt.errors import InputError, PluginError
from edgeopt.installation import install_command, reinstall_command
from edgeopt.registry.suggest import did_you_mean

__all__ = ["imported", "unknown_model"]


def imported(module: str, extra: str) -> Any:
    """Returns a module of a library that is not required.

    Args:
        module: Its full name.
        extra: The extra of edgeopt that installs it.

    Raises:
        PluginError: It is not installed, or cannot be imported beside the torch that is.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if (error.name or "").partition(".")[0] == package:
            what, hint = f"{package} is not installed", install_command(extra)
            raise PluginError(what, where=extra, hint=hint) from error
        raise _broken(module, extra, error) from error
    except Exception as error:  # whatever a library does at import: torchvision's RuntimeError
        raise _broken(module, extra, error) from error


def _broken(module: str, extra: str, error: Exception) -> PluginError:
    what = f"importing {module} failed: {type(error).__name__}: {error}"[:400]
    hint = f"reinstall it beside the torch that is here: {reinstall_command(extra)}"
    return PluginError(what, where=extra, hint=hint)


def unknown_model(
    text: str, name: str, known: list[str], library: str, looked: str = ""
) -> InputError:
    """Returns the error that a library has no model of a name.

    Args:
        text: As the user wrote it.
        name: The name.
        known: Those there are.
        library: What was asked.
        looked: Where else was looked.
    """
    near = did_you_mean(name, known)
    more = f"; no such file or folder either: looked in {looked}" if looked else ""
    what = f'{library} knows no model "{name}" (of {len(known)}){more}'
    return InputError(what, where=text, hint=near or f"for example {', '.join(known[:3])}")
