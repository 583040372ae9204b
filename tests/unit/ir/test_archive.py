"""Programs on disk: whole, without pickle, and nothing half-read."""

import dataclasses
import json
import os
import pickletools
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.errors import ProgramError
from edgeopt.ir import (
    ReferenceRunner,
    Sparsity,
    archive,
    capture_module,
    load_program,
    save_program,
)

X = np.linspace(-2, 2, 32, dtype=np.float32).reshape(1, 2, 4, 4)


@pytest.fixture
def rich(small_int8):
    """A program with something in every field."""
    stepped = small_int8.with_step("prune", {"keep": 0.5}, {"lost": [1, 2.5, None]})
    return replace(stepped, sparsity={"p_0_weight": Sparsity("2:4", 0.5)})


def rewritten(path, into, **changes):
    """Copies an archive with other members; None leaves one out."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(into, "w") as new:
        for name in old.namelist():
            content = changes.get(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return into


def meta_of(path):
    with zipfile.ZipFile(path) as held:
        return json.loads(held.read("meta.json"))


def test_everything_comes_back(tmp_path, rich):
    loaded = load_program(save_program(rich, tmp_path / "p.edgeopt"))
    assert (loaded.digest, loaded.text) == (rich.digest, rich.text)
    assert loaded.signature == rich.signature
    assert loaded.history == rich.history
    assert dict(loaded.sparsity) == dict(rich.sparsity)
    assert loaded.precision == "int8"
    for name, spec in rich.quant.items():
        assert loaded.quant[name].same_grid(spec)
        assert loaded.quant[name].method == spec.method
    assert (ReferenceRunner(loaded)(X) == ReferenceRunner(rich)(X)).all()


def test_source_lines_come_back(tmp_path, rich):
    from edgeopt.ir.source import module_path, source_line

    loaded = load_program(save_program(rich, tmp_path / "p"))
    for node in rich.graph.nodes:
        assert source_line(loaded.node(node.name)) == source_line(node)
        assert module_path(loaded.node(node.name)) == module_path(node)


@pytest.mark.parametrize(
    "make",
    [
        lambda: (nn.LSTM(3, 4, batch_first=True), torch.ones(1, 2, 3)),
        lambda: (nn.MultiheadAttention(4, 2), (torch.ones(2, 1, 4),) * 3),
        lambda: (nn.Embedding(5, 3), torch.tensor([[1, 2]])),
        lambda: (nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last), torch.ones(1, 3, 5, 5)),
        lambda: (nn.Identity(), torch.ones(2)),
    ],
    ids=["lstm", "attention", "embedding", "channels last", "identity"],
)
def test_other_programs_come_back(tmp_path, make):
    model, x = make()
    program = capture_module(model.eval(), x)
    loaded = load_program(save_program(program, tmp_path / "p"))
    assert loaded.digest == program.digest
    assert loaded.signature == program.signature


def test_none_among_the_outputs_comes_back(tmp_path, written):
    program = capture_module(written(lambda _, x: (x + 1, None, 3)), (torch.ones(2),))
    loaded = load_program(save_program(program, tmp_path / "p"))
    assert loaded.digest == program.digest
    assert ReferenceRunner(loaded)(np.zeros(2, np.float32)).tolist() == [1, 1]


def test_the_same_program_is_the_same_bytes(tmp_path, rich):
    one = save_program(rich, tmp_path / "one").read_bytes()
    assert save_program(rich, tmp_path / "two").read_bytes() == one
    again = save_program(load_program(tmp_path / "one"), tmp_path / "three")
    assert again.read_bytes() == one


def test_no_part_is_a_pickle(tmp_path, rich):
    with zipfile.ZipFile(save_program(rich, tmp_path / "p")) as held:
        assert sorted(held.namelist()) == ["meta.json", "program.json", "tensors.safetensors"]
        for name in held.namelist():
            with pytest.raises((ValueError, IndexError)):
                list(pickletools.genops(held.read(name)))


def test_loading_never_unpickles(tmp_path, rich, monkeypatch):
    import pickle

    path = save_program(rich, tmp_path / "p")

    def refuse(*args, **kwargs):
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    assert load_program(path).digest == rich.digest


def test_paths_of_this_machine_are_not_in_it(tmp_path, rich):
    content = save_program(rich, tmp_path / "p").read_bytes()
    assert str(Path(torch.__file__).parents[1]).encode() not in content
    assert str(tmp_path).encode() not in content


def test_damage_anywhere_is_found_or_harmless(tmp_path, rich):
    """One bit of one byte in each stretch of 40 is turned over, over the whole file."""
    whole = save_program(rich, tmp_path / "p").read_bytes()
    damaged, said = tmp_path / "damaged", []
    for at in range(7, len(whole), 40):
        content = bytearray(whole)
        content[at] ^= 1 << (at % 8)
        damaged.write_bytes(content)
        try:
            loaded = load_program(damaged)
        except ProgramError as error:
            said.append(str(error))
        else:
            assert loaded.digest == rich.digest
            assert (loaded.history, loaded.signature) == (rich.history, rich.signature)
    assert len(said) > 0.9 * len(range(7, len(whole), 40))
    assert all(str(damaged) in text for text in said)


def test_a_file_cut_short_is_refused(tmp_path, rich):
    whole = save_program(rich, tmp_path / "p").read_bytes()
    short = tmp_path / "short"
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        short.write_bytes(whole[:size])
        with pytest.raises(ProgramError):
            load_program(short)


@pytest.mark.parametrize("name", ["meta.json", "program.json", "tensors.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b"null", b"\xff" * 64, b"[" * 10**5])
def test_a_member_that_is_missing_or_nonsense(tmp_path, rich, name, content):
    path = save_program(rich, tmp_path / "p")
    with pytest.raises(ProgramError):
        load_program(rewritten(path, tmp_path / "q", **{name: content}))


@pytest.mark.parametrize(
    "change",
    [
        {"format": 3},
        {"digest": "0" * 64},
        {"digest": None},
        {"precision": "int4"},
        {"signature": {"inputs": [], "outputs": []}},
        {"quant": {}},
        {"quant": {"linear": {"dtype": "int8"}}},
        {"names": {}},
        {"history": [{"no": "name"}]},
    ],
    ids=str,
)
def test_changed_facts(tmp_path, rich, change):
    path = save_program(rich, tmp_path / "p")
    meta = json.dumps({**meta_of(path), **change}).encode()
    with pytest.raises(ProgramError):
        load_program(rewritten(path, tmp_path / "q", **{"meta.json": meta}))


def test_a_newer_format_says_what_to_do(tmp_path, rich):
    path = save_program(rich, tmp_path / "p")
    meta = json.dumps({**meta_of(path), "format": 99}).encode()
    with pytest.raises(
        ProgramError, match="format 99; this edgeopt reads formats 1 and 2"
    ) as caught:
        load_program(rewritten(path, tmp_path / "q", **{"meta.json": meta}))
    assert "write it again" in caught.value.hint


def test_other_weights_are_found(tmp_path, rich):
    from safetensors.torch import load, save

    path = save_program(rich, tmp_path / "p")
    with zipfile.ZipFile(path) as held:
        tensors = load(held.read("tensors.safetensors"))
    tensors["constant/p_4_bias"] += rich.quant["p_4_bias"].scale
    changed = rewritten(path, tmp_path / "q", **{"tensors.safetensors": save(tensors)})
    with pytest.raises(ProgramError, match="does not match its digest"):
        load_program(changed)


def test_a_giant_member_is_not_read(tmp_path, rich, monkeypatch):
    path = save_program(rich, tmp_path / "p")
    monkeypatch.setitem(archive._CAPS, "program.json", 100)
    with pytest.raises(ProgramError, match=r"program\.json is larger than 100 bytes"):
        load_program(path)


def with_graph(path, into, change):
    with zipfile.ZipFile(path) as held:
        graph = json.loads(held.read("program.json"))
    change(graph["graph_module"]["graph"])
    return rewritten(path, into, **{"program.json": json.dumps(graph).encode()})


@pytest.mark.parametrize(
    "target",
    [
        "torch.os.system",
        "torch.hub.load",
        "torch.ops.load_library",
        "torch.ops.load_library.__func__",
        "torch.ops.aten.save.default",
        "torch.ops.aten.from_file.default",
        "_operator.methodcaller",
        "builtins.print",
        "math.__loader__",
        "#",
    ],
)
def test_a_graph_that_calls_something_else(tmp_path, rich, target):
    path = save_program(rich, tmp_path / "p")

    def change(graph):
        graph["nodes"][-1]["target"] = target

    with pytest.raises(ProgramError):
        load_program(with_graph(path, tmp_path / "q", change))


def test_a_failed_write_leaves_what_was_there(tmp_path, rich, small, monkeypatch):
    path = save_program(small, tmp_path / "p")
    before = path.read_bytes()

    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        save_program(rich, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["p"]


def test_folders_are_made(tmp_path, small):
    assert load_program(save_program(small, tmp_path / "a" / "b" / "p")).digest == small.digest


@pytest.mark.parametrize("kind", ["missing", "folder", "text"])
def test_what_is_no_archive(tmp_path, kind):
    path = tmp_path / "p"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("not an archive")
    with pytest.raises(ProgramError) as caught:
        load_program(path)
    assert str(path) in str(caught.value)


@dataclasses.dataclass
class Scores:
    """What a model may return."""

    logits: torch.Tensor
    extra: torch.Tensor | None = None


@pytest.mark.slow
def test_a_model_that_returns_a_dataclass_is_read_where_nobody_knows_that_class(tmp_path):
    class Returns(torch.nn.Module):
        def forward(self, x):
            return Scores(x + 1)

    program = capture_module(Returns().eval(), (torch.zeros(1, 2),))
    path = save_program(program, tmp_path / "p.zip")
    script = (
        "import sys; from edgeopt.ir import load_program; "
        "p = load_program(sys.argv[1]); print(p.exported.call_spec.out_spec, p.digest)"
    )
    said = subprocess.run(  # a process without this module
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    assert "logits" in said.stdout
    assert program.digest in said.stdout
