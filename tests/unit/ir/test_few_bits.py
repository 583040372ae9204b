"""Weights of 2, 3 and 4 bits: packed bytes, steps for groups, and what a file with them may say."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgeopt.contracts.storage import INT2, INT3, INT4, weight_storage
from edgeopt.errors import ProgramError
from edgeopt.ir import (
    Editor,
    QuantSpec,
    ReferenceRunner,
    capture_module,
    load_program,
    save_program,
)
from edgeopt.ir.bit_packing import pack_bits, unpack_bits
from edgeopt.passes import run_core

FEW = (INT2, INT3, INT4)
WIDE, HIGH = 128, 96
X = torch.randn(3, WIDE, generator=torch.Generator().manual_seed(1))


def grouped(weight, bits=4, group=32, *, affine=False):
    """Returns a grid with steps for groups, by absmax or by both ends."""
    parts = weight.reshape(weight.shape[0], -1, group)
    storage = weight_storage(bits)
    if affine:
        low, high = parts.amin(2).clamp(max=0), parts.amax(2).clamp(min=0)
        scale = (high - low) / storage.steps
        zero = (storage.lowest - low / scale).round().to(torch.int32)
    else:
        scale = parts.abs().amax(2) / storage.highest
        zero = torch.zeros_like(scale, dtype=torch.int32)
    return QuantSpec(storage, scale, zero, 0, bits, "t", group)


@pytest.fixture(scope="module")
def linear():
    torch.manual_seed(0)
    return run_core(capture_module(nn.Linear(WIDE, HIGH).eval(), (X,)))


def with_grid(program, spec_of):
    editor = Editor(program)
    node = editor.node("p_weight")
    spec = spec_of(editor.tensor(node))
    editor.quant[node.name] = spec
    editor.set_tensor(node, spec.fake(editor.tensor(node)))
    return editor.finish(precision="int8-dynamic")


@pytest.mark.parametrize("storage", FEW, ids=str)
@given(data=st.data())
def test_what_is_packed_comes_back(storage, data):
    ends = st.integers(storage.lowest, storage.highest)
    values = np.array(data.draw(st.lists(ends, max_size=40)), np.int8)
    octets = pack_bits(values, storage)
    assert octets.size == storage.bytes_for(values.size)
    assert np.array_equal(unpack_bits(octets, storage, values.size), values)


def test_the_first_value_has_the_lowest_bits():
    assert pack_bits(np.array([1, -1, 7], np.int8), INT4).tolist() == [0xF1, 0x07]
    assert pack_bits(np.array([1, -2, 0, -1, 1], np.int8), INT2).tolist() == [0b11001001, 1]
    assert pack_bits(np.array([1, 2, -1], np.int8), INT3).tolist() == [0b11010001, 0b1]


@pytest.mark.parametrize(
    ("octets", "count"), [([0x11], 3), ([0x11, 0], 2), ([0x11], 1), ([], 1)], ids=str
)
def test_bytes_that_are_too_many_too_few_or_unclean_are_refused(octets, count):
    with pytest.raises(ValueError, match="values"):
        unpack_bits(np.array(octets, np.uint8), INT4, count)


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("affine", [False, True])
def test_each_group_has_its_own_step(bits, affine):
    weight = torch.randn(4, 64) * torch.logspace(-2, 2, 64)
    spec = grouped(weight, bits, affine=affine)
    whole = spec.quantize(weight)
    assert whole.dtype is torch.int8
    assert spec.granularity == "group"
    assert int(whole.min()) >= spec.storage.lowest
    assert int(whole.max()) <= spec.storage.highest
    for row in range(4):
        for at in range(2):
            part = weight[row, 32 * at : 32 * at + 32]
            scale, zero = spec.scale[row, at], spec.zero_point[row, at]
            own = QuantSpec(spec.storage, scale[None], zero[None], bits=bits)
            assert torch.equal(spec.fake(weight)[row, 32 * at : 32 * at + 32], own.fake(part))


@pytest.mark.parametrize(
    "wrong",
    [
        {"axis": 1},
        {"axis": None},
        {"group": 0},
        {"group": None},
        {"zero_point": torch.full((96, 4), 8, dtype=torch.int32)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_grid_that_is_none_is_refused(wrong):
    with pytest.raises(ProgramError):
        replace(grouped(torch.randn(HIGH, WIDE)), **wrong)


def test_groups_that_do_not_fit_the_weight_are_refused(linear):
    editor = Editor(linear)
    editor.quant["p_weight"] = grouped(linear.constants["p_weight"][:, :64])
    with pytest.raises(ProgramError, match="groups of 32"):
        editor.finish(precision="int8-dynamic")


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("group", [None, 32, 64, 128])
@pytest.mark.parametrize("bits", [2, 3, 4])
def test_a_program_comes_back_from_its_packed_bytes(linear, tmp_path, bits, group, affine):
    program = with_grid(linear, lambda weight: grouped(weight, bits, group or WIDE, affine=affine))
    loaded = load_program(save_program(program, tmp_path / "p"))
    assert (loaded.digest, loaded.text) == (program.digest, program.text)
    assert f"int{bits} axis=0 channels={HIGH} group={group or WIDE}" in program.text
    ours, theirs = (ReferenceRunner(p)(X.numpy()) for p in (program, loaded))
    assert np.array_equal(ours, theirs)


def stored_bytes(path):
    import safetensors

    with zipfile.ZipFile(path) as archive:
        (path.parent / "t").write_bytes(archive.read("tensors.safetensors"))
    with safetensors.safe_open(path.parent / "t", "np") as tensors:
        return tensors.get_tensor("stored/p_weight").nbytes


def test_four_bits_take_half_of_eight_and_two_a_quarter(linear, tmp_path):
    def channel(bits):
        def spec(weight):
            scale = weight.abs().amax(1) / weight_storage(bits).highest
            return QuantSpec(
                weight_storage(bits), scale, torch.zeros(HIGH, dtype=torch.int32), 0, bits
            )

        return spec

    sizes = {}
    for bits in (2, 3, 4, 8):
        program = with_grid(linear, channel(bits))
        sizes[bits] = stored_bytes(save_program(program, tmp_path / f"{bits}"))
        assert program.size_bytes == sizes[bits] + 4 * HIGH
    assert {bits: 8 * size // (HIGH * WIDE) for bits, size in sizes.items()} == {
        b: b for b in sizes
    }


def test_steps_of_groups_are_counted(linear):
    one, both = (
        with_grid(linear, lambda w, affine=affine: grouped(w, affine=affine))
        for affine in (False, True)
    )
    scales = HIGH * WIDE // 32
    assert one.size_bytes == HIGH * WIDE // 2 + 4 * scales + 4 * HIGH
    assert both.size_bytes == one.size_bytes + scales // 2


def test_numbers_off_their_grid_by_a_bit_are_saved_as_they_are(linear, tmp_path):
    program = with_grid(linear, grouped)
    weight = program.constants["p_weight"].clone()
    weight[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(9.0))
    editor = Editor(program)
    editor.set_tensor(editor.node("p_weight"), weight)
    moved = editor.finish()
    assert load_program(save_program(moved, tmp_path / "p")).digest == moved.digest


@pytest.mark.parametrize(
    "change",
    [
        {"shape": None},
        {"shape": [HIGH, WIDE - 1]},
        {"shape": [HIGH * WIDE]},
        {"shape": [1 << 40, 1 << 40]},
        {"shape": [0, 1 << 40]},
        {"shape": [-1, 1]},
        {"group": 1 << 30},
        {"group": 64},
        {"group": None},
        {"axis": 5},
        {"bits": 1 << 40},
        {"dtype": "int8"},
        {"dtype": "int2"},
        {"dtype": "float16"},
        {"dtype": "int32"},
    ],
    ids=str,
)
def test_a_file_that_says_another_grid_is_refused(linear, tmp_path, change):
    path = save_program(with_grid(linear, grouped), tmp_path / "p")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "q", "w") as new:
        meta = json.loads(old.read("meta.json"))
        meta["quant"]["p_weight"] |= change
        for name in old.namelist():
            new.writestr(name, json.dumps(meta) if name == "meta.json" else old.read(name))
    with pytest.raises(ProgramError):
        load_program(tmp_path / "q")


def test_an_archive_of_the_first_format_is_read(linear, tmp_path):
    program = with_grid(linear, grouped)
    path = save_program(program, tmp_path / "p")
    from safetensors.torch import load, save

    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "q", "w") as new:
        meta = json.loads(old.read("meta.json"))
        meta["format"] = 1
        tensors = load(old.read("tensors.safetensors"))
        del tensors["stored/p_weight"], meta["quant"]["p_weight"]["shape"]
        tensors["constant/p_weight"] = program.constants["p_weight"]
        parts = {"meta.json": json.dumps(meta).encode(), "tensors.safetensors": save(tensors)}
        for name in old.namelist():
            new.writestr(name, parts.get(name, old.read(name)))
    assert load_program(tmp_path / "q").digest == program.digest
