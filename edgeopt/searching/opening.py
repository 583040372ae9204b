"""Opens the study of a search: where it is kept, and whether it is this search's."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgeopt.errors import InputError, PluginError
from edgeopt.files import cache_folder
from edgeopt.installation import install_command
from edgeopt.searching.identity import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import optuna

    from edgeopt.searching.study import Study

__all__ = ["open_study"]

NAME = "edgeopt"
"""Name of the study in a database of one."""

_BUSY_S = 60.0


@contextmanager
def open_study(
    where: str | Path | None, identity: Mapping[str, str], *, timed: bool
) -> Iterator[Study]:
    """Yields the study at ``where``.

    Args:
        where: A path, a URL of SQLAlchemy (``#name`` behind it names the study), ``none`` for one
            that ends with the run, or None for one in the user's cache folder.
        identity: What the study is of.
        timed: Whether latency is an objective.

    Raises:
        PluginError: Optuna is not installed.
        InputError: The database cannot be opened, or the study is of another search.
    """
    try:
        import optuna  # noqa: PLC0415

        from edgeopt.searching.study import Study  # noqa: PLC0415 (optuna)
    except ImportError as error:
        hint = install_command("search")
        raise PluginError("Optuna is not installed", where="search", hint=hint) from error
    url, name = _place(where, identity)
    said = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # put back below: it prints by itself
    try:
        study = Study(_opened(url, name, timed=timed), _shown(url))
        study.identify(identity)
        yield study
    finally:
        optuna.logging.set_verbosity(said)


def _opened(url: str, name: str, *, timed: bool) -> optuna.Study:
    import optuna  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError  # noqa: PLC0415

    goals: list[Literal["minimize", "maximize"]] = ["maximize", "minimize"]
    goals += ["minimize"] if timed else []
    try:
        storage = _storage(url)
        study = optuna.create_study(
            storage=storage, study_name=name, directions=goals, load_if_exists=True
        )
    except (ImportError, ArgumentError) as error:
        hint = "a path, or a URL such as postgresql://user@host/name, its driver installed"
        raise InputError(
            f"no such database: {error}", where=f"study {_shown(url)}", hint=hint
        ) from error
    except (SQLAlchemyError, RuntimeError, OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"it cannot be opened: {first}", where=f"study {_shown(url)}") from error
    if len(study.directions) != len(goals):
        what = "it is of another search: " + ("without" if timed else "with") + " latencies"
        raise InputError(what, where=f"study {_shown(url)}", hint="name another study")
    return study


def _storage(url: str) -> Any:
    import optuna  # noqa: PLC0415

    if url == "none":
        return optuna.storages.InMemoryStorage()
    wait = {"connect_args": {"timeout": _BUSY_S}} if url.startswith("sqlite") else {}
    from edgeopt.searching.study import storage  # noqa: PLC0415 (optuna)

    return storage(url, wait)


def _place(where: str | Path | None, identity: Mapping[str, str]) -> tuple[str, str]:
    """Returns the URL of the database and the name of the study in it."""
    if where is None:
        path = cache_folder() / "searches.sqlite"
        path.parent.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{path}", digest_of(dict(identity))[:16]
    text = str(where)
    if text == "none":
        return text, NAME
    if "://" in text:
        url, _, name = text.partition("#")
        return url, name or NAME
    path = Path(text).expanduser().absolute()
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent}", where="study")
    return f"sqlite:///{path}", NAME


def _shown(url: str) -> str:
    """Returns ``url`` without a password."""
    from sqlalchemy.engine import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        return url if url == "none" else make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url
