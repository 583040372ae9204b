"""Files that somebody else wrote: none may run anything when it is opened."""

from __future__ import annotations

import io
import json
import os
import zipfile

import pytest
import torch
from torch import nn

from edgeopt.errors import InputError, ProgramError
from edgeopt.ir import capture_module, load_program, save_program
from edgeopt.ir.untrusted import load_exported

FLAG = "EDGEOPT_TEST_EXECUTED"
CODE = f"__import__('os').environ.__setitem__('{FLAG}','1')"


class Evil:
    def __reduce__(self):
        return (eval, (CODE,))


@pytest.fixture(autouse=True)
def nothing_was_executed(monkeypatch):
    monkeypatch.delenv(FLAG, raising=False)
    yield
    assert FLAG not in os.environ


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("pt2") / "model.pt2"
    torch.export.save(torch.export.export(model, (torch.randn(1, 3, 8, 8),)), path)
    return path


def rewritten(path, into, change):
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(into, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return into


def pickled_inputs(name, content):
    if "sample_inputs" not in name:
        return content
    stream = io.BytesIO()
    torch.save((Evil(),), stream)
    return stream.getvalue()


def pickled_weight(name, content):
    if name.endswith("weights_config.json"):
        config = json.loads(content)
        next(iter(config["config"].values()))["use_pickle"] = True
        return json.dumps(config).encode()
    if name.endswith("weights/weight_0"):
        stream = io.BytesIO()
        torch.save(Evil(), stream)
        return stream.getvalue()
    return content


def graph_changed(old, new):
    def change(name, content):
        if not name.endswith(("models/model.json", "program.json")):
            return content
        assert old in content
        return content.replace(old, new, 1)

    return change


HOSTILE_NAME = graph_changed(b'"name": "input"', f'"name": "input={CODE}"'.encode())
HOSTILE_DIMENSION = graph_changed(
    b'{"as_int": 8}', f'{{"as_expr": {{"expr_str": "{CODE}", "hint": null}}}}'.encode()
)


def test_an_honest_file_answers_as_the_model(saved, model):
    x = torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(load_exported(saved).module()(x), model(x))


def test_torch_itself_would_execute_it(saved, tmp_path, monkeypatch):
    """Why this loader exists; when this fails, torch has become safe."""
    path = rewritten(saved, tmp_path / "evil.pt2", HOSTILE_DIMENSION)
    with pytest.raises(Exception):  # noqa: B017, PT011 (whatever comes after it ran)
        torch.export.load(path)
    assert os.environ.get(FLAG) == "1"
    monkeypatch.delenv(FLAG)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (pickled_inputs, "more than tensors"),
        (pickled_weight, "more than tensors"),
        (HOSTILE_NAME, "a value is called"),
        (HOSTILE_DIMENSION, "a dimension is the expression"),
    ],
    ids=["inputs", "weight", "name", "dimension"],
)
def test_hostile_files_are_refused(saved, tmp_path, change, says):
    path = rewritten(saved, tmp_path / "evil.pt2", change)
    with pytest.raises(InputError, match=says):
        load_exported(path)


def test_code_in_guards_is_dropped(saved, tmp_path):
    def guarded(name, content):
        if not name.endswith("models/model.json"):
            return content
        return json.dumps({**json.loads(content), "guards_code": [CODE]}).encode()

    exported = load_exported(rewritten(saved, tmp_path / "evil.pt2", guarded))
    exported.module()(torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize("prefix", ["data/aotinductor/model/x.so", "data/constants/custom_obj_0"])
def test_compiled_code_and_objects_are_refused(saved, tmp_path, prefix):
    path = rewritten(saved, tmp_path / "evil.pt2", lambda _, content: content)
    with zipfile.ZipFile(path, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/{prefix}", b"\x7fELF")
    with pytest.raises(InputError, match=prefix.rpartition("/")[2]):
        load_exported(path)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\3\4 but no more"])
def test_what_is_no_such_file_is_refused(tmp_path, content):
    path = tmp_path / "model.pt2"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.pt2"):
        load_exported(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_exported(tmp_path / "none.pt2")


@pytest.mark.parametrize(
    "change",
    [
        graph_changed(b'"name": "input"', f'"name": "input={CODE}"'.encode()),
        HOSTILE_DIMENSION,
    ],
)
def test_program_archives_are_checked_likewise(model, tmp_path, change):
    program = capture_module(model, torch.randn(1, 3, 8, 8))
    path = save_program(program, tmp_path / "program.zip")
    assert load_program(path).digest == program.digest
    with pytest.raises(ProgramError, match=r"called|expression"):
        load_program(rewritten(path, tmp_path / "evil.zip", change))
