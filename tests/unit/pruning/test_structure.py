from __future__ import annotations

import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.errors import InputError


@pytest.fixture
def saved(net, example, data, tmp_path):
    result = edgeopt.prune(net, example, ratio=0.4, calibration_data=data)
    return result, result.save(tmp_path / "small")


def test_it_comes_back_from_another_initialisation(saved, make_net, example):
    result, folder = saved
    assert {p.name for p in folder.iterdir()} == {"structure.json", "weights.safetensors"}
    loaded = edgeopt.load_pruned(folder, make_net(seed=9))
    torch.testing.assert_close(loaded(example), result.module(example))
    again = edgeopt.load_pruned(folder, lambda: make_net(seed=8))
    torch.testing.assert_close(again(example), result.module(example))


def test_one_is_replaced_as_a_whole(saved, make_net, example, monkeypatch):
    result, folder = saved

    def full(*_):
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr("safetensors.torch.save_file", full)
        with pytest.raises(OSError, match="no space"):
            result.save(folder)
    torch.testing.assert_close(
        edgeopt.load_pruned(folder, make_net)(example), result.module(example)
    )
    with torch.no_grad():
        for parameter in result.module.parameters():
            parameter.add_(1)
    result.save(folder)
    torch.testing.assert_close(
        edgeopt.load_pruned(folder, make_net)(example), result.module(example)
    )
    assert sorted(p.name for p in folder.parent.iterdir()) == ["small"]


def test_a_folder_with_anything_else_is_left_alone(saved, tmp_path):
    result, _ = saved
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="holds something else"):
        result.save(tmp_path)


def test_a_transformer_comes_back(make_vit, tmp_path):
    x = torch.randn(1, 3, 32, 32)
    result = edgeopt.prune(make_vit(), x, ratio=0.5, scope="layer", calibration_data=[x])
    loaded = edgeopt.load_pruned(result.save(tmp_path / "vit"), make_vit)
    torch.testing.assert_close(loaded(x).logits, result.module(x).logits)


def test_shared_weights_stay_shared(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.mid = nn.Linear(6, 8), nn.Linear(8, 8)
            self.last, self.twin = nn.Linear(8, 6), nn.Linear(8, 6)
            self.twin.weight = self.last.weight

        def forward(self, x):
            y = self.mid(self.first(x).relu())
            return self.last(y) + self.twin(y)

    x = torch.randn(2, 6)
    result = edgeopt.prune(Tied(), x, ratio={"first": 0.5}, calibration_data=[x])
    loaded = edgeopt.load_pruned(result.save(tmp_path / "tied"), Tied)
    assert loaded.first.out_features == 4
    assert loaded.twin.weight is loaded.last.weight
    torch.testing.assert_close(loaded(x), result.module(x))


def test_another_model_is_refused(saved, make_net):
    _, folder = saved
    other = make_net()
    other.hidden = nn.Linear(64, 30)
    with pytest.raises(InputError, match=r"hidden: out_features is 30, it was 24"):
        edgeopt.load_pruned(folder, other)
    bare = make_net()
    del bare.blocks[1]
    with pytest.raises(InputError, match=r"blocks\.1"):
        edgeopt.load_pruned(folder, bare)
    more = make_net()
    more.extra = nn.Linear(2, 2)
    with pytest.raises(InputError, match="not in the saved weights"):
        edgeopt.load_pruned(folder, more)


def test_a_damaged_folder_is_refused(saved, make_net, tmp_path):
    _, folder = saved
    with pytest.raises(InputError, match="cannot be read"):
        edgeopt.load_pruned(tmp_path / "nowhere", make_net())
    (folder / "weights.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="damaged"):
        edgeopt.load_pruned(folder, make_net())
    (folder / "structure.json").write_text('{"format": 1, "evil": 2}')
    with pytest.raises(InputError, match="damaged"):
        edgeopt.load_pruned(folder, make_net())
