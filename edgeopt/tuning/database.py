"""The database of trials: one SQLite file, which several processes may write at once.

Each trial is a transaction of its own in a write-ahead log: a process that is killed loses the trial
it was at, and leaves nothing half-written.
"""

from __future__ import annotations

import sqlite3
import time
import urllib.parse
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from edgeopt.errors import InputError
from edgeopt.files import cache_folder
from edgeopt.tuning.record import Key, Record, parse_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["TuningDatabase", "default_database", "open_database"]

APPLICATION = 0x65646F70
"""SQLite's number for whose file it is: "edop"."""

SCHEMA = 1
_TABLE = """
CREATE TABLE IF NOT EXISTS trials (
    backend TEXT NOT NULL, machine TEXT NOT NULL, version TEXT NOT NULL, workload TEXT NOT NULL,
    choices TEXT NOT NULL, status TEXT NOT NULL, seconds REAL, gain REAL NOT NULL,
    name TEXT NOT NULL, detail TEXT NOT NULL, created INTEGER NOT NULL,
    PRIMARY KEY (backend, machine, version, workload, choices)
) WITHOUT ROWID
"""
_PUT = """
INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET status = excluded.status, seconds = excluded.seconds,
    gain = excluded.gain, name = excluded.name, detail = excluded.detail, created = excluded.created
WHERE excluded.created >= trials.created
"""
_COLUMNS = (*Key.__struct_fields__, *Record.__struct_fields__[1:])
_ROWS = f"SELECT {', '.join(_COLUMNS)} FROM trials"  # noqa: S608 (names of ours)
_OF_KEY = "WHERE backend = ? AND machine = ? AND version = ? AND workload = ?"
_BUSY_S = 30.0
_HEADER_BYTES = 100
_ATTEMPTS, _PAUSE_S = 50, 0.02
_SHUT = "it holds something else; name another with --database, or move it away"


def default_database() -> Path:
    """Returns the path of the database in the user's cache folder; it need not exist."""
    return cache_folder() / "tuning.sqlite"


def open_database(path: str | Path = "", *, write: bool = False) -> TuningDatabase | None:
    """Returns the database at ``path`` (empty: the default one), None where nothing lies there.

    Args:
        path: Where it lies.
        write: Whether to make it where there is none, and to write to it.

    Raises:
        InputError: It is something else, damaged, of a later version, or cannot be opened.
    """
    place = Path(path) if path else default_database()
    if not write and not place.exists():
        return None
    return TuningDatabase(place, write=write)


class TuningDatabase:
    """An open database. It belongs to the thread that opened it; a context manager.

    Args:
        path: Where it lies.
        write: Whether to make it where there is none, and to write to it.

    Raises:
        InputError: As for `open_database`.
    """

    def __init__(self, path: Path, *, write: bool = True) -> None:
        self.path = path
        with self._told():
            if write:
                path.parent.mkdir(parents=True, exist_ok=True)
            mode = "rwc" if write else "ro"
            place = urllib.parse.quote(str(path.absolute()))
            self._connection = sqlite3.connect(
                f"file:{place}?mode={mode}", uri=True, timeout=_BUSY_S, isolation_level=None
            )
        try:
            with self._told():
                self._prepare(write=write)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, *, write: bool) -> None:
        run = self._connection.execute
        run("PRAGMA trusted_schema = OFF")  # nothing that a file brings along may run
        run("PRAGMA synchronous = NORMAL")
        if 0 < self.path.stat().st_size < _HEADER_BYTES:  # SQLite takes that for an empty one
            raise sqlite3.DatabaseError("file is not a database")
        if write and self._number("application_id") == 0 and not self._tables():
            run("BEGIN IMMEDIATE")  # of two that find it empty, the second waits here
            run(_TABLE)
            run(f"PRAGMA application_id = {APPLICATION}")
            run(f"PRAGMA user_version = {SCHEMA}")
            run("COMMIT")
        self._check()
        if write:
            self._log_ahead()

    def _log_ahead(self) -> None:
        """Turns the write-ahead log on; where it cannot be, the database works without, slower."""
        for _ in range(_ATTEMPTS):
            with suppress(sqlite3.OperationalError):  # another process holds it just now
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            time.sleep(_PAUSE_S)

    def _check(self) -> None:
        if self._number("application_id") != APPLICATION:
            raise InputError(
                "this is not a tuning database of edgeopt", where=str(self.path), hint=_SHUT
            )
        version = self._number("user_version")
        if version != SCHEMA:
            raise InputError(
                f"it has version {version}, and this edgeopt reads version {SCHEMA}",
                where=str(self.path),
                hint="update edgeopt, or name another with --database",
            )
        kinds = self._connection.execute("SELECT type FROM sqlite_master WHERE name = 'trials'")
        if [kind for (kind,) in kinds] != ["table"]:
            raise sqlite3.DatabaseError("it holds no table of trials")
        fault = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if fault != "ok":
            raise sqlite3.DatabaseError(fault)

    def _tables(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])

    def _number(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def add(self, records: Iterable[Record]) -> int:
        """Returns how many records were put in or renewed; all of them or none.

        A record of the same candidate is replaced if it is not younger.

        Raises:
            InputError: The database cannot be written.
        """
        rows = [_row(record) for record in records]
        with self._told(), self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            before = connection.total_changes
            connection.executemany(_PUT, rows)
            return connection.total_changes - before

    def find(self, key: Key) -> list[Record]:
        """Returns every trial of ``key``, the oldest first.

        Raises:
            InputError: The database is damaged.
        """
        return list(self._select(f"{_OF_KEY} ORDER BY created, choices", _parts(key)))

    def best(self, key: Key) -> Record | None:
        """Returns the trial of ``key`` that beat the default by most, None where none did.

        Raises:
            InputError: The database is damaged.
        """
        clause = f"{_OF_KEY} AND status = 'ok' AND gain > 1 ORDER BY gain DESC, choices LIMIT 1"
        return next(self._select(clause, _parts(key)), None)

    def records(self) -> Iterator[Record]:
        """Yields every trial.

        Raises:
            InputError: The database is damaged.
        """
        yield from self._select("ORDER BY backend, machine, version, workload, created, choices")

    def __len__(self) -> int:
        with self._told():
            return int(self._connection.execute("SELECT count(*) FROM trials").fetchone()[0])

    def close(self) -> None:
        """Closes it. A second call does nothing."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _select(self, rest: str, values: Sequence[Any] = ()) -> Iterator[Record]:
        with self._told():
            rows = self._connection.execute(f"{_ROWS} {rest}", values).fetchall()
        for row in rows:
            yield _record(row, str(self.path))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turns what SQLite says into what a person should do."""
        try:
            yield
        except sqlite3.OperationalError as error:
            what = f"the tuning database cannot be used: {error}"
            hint = "name another place with --database, or set EDGEOPT_CACHE"
            raise InputError(what, where=str(self.path), hint=hint) from error
        except sqlite3.DatabaseError as error:
            what = f"this is no tuning database, or it is damaged: {error}"
            hint = "move it away; the next tuning makes a new one"
            raise InputError(what, where=str(self.path), hint=hint) from error
        except OSError as error:
            what = f"the tuning database cannot be made: {error.strerror}"
            raise InputError(what, where=str(self.path), hint="name another place") from error


def _parts(key: Key) -> tuple[str, ...]:
    return (key.backend, key.machine, key.version, key.workload)


def _row(record: Record) -> tuple[Any, ...]:
    return (*_parts(record.key), *msgspec.structs.astuple(record)[1:])


def _record(row: Sequence[Any], where: str) -> Record:
    names = Record.__struct_fields__
    key = dict(zip(Key.__struct_fields__, row[:4], strict=True))
    return parse_record({"key": key, **dict(zip(names[1:], row[4:], strict=True))}, where=where)
