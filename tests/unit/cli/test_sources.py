from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from edgeopt.cli.sources import load_data, load_function, load_model
from edgeopt.errors import CalibrationError, InputError, ProgramError
from edgeopt.ir import Program, save_program
from edgeopt.options import Preprocess
from edgeopt.testing.specimens import float_program, specimen


def test_a_function_may_return_a_tuple_a_dict_or_a_model(folder):
    full = load_model("toy_models:make")
    assert isinstance(full.model, torch.nn.Module)
    assert full.example_inputs is not None
    assert len(full.calibration_data) == 24
    assert full.evaluate is None
    assert callable(load_model("toy_models:as_dict").evaluate)
    assert load_model("toy_models:bare").example_inputs is None


def test_a_pt2_file(folder):
    held = specimen("perceptron")
    torch.export.save(torch.export.export(held.model, held.example), folder / "model.pt2")
    assert isinstance(load_model("model.pt2").model, torch.export.ExportedProgram)


def test_a_program_archive(folder):
    program = float_program("perceptron")
    save_program(program, folder / "program.zip")
    loaded = load_model("program.zip").model
    assert isinstance(loaded, Program)
    assert loaded.digest == program.digest


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("toy_models:mkae", 'did you mean "make"'),
        ("toy_models:number", "expected a function"),
        ("toy_models:boom", "ValueError: no weights here"),
        ("toy_models:needs", "must take no arguments"),
        ("toy_models:nothing", "returned nothing"),
        ("toy_modells:make", "there is no module toy_modells"),
        ("broken_models:make", "not_installed_anywhere"),
        ("toy_models", "no such file"),
        ("none.pt2", "no such file"),
        (":make", "package.module:function"),
    ],
)
def test_what_cannot_be_loaded_says_why(folder, spec, says):
    with pytest.raises(InputError, match=says) as caught:
        load_model(spec)
    assert spec in str(caught.value)


def test_another_file_is_refused(folder):
    (folder / "model.pth").write_bytes(b"\x80\x02pickle")
    with pytest.raises(InputError, match="neither"):
        load_model("model.pth")


def test_a_zip_of_something_else_is_refused(folder):
    np.savez(folder / "arrays.npz", x=np.ones(3))
    with pytest.raises(ProgramError):
        load_model("arrays.npz")


def test_arrays_in_one_file(folder):
    np.save(folder / "x.npy", np.ones((5, 3), np.float32))
    (only,) = load_data("x.npy")
    assert only.shape == (5, 3)
    np.savez(folder / "one.npz", whatever=np.ones((5, 3), np.float32))
    assert next(iter(load_data("one.npz"))).shape == (5, 3)
    np.savez(folder / "named.npz", ids=np.ones(2), mask=np.zeros(2))
    assert set(next(iter(load_data("named.npz")))) == {"ids", "mask"}
    np.savez(folder / "placed.npz", np.ones(2), np.zeros(3))
    assert [a.shape for a in next(iter(load_data("placed.npz")))] == [(2,), (3,)]


def test_a_folder_gives_one_item_a_file_and_can_be_read_twice(folder):
    (folder / "data").mkdir()
    for name, value in (("b", 2.0), ("a", 1.0)):
        np.save(folder / "data" / f"{name}.npy", np.full(1, value))
    (folder / "data" / "notes.txt").write_text("ignored")
    data = load_data("data")
    for _ in range(2):
        assert [float(item[0]) for item in data] == [1.0, 2.0]


def test_a_function_gives_data(folder):
    assert len(load_data("toy_models:data")) == 24


def test_pickled_arrays_are_not_read(folder):
    np.save(folder / "evil.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(CalibrationError, match="not an array file"):
        list(load_data("evil.npy"))


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\x93NUMPY"])
def test_damaged_arrays_are_named(folder, content):
    (folder / "bad.npz").write_bytes(content)
    with pytest.raises(CalibrationError, match=r"bad\.npz"):
        list(load_data("bad.npz"))


def test_an_empty_folder_and_no_folder(folder):
    (folder / "empty").mkdir()
    with pytest.raises(CalibrationError, match=r"no \.npy or"):
        load_data("empty")
    with pytest.raises(InputError, match="no calibration data"):
        load_data("photos")
    with pytest.raises(InputError, match="no such file"):
        load_data("photos.npz")


def test_functions_are_found_in_the_current_folder(folder):
    assert load_function("toy_models:bad_score").__name__ == "bad_score"


def test_of_a_python_file_the_function_is_asked_for(folder):
    (folder / "mine.py").write_text("def make(): ...")
    with pytest.raises(InputError, match="mine:FUNCTION"):
        load_model("mine.py")


def test_a_folder_is_no_model(folder):
    (folder / "bundle").mkdir()
    with pytest.raises(InputError, match="a folder, and no model"):
        load_model("bundle")


def test_one_picture_is_calibration_data(tmp_path):
    picture = tmp_path / "photo.JPG"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(picture, "JPEG")
    data = load_data(str(picture)).prepared(Preprocess(input="x", resize=8))
    (one,) = data
    assert next(iter(one.values()) if isinstance(one, dict) else iter([one])) is not None
    assert len(data) == 1


def test_of_one_picture_it_must_be_known_how_it_is_prepared(tmp_path):
    picture = tmp_path / "photo.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(picture)
    with pytest.raises(InputError, match=r"edgeopt\.pictures"):
        load_data(str(picture)).prepared(None)
