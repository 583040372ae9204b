"""One bundle for several shapes: the same numbers, filled up and cut where that was seen to change nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.bundles import read_bundle
from edgeopt.errors import (
    BundleError,
    CalibrationError,
    CaptureError,
    ConfigError,
    InputError,
)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 16, 3, padding=1), nn.Linear(16, 5)

    def forward(self, x):
        return self.last(self.conv(x).relu().mean((2, 3)))


class Encoder(nn.Module):
    """Attention with a mask: what is filled up is not looked at."""

    def __init__(self):
        super().__init__()
        self.table, self.heads = (
            nn.Embedding(50, 16),
            nn.MultiheadAttention(16, 2, batch_first=True),
        )
        self.last = nn.Linear(16, 4)

    def forward(self, ids, mask):
        x = self.table(ids)
        hidden = self.heads(x, x, x, key_padding_mask=mask == 0, need_weights=False)[0]
        weight = mask.unsqueeze(-1).float()
        return hidden, self.last((hidden * weight).sum(1) / weight.sum(1))


torch.manual_seed(0)
CLASSIFIER, ENCODER = Classifier().eval(), Encoder().eval()
PICTURES = [torch.randn(1, 3, 16, 16) for _ in range(24)]


def text(length, rows=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 50, (rows, length), generator=generator)
    return {"ids": ids, "mask": torch.ones(rows, length, dtype=torch.int64)}


def deploy(model=CLASSIFIER, **options):
    usual = {"backend": "reference", "calibration_data": PICTURES, "precision": "int8"}
    options = {**usual, **options}
    return edgeopt.deploy(model, "host", checks={"speed": False}, **options)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "bundle"
    shapes = edgeopt.Shapes(batches=(4,), sizes=("24x8",))
    return deploy(example_inputs=PICTURES[0], shapes=shapes, output=path)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "bundle"
    data = [text(length, seed=seed) for seed in range(12) for length in (8, 16, 32)]
    return deploy(
        ENCODER,
        example_inputs=text(16),
        calibration_data=iter(data),
        shapes={"lengths": (8, 32)},
        output=path,
    )


def test_each_shape_is_checked_and_told(pictures):
    shapes = [program.shapes[0] for program in pictures.programs]
    assert shapes == [(4, 3, 16, 16), (1, 3, 24, 8)]
    assert all(program.parity.ok for program in pictures.programs)
    assert "program 2  forward 4x3x16x16" in str(pictures)
    assert [one["checked_on"] for one in pictures.report()["programs"]] == [
        "samples not calibrated on",
        "example input",
    ]


def test_rows_are_those_of_one_alone(pictures):
    runner = edgeopt.load(pictures.bundle)
    rows = np.concatenate([picture.numpy() for picture in PICTURES[:11]])
    alone = np.concatenate([runner(row[None]) for row in rows])
    for count in (1, 2, 4, 7, 11):
        np.testing.assert_array_equal(runner(rows[:count]), alone[:count])


def test_pictures_are_not_filled_up_with_black(pictures):
    runner = edgeopt.load(pictures.bundle)
    assert runner(np.zeros((1, 3, 24, 8), np.float32)).shape == (1, 5)
    with pytest.raises(InputError, match=r"shape \[1, 3, 20, 8\]") as caught:
        runner(np.zeros((1, 3, 20, 8), np.float32))
    assert "[1, 3, 24, 8]" in str(caught.value)


class Recurrent(nn.Module):
    """Axis 0 counts steps: zeros after them change nothing, and a turn would forget what was before."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 8)

    def forward(self, x):
        return self.lstm(x)[0]


class Together(nn.Module):
    def forward(self, x):
        return x.softmax(0) + 1.0


def test_steps_are_filled_up_and_never_computed_in_turns():
    model, inputs = Recurrent().eval(), torch.randn(9, 1, 4)
    done = deploy(model, example_inputs=inputs[:4], precision="float32", calibration_data=None,
                  shapes={"examples": [inputs[:8]]})  # fmt: skip
    runner = edgeopt.load(done.bundle)
    for steps in (3, 4, 6, 8):
        expected = model(inputs[:steps]).detach().numpy()
        np.testing.assert_allclose(runner(inputs[:steps].numpy()), expected, atol=1e-5)
    with pytest.raises(InputError, match="no program takes"):
        runner(inputs.numpy())


def test_rows_that_depend_on_each_other_are_not_filled_up():
    done = deploy(Together().eval(), example_inputs=torch.randn(2, 4), precision="float32",
                  calibration_data=None, shapes={"batches": (4,)})  # fmt: skip
    runner = edgeopt.load(done.bundle)
    for rows in (3, 6):
        with pytest.raises(InputError, match="no program takes"):
            runner(np.zeros((rows, 4), np.float32))


@pytest.mark.parametrize("length", [7, 8, 11, 16, 20, 32])
def test_a_text_of_any_length_goes_into_the_next_program(texts, length):
    runner = edgeopt.load(texts.bundle)
    inputs = text(length, seed=99)
    hidden, scores = runner(inputs["ids"].numpy(), inputs["mask"].numpy())
    expected = [value.detach().numpy() for value in ENCODER(**inputs)]
    assert hidden.shape == expected[0].shape
    for value, wanted in zip((hidden, scores), expected, strict=True):
        assert ((value - wanted) ** 2).sum() < 0.03 * (wanted**2).sum()


def test_a_text_that_is_too_long_is_refused(texts):
    inputs = text(33)
    with pytest.raises(InputError, match="no program takes inputs of shape"):
        edgeopt.load(texts.bundle)(inputs["ids"].numpy(), inputs["mask"].numpy())


def test_each_shape_is_checked_on_data_of_its_own(texts):
    assert [program.checked_on for program in texts.programs] == ["calibration samples"] * 2


def run(bundle, *words):
    command = [sys.executable, str(bundle.path / "run.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_bundles_runner_says_the_same(texts, tmp_path):
    runner = edgeopt.load(texts.bundle)
    inputs = {name: value.numpy() for name, value in text(20, seed=5).items()}
    np.savez(tmp_path / "in.npz", **inputs)
    done = run(texts.bundle, "--input", tmp_path / "in.npz", "--output", tmp_path / "out.npz")
    assert done.returncode == 0, done.stderr
    outputs = np.load(tmp_path / "out.npz")
    for name, value in zip(outputs.files, runner(*inputs.values()), strict=True):
        np.testing.assert_array_equal(outputs[name], value)


@pytest.mark.slow
def test_the_bundles_runner_verifies_and_lists_each_program(texts):
    done = run(texts.bundle, "--verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "of 3 programs, 0 outputs out of tolerance" in done.stdout
    told = run(texts.bundle, "--info").stdout
    assert "program  3: forward\ninput    ids int64[1, 32]" in told
    measured = run(texts.bundle, "--benchmark", "--program", "3", "--runs", "2", "--warmup", "0")
    assert len(json.loads(measured.stdout)["samples_ns"]) == 2
    assert "there is no program 9" in run(texts.bundle, "--benchmark", "--program", "9").stderr


def test_weights_are_held_once(pictures):
    sizes = {n: e.size_bytes for n, e in pictures.bundle.manifest.files.items()}
    first = sum(size for name, size in sizes.items() if name.startswith("model/"))
    more = sum(size for name, size in sizes.items() if name.startswith("programs/"))
    assert more < first  # a program archive has a graph of its own in it
    assert all(program.deltas for program in pictures.bundle.manifest.variants)


def test_what_is_stored_as_a_difference_is_made_whole(pictures):
    whole = pictures.bundle.artifact(1)
    assert whole.signature.inputs[0].shape == (4, 3, 16, 16)
    assert edgeopt.load(pictures.bundle)(np.zeros((4, 3, 16, 16), np.float32)).shape == (4, 5)


def test_a_difference_that_was_changed_is_noticed(pictures, tmp_path):
    bundle = pictures.bundle.unpack(tmp_path / "copy")
    (path,) = list((bundle.path / "programs" / "1").iterdir())[:1]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match="digest"):
        read_bundle(bundle.path)


@pytest.mark.parametrize(
    ("shapes", "match"),
    [
        ({"sizes": ("24",)}, 'expected HEIGHTxWIDTH, got "24"'),
        ({"sizes": ("0x4",)}, "expected HEIGHTxWIDTH"),
        ({"batches": (0,)}, "batches"),
        ({"lenghts": (4,)}, "lengths"),
    ],
)
def test_shapes_that_are_none_are_refused(shapes, match):
    with pytest.raises(ConfigError, match=match):
        deploy(example_inputs=PICTURES[0], shapes=shapes)


def test_lengths_of_a_picture_are_refused():
    with pytest.raises(InputError, match="axis 1 is not the length of a sequence"):
        deploy(example_inputs=PICTURES[0], shapes={"lengths": (8,)})


def test_shapes_need_the_module():
    program = edgeopt.capture(CLASSIFIER, PICTURES[0])
    with pytest.raises(InputError, match="need the module itself"):
        deploy(program, shapes={"batches": (2,)})


def test_a_model_that_is_another_one_at_a_shape_is_refused():
    class Decides(nn.Module):
        def forward(self, x):
            return torch.tanh(x) if x.shape[0] > 1 else x.relu()

    with pytest.raises(CaptureError, match="not the network"):
        deploy(
            Decides().eval(),
            example_inputs=torch.randn(1, 8),
            calibration_data=[torch.randn(1, 8) for _ in range(24)],
            shapes={"batches": (2,)},
        )


def test_the_examples_own_shape_is_no_further_one():
    done = deploy(example_inputs=PICTURES[0], shapes={"batches": (1,), "sizes": ("16x16",)})
    assert done.programs == ()
    assert done.bundle.manifest.variants == ()


class Zeroshot(nn.Module):
    """The second input is always as long: it is neither filled up nor taken apart."""

    def forward(self, x, words):
        return (x @ words.T).softmax(-1)


class Pair(nn.Module):
    """Two inputs that vary alike in the examples, and an output as long as the second."""

    def forward(self, source, target):
        return target * 2.0 + source.sum(1, keepdim=True)


def floats(model, first, *others, **options):
    options = {"precision": "float32", "calibration_data": None, "example_inputs": first, **options}
    done = deploy(model.eval(), shapes={"examples": list(others)}, **options)
    return edgeopt.load(done.bundle)


def test_an_input_that_does_not_vary_keeps_its_size():
    words = torch.randn(10, 8)
    runner = floats(Zeroshot(), (torch.randn(1, 8), words), (torch.randn(4, 8), words))
    x = torch.randn(10, 8)
    expected = Zeroshot()(x[:3], words).numpy()
    np.testing.assert_allclose(runner(x[:3].numpy(), words.numpy()), expected, atol=1e-5)
    for rows, count in ((3, 7), (10, 10)):
        with pytest.raises(InputError, match="no program takes"):
            runner(x[:rows].numpy(), words[:count].numpy())


def test_what_varies_alike_is_equally_long():
    first = (torch.randn(1, 8), torch.randn(1, 8))
    runner = floats(Pair(), first, (torch.randn(1, 16), torch.randn(1, 16)))
    with pytest.raises(InputError, match="no program takes"):
        runner(np.zeros((1, 5), np.float32), np.zeros((1, 7), np.float32))


def test_a_maximum_does_not_see_zeros_in_positive_samples_only():
    class Largest(nn.Module):
        def forward(self, x):
            return x.amax(1)

    runner = floats(Largest(), torch.rand(1, 4, 3), torch.rand(1, 8, 3))
    with pytest.raises(InputError, match="no program takes"):
        runner(-np.ones((1, 6, 3), np.float32))


def test_an_output_that_is_a_constant_of_the_shape_is_refused():
    class Anchors(nn.Module):
        def forward(self, x):
            return x * 2.0, torch.arange(x.shape[1]).float() + 1.0

    with pytest.raises(CaptureError, match="not the network"):
        floats(Anchors(), torch.rand(1, 4), torch.rand(1, 8))


def test_data_that_fits_no_shape_is_not_left_out_without_a_word():
    data = [*PICTURES, torch.randn(1, 3, 17, 16)]
    with pytest.raises(CalibrationError, match="fits none of the shapes") as caught:
        deploy(example_inputs=PICTURES[0], calibration_data=data, shapes={"batches": (2,)})
    assert "item 24" in str(caught.value)


def test_numbers_that_are_none_are_said_of_each_shape():
    class Floats(nn.Module):
        def forward(self, x):
            return x * 2.0

    rows = [torch.randn(1, length) for length in (16, 8) for _ in range(12)]
    rows[-1][0, 0] = float("nan")
    with pytest.raises(CalibrationError, match="NaN"):
        deploy(Floats().eval(), example_inputs=rows[0], calibration_data=rows,
               precision="float32", shapes={"lengths": (8,)})  # fmt: skip
