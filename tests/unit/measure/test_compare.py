"""Comparisons: in turn on a device, and of what was saved; and the history."""

from __future__ import annotations

import json
import multiprocessing

import msgspec
import pytest

from edgeopt.errors import DeviceError, InputError
from edgeopt.measure import PlacedBundle, Profile, compare_placed, compare_saved, summarize
from edgeopt.measure.history import append, changes, history_path, read_history
from edgeopt.measure.record import Record, Saved, load_saved, make_record

SLEEPS = """
    def __call__(self, x, *others):
        import time
        time.sleep({seconds})
        return [x * self.factor]
"""


def test_two_bundles_in_turn(telling, device):
    fast, slow = (
        PlacedBundle.push(telling(name, told=SLEEPS.format(seconds=seconds)), device)
        for name, seconds in (("fast", 0.001), ("slow", 0.02))
    )
    found = compare_placed(fast, slow, runs=12, warmup=1)
    assert found.how == "interleaved"
    assert (found.a_latency.runs, found.b_latency.runs) == (12, 12)
    assert found.ratio.verdict == "faster"
    assert "toy" in str(found)
    again = compare_placed(slow, fast, runs=12, warmup=1)
    assert again.ratio.verdict == "slower"
    json.dumps(found.to_dict())


def test_operators_of_both(telling, device):
    a, b = (PlacedBundle.push(telling(name), device) for name in ("a", "b"))
    found = compare_placed(a, b, operators=True, runs=10)
    by_place = {one.place: one for one in found.operators}
    assert by_place["stem net.py:3"].a_ms == pytest.approx(0.6)
    assert not any(one.certain for one in found.operators)


def test_an_emulated_device_compares_nothing(telling, device):
    class Emulated(type(device)):
        emulated = True

    device.__class__ = Emulated
    placed = PlacedBundle.push(telling(), device)
    for measure in (lambda: placed.beside(placed), placed.operators):
        with pytest.raises(DeviceError, match="emulated"):
            measure()


def record(samples=(1_000_000,) * 40, **changes):
    held = Record(
        model="cat", target="rpi4", backend="tflite", precision="int8", device="pi", threads=4,
        digest="a" * 64, program="p" * 64, edgeopt="0.1.0", latency=summarize(samples),
        load_ms=1.0, first_inference_ms=2.0, peak_memory_mb=30.0, energy_mj=None, stable=True,
        unix_s=1_700_000_000,
    )  # fmt: skip
    return msgspec.structs.replace(held, **changes)


def saved(samples=(1_000_000,) * 40, **changes):
    held = record(samples, **changes)
    profile = Profile(
        bundle="cat", digest=held.digest, device="pi", label="measured", threads=4,
        runs=len(samples), latency=held.latency, import_ms=1.0, load_ms=1.0,
        first_inference_ms=2.0, peak_memory_mb=30.0, model_memory_mb=9.0, inputs="golden",
        samples_ns=tuple(samples), facts={}, warnings=(),
    )  # fmt: skip
    return Saved(held, profile)


def test_saved_measurements(tmp_path):
    one, same = saved(), saved((1_010_000,) * 40)
    assert compare_saved(one, same).ratio.verdict == "no difference"
    slower = saved((1_200_000,) * 40, device="nuc", stable=False)
    found = compare_saved(slower, one)
    assert found.ratio.verdict == "slower"
    assert found.how == "apart"
    assert any("different devices" in text for text in found.warnings)
    assert any("unstable" in text for text in found.warnings)
    one.save(tmp_path / "one.json")
    assert load_saved(tmp_path / "one.json") == one


@pytest.mark.parametrize("text", ["", "{}", '{"kind": "edgeopt-profile", "version": 2}', "[]"])
def test_a_file_that_is_no_profile_is_refused(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(InputError, match="no saved profile"):
        load_saved(path)


def test_a_bundle_without_a_name_is_called_after_its_folder(telling):
    bundle, profile = telling("cats"), saved().profile
    assert make_record(bundle, profile).model == "cats"
    assert make_record(bundle, profile, model="dog").model == "dog"
    assert make_record(bundle, msgspec.structs.replace(profile, latency=None)) is None


def test_a_slower_version_is_a_regression(tmp_path):
    path = tmp_path / "history.jsonl"
    rows = [
        record(),
        record((1_001_000,) * 40),  # the same bundle again
        record((1_300_000,) * 40, digest="b" * 64),
        record((1_305_000,) * 40, digest="c" * 64),
        record((900_000,) * 40, digest="d" * 64),
        record((9_000_000,) * 40, digest="e" * 64, device="nuc"),
    ]
    for row in rows:
        assert append(row, path)
    held, damaged = read_history(path)
    assert (held, damaged) == (rows, 0)
    found = changes(held)
    assert [c.regressed for c in found] == [True, False, False]
    assert [c.ratio.verdict for c in found] == ["slower", "no difference", "faster"]


def test_a_line_that_was_cut_off_loses_no_other(tmp_path):
    path = tmp_path / "history.jsonl"
    append(record(), path)
    with path.open("ab") as stream:
        stream.write(b'{"model": "ca')
    append(record(threads=1), path)
    held, damaged = read_history(path)
    assert [row.threads for row in held] == [4, 1]
    assert damaged == 1


def _write_many(path, worker):
    for _ in range(25):
        append(record(threads=worker), path)


def test_several_writers_lose_nothing(tmp_path):
    path = tmp_path / "history.jsonl"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_write_many, args=(path, n)) for n in range(1, 5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    held, damaged = read_history(path)
    assert (len(held), damaged) == (100, 0)


def test_where_the_history_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEOPT_HISTORY", "none")
    assert history_path() is None
    assert not append(record())
    assert read_history() == ([], 0)
    monkeypatch.delenv("EDGEOPT_HISTORY")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert history_path() == tmp_path / "edgeopt" / "history.jsonl"
