"""The database of trials: what it keeps, what it refuses, and who may write at once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from edgeopt.errors import InputError
from edgeopt.tuning import Key, Record, TuningDatabase, export_records, open_database, read_records

KEY = Key("toy", '{"cpu":"a"}', "toy 1", "w0")


def trial(choices='{"n": 1}', *, key=KEY, status="ok", gain=1.5, created=100):
    return Record(key, choices, status, 1e-3, gain, "dense", "", created)


def test_what_was_added_is_found(tmp_path):
    with TuningDatabase(tmp_path / "a" / "t.sqlite") as database:
        database.add([trial(), trial('{"n": 2}', status="wrong", gain=0.0)])
        assert [r.choices for r in database.find(KEY)] == ['{"n": 1}', '{"n": 2}']
    with open_database(tmp_path / "a" / "t.sqlite") as again:
        assert again.best(KEY) == trial()
        assert len(again) == 2


@pytest.mark.parametrize("field", ["backend", "machine", "version", "workload"])
def test_no_part_of_the_key_is_ignored(tmp_path, field):
    other = msgspec.structs.replace(KEY, **{field: "other"})
    with TuningDatabase(tmp_path / "t.sqlite") as database:
        database.add([trial(key=other)])
        assert database.best(KEY) is None
        assert database.find(KEY) == []


def test_the_best_is_the_greatest_gain_of_those_that_are_right(tmp_path):
    with TuningDatabase(tmp_path / "t.sqlite") as database:
        database.add(
            [
                trial("default", gain=1.0),
                trial('{"n": 1}', gain=1.2),
                trial('{"n": 2}', gain=1.4),
                trial('{"n": 3}', gain=9.0, status="wrong"),
                trial('{"n": 4}', gain=8.0, status="slower"),
            ]
        )
        assert database.best(KEY).choices == '{"n": 2}'


def test_the_default_alone_is_no_best(tmp_path):
    with TuningDatabase(tmp_path / "t.sqlite") as database:
        database.add([trial("default", gain=1.0)])
        assert database.best(KEY) is None


def test_a_younger_record_replaces_an_older_one_and_not_the_other_way(tmp_path):
    with TuningDatabase(tmp_path / "t.sqlite") as database:
        assert database.add([trial(gain=2.0, created=10)]) == 1
        assert database.add([trial(gain=3.0, created=9)]) == 0
        assert database.best(KEY).gain == 2.0
        assert database.add([trial(gain=3.0, created=11)]) == 1
        assert database.best(KEY).gain == 3.0


def test_nothing_lies_there(tmp_path):
    assert open_database(tmp_path / "none.sqlite") is None
    assert not (tmp_path / "none.sqlite").exists()


def test_the_default_place_is_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEOPT_CACHE", str(tmp_path))
    with open_database(write=True) as database:
        assert database.path == tmp_path / "tuning.sqlite"


@pytest.mark.parametrize("content", [b"not a database, but long enough to have a header" * 9, b"x"])
@pytest.mark.parametrize("write", [True, False])
def test_a_foreign_file_is_refused_and_left_alone(tmp_path, content, write):
    path = tmp_path / "t.sqlite"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no tuning database") as caught:
        open_database(path, write=write)
    assert str(path) in str(caught.value)
    assert caught.value.hint
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(tmp_path):
    path = tmp_path / "t.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    with pytest.raises(InputError, match="not a tuning database of edgeopt"):
        open_database(path, write=True)


def test_a_later_version_is_refused(tmp_path):
    path = tmp_path / "t.sqlite"
    with TuningDatabase(path) as database:
        database._connection.execute("PRAGMA user_version = 7")
    with pytest.raises(InputError, match="version 7"):
        open_database(path)


def test_a_damaged_database_is_refused(tmp_path):
    path = tmp_path / "t.sqlite"
    with TuningDatabase(path) as database:
        database.add([trial(f'{{"n": {i}}}') for i in range(2000)])
    content = bytearray(path.read_bytes())
    content[8192:16384] = b"\xff" * 8192
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        open_database(path)


def test_a_record_that_no_edgeopt_wrote_is_refused(tmp_path):
    path = tmp_path / "t.sqlite"
    with TuningDatabase(path) as database:
        database.add([trial()])
        database._connection.execute("UPDATE trials SET choices = '[1]'")
        with pytest.raises(InputError, match="no JSON object"):
            database.best(KEY)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        open_database(tmp_path / "file" / "t.sqlite", write=True)


WRITER = """
import sys, pathlib
from edgeopt.tuning import Key, Record, TuningDatabase
path, who, count = sys.argv[1:]
with TuningDatabase(pathlib.Path(path)) as database:
    for i in range(int(count)):
        key = Key("toy", "m", "v", who)
        database.add([Record(key, f'{{"n": {i}}}', "ok", 1.0, 1.5, "k", "", i)])
        print(i, flush=True)
"""


def test_two_that_write_at_once_both_survive(tmp_path):
    path = tmp_path / "t.sqlite"
    command = [sys.executable, "-c", WRITER, str(path)]
    both = [
        subprocess.Popen([*command, who, "150"], stdout=subprocess.DEVNULL) for who in ("a", "b")
    ]
    assert [process.wait(60) for process in both] == [0, 0]
    with open_database(path) as database:
        found = {who: len(database.find(Key("toy", "m", "v", who))) for who in ("a", "b")}
    assert found == {"a": 150, "b": 150}


def test_a_writer_that_is_killed_leaves_every_finished_trial(tmp_path):
    path = tmp_path / "t.sqlite"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), "a", "100000"], stdout=subprocess.PIPE, text=True
    )
    for _ in range(20):
        line = process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with open_database(path, write=True) as database:
        assert len(database) >= int(line) + 1
        database.add([trial()])


def test_an_export_says_the_same(tmp_path):
    records = [trial('{"n": 1}'), trial('{"tile": [2, 3]}', status="hung")]
    assert export_records(records, tmp_path / "e.jsonl") == 2
    assert read_records(tmp_path / "e.jsonl") == records
    with TuningDatabase(tmp_path / "t.sqlite") as database:
        database.add(records)
    assert read_records(tmp_path / "t.sqlite") == records


@pytest.mark.parametrize(
    ("tail", "told"),
    [
        (b'{"key": {"backend"', "line 3"),
        (b'{"key": 7}', "line 3"),
        (b"[" * 100000, "line 3"),
    ],
)
def test_a_cut_or_wrong_export_names_the_line(tmp_path, tail, told):
    path = tmp_path / "e.jsonl"
    export_records([trial()], path)
    with path.open("ab") as stream:
        stream.write(tail)
    with pytest.raises(InputError, match=told):
        read_records(path)


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\x00\xff", b'{"format": "other"}\n'])
def test_a_file_that_is_neither_is_refused(tmp_path, content):
    path = tmp_path / "e.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match="neither"):
        read_records(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_records(tmp_path / "missing")


@pytest.mark.parametrize(
    "change",
    [{"gain": float("inf")}, {"seconds": -1.0}, {"choices": "7"}, {"choices": "[" * 10**5}],
)
def test_a_number_that_is_none_is_refused(tmp_path, change):
    path = tmp_path / "t.sqlite"
    with TuningDatabase(path) as database:
        database.add([msgspec.structs.replace(trial(), **change)])
    with pytest.raises(InputError, match="damaged"):
        read_records(path)


def test_opening_costs_little(tmp_path):
    path = Path(tmp_path / "t.sqlite")
    with TuningDatabase(path) as database:
        database.add([trial(f'{{"n": {i}}}') for i in range(20000)])
    begun = time.perf_counter()
    with open_database(path) as database:
        database.best(KEY)
    assert time.perf_counter() - begun < 1.0
