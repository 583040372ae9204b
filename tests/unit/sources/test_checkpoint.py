"""Checkpoints of torch.save are read as it would read them, and nothing in them is run."""

from __future__ import annotations

import collections
import os
import pickle
import struct

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edgeopt.boundary.pickles import Described, Named, PickleError, decode_pickle
from edgeopt.errors import InputError
from edgeopt.sources.checkpoint import module_state, read_state
from edgeopt.sources.torch_save import read_checkpoint


def network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    model.register_buffer("passing", torch.ones(3), persistent=False)
    model[3].half()
    model.register_parameter("scale", nn.Parameter(torch.tensor(2.0)))
    return model


def same(ours, theirs):
    assert ours
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[n], theirs[n]) and ours[n].dtype == theirs[n].dtype for n in ours)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: model.state_dict(),
        lambda model: model,
        lambda model: {"state_dict": model.state_dict(), "optimizer": {"lr": 0.1}, "epoch": 3},
        lambda model: {"epoch": 3, "model": model, "ema": None},
        lambda model: {"model_state": collections.OrderedDict(model.state_dict())},
    ],
)
def test_the_weights_of_each_form(tmp_path, wrap, zipped):
    model = network()
    torch.save(wrap(model), tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    same(read_state(tmp_path / "a.pt"), model.state_dict())


def test_safetensors(tmp_path):
    state = network().state_dict()
    save_file(state, tmp_path / "a.safetensors")
    same(read_state(tmp_path / "a.safetensors"), state)


def test_views_of_one_storage_stay_views(tmp_path):
    whole = torch.arange(12.0)
    torch.save({"a": whole[2:8].view(2, 3).T, "b": whole}, tmp_path / "a.pt")
    kept = read_state(tmp_path / "a.pt")
    assert torch.equal(kept["a"], whole[2:8].view(2, 3).T)
    assert kept["a"].untyped_storage().data_ptr() == kept["b"].untyped_storage().data_ptr()


class Bomb:
    """Unpickling it makes a folder."""

    def __reduce__(self):
        return os.mkdir, ("was-run",)


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_is_called_or_imported(tmp_path, monkeypatch, zipped):
    monkeypatch.chdir(tmp_path)
    state = {"weight": torch.ones(2)}
    torch.save(
        {"state_dict": state, "extra": Bomb()},
        "a.pt",
        _use_new_zipfile_serialization=zipped,
    )
    same(read_state("a.pt"), state)
    extra = read_checkpoint("a.pt")["extra"]
    assert isinstance(extra, Described)
    assert extra.kind == "posix.mkdir"
    assert not (tmp_path / "was-run").exists()


def test_what_is_no_module_has_no_weights(tmp_path):
    torch.save(Bomb(), tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"is no torch\.nn\.Module"):
        read_state(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no checkpoint"),
        (b"PK\3\4 and no more", "not a whole .zip"),
        (b"\x80\x02K\x01.", "no file of torch.save"),
        (pickle.dumps([[]] * 3, 2), "no file of torch.save"),
        (b"\x80\x02" + b"(" * 9, "no end|not exhausted|exhausted"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, content, says):
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        read_state(tmp_path / "a.pt")
    assert "a.pt" in str(caught.value)


def test_a_dictionary_of_other_things_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(InputError, match="no weights") as caught:
        read_state(tmp_path / "a.pt")
    assert "save_file" in str(caught.value)


def test_a_tensor_beyond_its_storage_is_refused(tmp_path):
    torch.save({"a": torch.zeros(4)}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    raw = (tmp_path / "a.pt").read_bytes()
    wrong = raw.replace(b"K\x04\x85", b"K\x09\x85", 1)
    assert wrong != raw
    (tmp_path / "a.pt").write_bytes(wrong)
    with pytest.raises(InputError, match="a tensor of"):
        read_state(tmp_path / "a.pt")


def test_storages_larger_than_the_file_are_not_allocated(tmp_path):
    torch.save({"a": torch.zeros(4)}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    raw = (tmp_path / "a.pt").read_bytes()
    wrong = raw.replace(b"cpu", b"cpu", 1).replace(
        b"K\x04Nt", b"J" + struct.pack("<i", 1 << 30) + b"Nt", 1
    )
    assert wrong != raw
    (tmp_path / "a.pt").write_bytes(wrong)
    with pytest.raises(InputError, match="larger than the file"):
        read_state(tmp_path / "a.pt")


def test_a_module_that_holds_itself_ends(tmp_path):
    one = Described("a.B", state={"_modules": {}, "_parameters": {"w": torch.ones(1)}})
    one.state["_modules"]["again"] = one
    with pytest.raises(InputError, match=r"is no torch\.nn\.Module"):
        module_state(one)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_are_as_pickle_has_them(protocol):
    plain = {
        "a": [1, 2.5, None, True],
        "b": ("x", {"y": {3}}),
        "c": b"z",
        "d": 2**40,
        "e": "ü" * 300,
    }
    if protocol == 2:
        plain = {key: value for key, value in plain.items() if key not in {"b", "c"}}
    assert decode_pickle(pickle.dumps(plain, protocol)) == plain


def test_names_stay_names():
    assert decode_pickle(pickle.dumps(os.system, 2)) == Named("posix.system")
    with pytest.raises(PickleError):
        decode_pickle(b"\x80\x02}K\x01K\x02b.")  # a state for a number
