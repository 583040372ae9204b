"""What the compiler takes from a database: the right record, for the right kernel, or none."""

from __future__ import annotations

import time
from dataclasses import replace

import msgspec
import pytest

from edgeopt.errors import InputError, TargetError
from edgeopt.registry import find_target
from edgeopt.tuning import Record, TuningDatabase
from edgeopt_tvm.tuning.lookup import Chooser, best, open_chooser
from edgeopt_tvm.tuning.run import measurable_machine
from edgeopt_tvm.tuning.search import name_of
from edgeopt_tvm.tuning.templates import Templates
from edgeopt_tvm.tuning.workload import key_of, workload_of

GOOD = {"rows": 4, "columns": 16}


@pytest.fixture
def database(tmp_path):
    with TuningDatabase(tmp_path / "t.sqlite") as held:
        yield held


def record(key, config=GOOD, **more):
    fields = {"status": "ok", "seconds": 1e-5, "gain": 1.5, "created": int(time.time()), **more}
    return Record(key, config if isinstance(config, str) else name_of(config), **fields)


def test_the_fastest_candidate_is_applied(toy, machine, templates, database):
    function = toy.product()
    assert best(function, machine, database, templates) is None
    database.add([record(key_of(function, machine, templates))])
    found, gain = best(function, machine, database, templates)
    wanted = templates.scheduled(function, machine, GOOD)
    assert found.script() == wanted.script()
    assert gain == 1.5


def test_other_constants_are_the_same_kernel_and_other_shapes_are_not(toy):
    assert workload_of(toy.product(offset=3)) == workload_of(toy.product(offset=9))
    assert workload_of(toy.product(32)) != workload_of(toy.product(16))
    assert workload_of(toy.product()) != workload_of(toy.float_product())


def test_a_kernels_name_does_not_matter(toy):
    function = toy.product()
    renamed = function.with_attr("global_symbol", "fused_dense_7").with_attr("op_pattern", 4)
    assert workload_of(renamed) == workload_of(function)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("mcpu", ("other", "another")),
        ("cores", (64, 65)),
        ("features", ((), ("+one",))),
        ("vector_bytes", (16, 32)),
        ("dot", ("none", "avx512_vnni")),
    ],
)
def test_a_record_of_another_machine_is_not_applied(
    toy, machine, templates, database, field, values
):
    # Of two values at least one is not this machine's.
    value = next(one for one in values if one != getattr(machine, field))
    function, other = toy.product(), replace(machine, **{field: value})
    database.add([record(key_of(function, other, templates))])
    assert best(function, machine, database, templates) is None


def test_a_record_of_other_templates_or_toolchains_is_not_applied(
    toy, machine, templates, database, monkeypatch
):
    key = key_of(toy.product(), machine, templates)
    database.add([record(msgspec.structs.replace(key, version="tvm 0.1, toy_templates 1"))])
    assert best(toy.product(), machine, database, templates) is None
    database.add([record(key)])
    monkeypatch.setattr(toy, "VERSION", 2)
    assert best(toy.product(), machine, database, templates) is None


def test_what_was_measured_under_emulation_is_never_applied(toy, machine, templates, database):
    key = key_of(toy.product(), machine, templates, device="emulated")
    database.add([record(key)])
    assert best(toy.product(), machine, database, templates) is None


@pytest.mark.parametrize("config", [{"rows": 3, "columns": 7}, {"do": "abort"}, {}])
def test_a_candidate_that_templates_do_not_offer_is_not_applied(
    toy, machine, templates, database, config
):
    database.add([record(key_of(toy.product(), machine, templates), config)])
    assert best(toy.product(), machine, database, templates) is None


def test_a_chooser_counts_and_falls_back(toy, machine, templates, database):
    function = toy.product()
    database.add([record(key_of(function, machine, templates))])
    chooser = Chooser(machine, database, templates)
    chooser(function)
    plain = chooser(toy.float_product())
    assert (chooser.tuned, chooser.untuned) == (1, 1)
    assert plain.script() == templates.scheduled(toy.float_product(), machine).script()


def test_a_record_that_does_not_apply_is_said_and_passed_over(
    toy, machine, templates, database, monkeypatch
):
    monkeypatch.setenv("TOY_BAD", "raise")
    bad = {"rows": 1, "columns": 16, "do": "raise"}
    database.add([record(key_of(toy.product(), machine, templates), bad)])
    chooser = Chooser(machine, database, templates)
    chooser(toy.product())
    assert (chooser.tuned, chooser.untuned) == (0, 1)
    assert "cannot be made" in chooser.notes[0]


def test_which_database_a_chooser_takes(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEOPT_CACHE", str(tmp_path))
    assert open_chooser(machine).database is None
    assert open_chooser(machine, "none").database is None
    with pytest.raises(InputError, match="no tuning database"):
        open_chooser(machine, str(tmp_path / "missing.sqlite"))
    TuningDatabase(tmp_path / "tuning.sqlite").close()
    chooser = open_chooser(machine)
    assert chooser.database.path == tmp_path / "tuning.sqlite"
    chooser.close()
    (tmp_path / "tuning.sqlite").write_bytes(b"something else" * 99)
    with pytest.raises(InputError, match="no tuning database, or it is damaged"):
        open_chooser(machine)


def test_a_target_that_is_not_this_machine_is_refused():
    assert measurable_machine(find_target("host"))
    with pytest.raises(TargetError, match="cannot be measured on this machine") as caught:
        measurable_machine(find_target("rpi4"))
    assert "merge" in caught.value.hint


def test_templates_are_known_by_their_name():
    assert Templates().version >= 1
