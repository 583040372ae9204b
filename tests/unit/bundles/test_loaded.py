"""A loaded bundle takes what people pass: tensors, lists, several rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.bundles.files_given import kind_of, require_arrays
from edgeopt.errors import InputError


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    data = torch.randn(30, 4)
    place = tmp_path_factory.mktemp("loaded") / "b"
    program = edgeopt.capture(model, data[:1])
    edgeopt.compile(program, "host", backend="reference", output=place)
    return place, model, data


def test_tensors_are_answered_with_tensors(bundle):
    place, model, data = bundle
    with edgeopt.load(place) as run:
        scores = run(data[:1].requires_grad_())
        assert isinstance(scores, torch.Tensor)
        torch.testing.assert_close(scores, model(data[:1]).detach())
        assert isinstance(run(data[:1].detach().numpy()), np.ndarray)
        np.testing.assert_array_equal(run(data[:1].tolist()), run(data[:1].detach().numpy()))


def test_several_rows_are_run_one_after_the_other(bundle):
    place, model, data = bundle
    with edgeopt.load(place) as run:
        torch.testing.assert_close(run(data), model(data).detach())
        assert run(data[:2].detach().numpy()).shape == (2, 3)


@pytest.mark.parametrize("shape", [(0, 4), (4,), (2, 5), (1, 4, 1)])
def test_what_does_not_fit_is_refused(bundle, shape):
    with edgeopt.load(bundle[0]) as run, pytest.raises(InputError, match="expected float32"):
        run(np.zeros(shape, np.float32))


def test_another_type_is_refused(bundle):
    with edgeopt.load(bundle[0]) as run, pytest.raises(InputError, match="expected float32"):
        run(np.zeros((1, 4), np.float64))


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.jpg", b"\xff\xd8\xff\xe0..", "picture"),
        ("a.npy", b"\xff\xd8\xff\xe0..", "picture"),
        ("a.png", b"\x89PNG....", "picture"),
        ("a.webp", b"RIFF1234WEBP", "picture"),
        ("a.wav", b"RIFF1234WAVE", "sound"),
        ("a.txt", b"hello\nworld\n", "text"),
        ("e.npy", b"", "empty"),
        ("o.bin", bytes(range(64)), "other"),
    ],
)
def test_what_is_no_array_is_named(tmp_path, name, content, kind):
    path = tmp_path / name
    path.write_bytes(content)
    assert kind_of(path) == kind
    with pytest.raises(InputError) as caught:
        require_arrays(path, kind)
    assert "pickle" not in str(caught.value)
    assert caught.value.hint


def test_a_folder_and_nothing_are_named(tmp_path):
    for path, what in ((tmp_path, "it is a folder"), (tmp_path / "no.npy", "no such file")):
        with pytest.raises(InputError, match=what):
            require_arrays(path, kind_of(path))


def test_arrays_are_let_through(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    for name in ("x.npy", "x.npz"):
        require_arrays(tmp_path / name, kind_of(tmp_path / name))
