"""One model to several targets."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.errors import InputError, PluginError, TargetError

X = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))


def deploy(target, **more):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    given = {"backend": "tflite", "example_inputs": X[:1], "checks": {"speed": False}, **more}
    return edgeopt.deploy(model, target, **given)


@pytest.mark.parametrize("form", [list, tuple])
def test_each_gets_its_deployment_in_its_own_folder(tmp_path, form):
    data = (x for x in X.split(1))  # read once: each target sees it all the same
    done = deploy(form(["rpi4", "rpi5"]), output=tmp_path / "out", calibration_data=data)
    assert list(done) == ["rpi4", "rpi5"]
    assert {one.precision for one in done.values()} == {"int8"}
    assert done["rpi4"].bundle.path == tmp_path / "out" / "rpi4"
    assert done["rpi5"].bundle.path == tmp_path / "out" / "rpi5"
    assert str(done).count("backend  ") == 2


def test_zip_files_are_beside_each_other(tmp_path):
    done = deploy(["rpi4", "rpi5"], output=tmp_path / "out.zip")
    assert [one.bundle.path.name for one in done.values()] == ["out-rpi4.zip", "out-rpi5.zip"]


@pytest.mark.parametrize(
    ("targets", "kind", "said"),
    [
        (["rpi4", "rp5"], TargetError, "rpi5"),
        (["rpi4", "raspberry-pi-4"], (InputError, TargetError), "rpi4"),
        ([], InputError, "no target"),
    ],
    ids=["unknown", "twice", "none"],
)
def test_wrong_names_are_told_before_any_work(tmp_path, targets, kind, said):
    with pytest.raises(kind, match=said):
        deploy(targets, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_that_fails_loses_no_other(tmp_path, monkeypatch):
    from edgeopt.deployment import deploy as module

    whole = module.run_deployment

    def fails(model, target, request):
        if target.name == "rpi4":
            raise PluginError("the toolchain fell over")
        return whole(model, target, request)

    monkeypatch.setattr(module, "run_deployment", fails)
    with pytest.raises(PluginError, match="fell over") as caught:
        deploy(["rpi4", "rpi5"], output=tmp_path / "out")
    assert "deploying to rpi4" in caught.value.__notes__[0]
    assert str(tmp_path / "out" / "rpi5") in caught.value.__notes__[1]
    assert (tmp_path / "out" / "rpi5").is_dir()
