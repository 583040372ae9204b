"""The code of equal kernels is generated once, and what is kept of it is not trusted blindly."""

from __future__ import annotations

import os

import numpy as np
import pytest

from edgeopt.errors import CompileError
from edgeopt_tvm import objects
from edgeopt_tvm.device.runtime import Model
from edgeopt_tvm.library import build_library
from edgeopt_tvm.objects import kernel_objects


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and a count of the kernels that code is generated for."""
    monkeypatch.setattr(objects, "cache_folder", lambda: tmp_path)
    generated = []
    genuine = objects.object_files

    def counted(functions, machine):
        generated.extend(functions)
        return genuine(functions, machine)

    monkeypatch.setattr(objects, "object_files", counted)
    return generated


@pytest.fixture
def kernel(chain):
    return chain(1).module["k"]


def test_equal_kernels_of_several_names_are_one(kernel, machine, cache):
    made = kernel_objects({"a": kernel, "b": kernel}, machine)
    assert made["a"] == made["b"]
    assert len(cache) == 1


def test_the_next_model_finds_it(chain, machine, cache, tmp_path):
    first = build_library(chain(3), machine)
    assert build_library(chain(3), machine) == first
    assert len(cache) == 1
    (tmp_path / "model.so").write_bytes(first)
    x = np.arange(64, dtype=np.int32)
    assert (Model(str(tmp_path / "model.so"), {}, 1)(x)[0] == x + 3).all()


def test_other_machines_have_other_code(kernel, machine, cache):
    import dataclasses

    made = [
        kernel_objects({"k": kernel}, m)["k"]
        for m in (machine, dataclasses.replace(machine, cores=machine.cores + 1))
    ]
    assert made[0].symbol != made[1].symbol
    assert len(cache) == 2


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b"", lambda b: b[:40] + b"x" + b[41:]]
)
def test_damaged_code_is_made_anew(kernel, machine, cache, tmp_path, damage):
    first = kernel_objects({"k": kernel}, machine)
    (path,) = (tmp_path / "tvm-kernels").glob("*/*")
    path.write_bytes(damage(path.read_bytes()))
    assert kernel_objects({"k": kernel}, machine) == first
    assert len(cache) == 2


def test_code_under_another_kernels_name_is_made_anew(kernel, machine, cache, tmp_path):
    (symbol,) = {o.symbol for o in kernel_objects({"k": kernel}, machine).values()}
    (path,) = (tmp_path / "tvm-kernels").glob("*/*")
    other = kernel_objects({"k": kernel.with_attr("other", 1)}, machine)["k"].symbol
    elsewhere = objects._place(other)
    elsewhere.write_bytes(path.read_bytes())
    made = kernel_objects({"k": kernel.with_attr("other", 1)}, machine)["k"]
    assert made.symbol == other != symbol
    assert len(cache) == 3


def test_without_a_cache_it_compiles_all_the_same(kernel, machine, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(objects, "cache_folder", lambda: tmp_path / "file")
    assert kernel_objects({"k": kernel}, machine)["k"].content


def test_what_was_used_least_goes_first(tmp_path):
    for age, name in enumerate(("new", "middle", "old")):
        path = tmp_path / "ab" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(100))
        os.utime(path, (1000 - age, 1000 - age))
    objects._make_room(tmp_path, 300)
    assert len(list(tmp_path.glob("*/*"))) == 3
    objects._make_room(tmp_path, 299)
    assert {p.name for p in tmp_path.glob("*/*")} == {"new", "middle"}


def test_what_tvm_says_is_one_line(kernel, machine):
    import dataclasses

    with pytest.raises(CompileError) as caught:
        kernel_objects({"k": kernel}, dataclasses.replace(machine, triple="nonsense-unknown-none"))
    assert "\n" not in caught.value.what
