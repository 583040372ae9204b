"""Pictures of every kind that is sent, and what the device makes of them."""

from __future__ import annotations

import struct
import sys
import zlib

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

import edgeopt
from edgeopt.bundles.device.edgeopt_runner import photo
from edgeopt.bundles.device.edgeopt_runner.bundle import MISSING, USAGE, Stop
from edgeopt.bundles.device.edgeopt_runner.picture import prepare_picture
from edgeopt.bundles.device.edgeopt_runner.resample import resize_plain

PIXELS = np.random.default_rng(0).integers(0, 256, (13, 17, 3), np.uint8)


def prepared(picture, **options):
    return prepare_picture(picture, msgspec.to_builtins(edgeopt.Preprocess(**options)))


def saved(path, picture, **options):
    picture.save(path, **options)
    return str(path)


# --- files ---------------------------------------------------------------------------------------


def test_a_picture_is_turned_as_its_exif_says(tmp_path):
    for orientation in range(1, 9):
        picture = Image.fromarray(PIXELS)
        exif = picture.getexif()
        exif[0x0112] = orientation
        path = saved(tmp_path / f"{orientation}.png", picture, exif=exif)
        upright = np.asarray(photo.open_picture(path))
        turned = {1: PIXELS, 3: np.rot90(PIXELS, 2), 6: np.rot90(PIXELS, -1), 8: np.rot90(PIXELS)}
        if orientation in turned:
            np.testing.assert_array_equal(upright, turned[orientation])
        assert upright.shape == ((13, 17, 3) if orientation < 5 else (17, 13, 3))


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path):
    wide = np.array([[0, 255, 32768], [65535, 257, 65279]], np.uint16)
    for name in ("a.png", "a.tiff"):
        path = saved(tmp_path / name, Image.fromarray(wide))
        grey = np.asarray(photo.open_picture(path, grey=True))
        np.testing.assert_array_equal(grey, np.rint(wide / 257))
        assert np.asarray(photo.open_picture(path)).shape == (2, 3, 3)
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 65535\n\xff\xff\x00\x00")
    grey = np.asarray(photo.open_picture(str(tmp_path / "a.pgm"), grey=True))
    np.testing.assert_array_equal(grey, [[255, 0]])


def test_numbers_that_are_no_pixels_are_refused(tmp_path):
    path = saved(tmp_path / "f.tiff", Image.fromarray(np.ones((2, 2), np.float32)))
    with pytest.raises(Stop, match="float numbers"):
        photo.open_picture(path)
    path = saved(tmp_path / "i.tiff", Image.fromarray(np.full((2, 2), -5, np.int32)))
    with pytest.raises(Stop, match="from -5 to -5"):
        photo.open_picture(path)


def test_four_colours_of_print_become_three(tmp_path):
    picture = Image.fromarray(PIXELS).convert("CMYK")
    path = saved(tmp_path / "a.tiff", picture)
    np.testing.assert_array_equal(
        np.asarray(photo.open_picture(path)), np.asarray(picture.convert("RGB"))
    )


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "YCbCr", "HSV"])
def test_other_modes_become_rgb(tmp_path, mode):
    picture = Image.fromarray(PIXELS).convert(mode)
    path = saved(tmp_path / "a.tiff" if mode != "HSV" else tmp_path / "a.png", picture
                 if mode != "HSV" else picture.convert("RGB"))  # fmt: skip
    assert photo.open_picture(path).mode == "RGB"
    assert photo.open_picture(path, grey=True).mode == "L"


def test_a_palette_with_transparency_keeps_its_colours(tmp_path):
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((1, 0), 1)
    path = saved(tmp_path / "a.png", picture, transparency=bytes([0, 128]))
    np.testing.assert_array_equal(
        np.asarray(photo.open_picture(path)), [[[10, 20, 30], [200, 100, 50]]]
    )


def test_of_an_animation_the_first_picture_is_taken_and_that_is_said(tmp_path, capsys):
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "lime", "blue")]
    path = saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert photo.open_picture(path).getpixel((0, 0)) == (255, 0, 0)
    assert "3 pictures, the first is taken" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.bmp", "a.tiff", "a.webp"])
def test_a_truncated_picture_is_refused_at_every_length(tmp_path, name):
    pixels = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    for share in (0.02, 0.3, 0.6, 0.9):
        (tmp_path / f"cut-{name}").write_bytes(content[: int(len(content) * share)])
        with pytest.raises(Stop, match="not a picture") as caught:
            photo.open_picture(str(tmp_path / f"cut-{name}"))
        assert caught.value.code == USAGE


def test_a_picture_without_pixels_is_refused(tmp_path):
    (tmp_path / "a.ppm").write_bytes(b"P6 0 0 255\n")
    with pytest.raises(Stop, match=r"not a picture|the picture is empty"):
        photo.open_picture(str(tmp_path / "a.ppm"))
    (tmp_path / "b.png").write_bytes(png_header(0, 4))
    with pytest.raises(Stop, match=r"not a picture|the picture is empty"):
        photo.open_picture(str(tmp_path / "b.png"))


def png_header(width, height):
    """Returns the beginning of a PNG that says it is so large."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0")
    chunks = [
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (head, data)
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_a_picture_that_would_fill_the_memory_is_refused_before_it_is_read(tmp_path):
    for width, height in ((50_000, 50_000), (50_000, 3_000)):
        (tmp_path / "a.png").write_bytes(png_header(width, height))
        with pytest.raises(Stop, match=r"pixels; at most|exceeds limit"):
            photo.open_picture(str(tmp_path / "a.png"))


def test_fifty_thousand_pixels_wide(tmp_path):
    picture = photo.open_picture(saved(tmp_path / "a.png", Image.new("RGB", (50_000, 3), "red")))
    array, placement = prepared(picture, resize=(64, 64), fit="letterbox", antialias=False)
    assert array.shape == (1, 3, 64, 64)
    assert placement.gain == (1 / 3, 64 / 50_000)
    with pytest.raises(Stop, match="50000 x 3 pixels would become"):
        prepared(picture, resize=(256,), crop=(224, 224))


def test_without_pillow_the_message_says_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(Stop, match="needs Pillow") as caught:
        photo.open_picture(str(tmp_path / "a.png"))
    assert caught.value.code == MISSING
    assert "pip install pillow" in caught.value.hint


# --- sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(13, 17), (7, 40), (64, 64), (1, 3000), (3000, 2)])
def test_a_letterbox_keeps_the_ratio_and_says_where_the_picture_is(size):
    pixels = np.full((*size, 3), 200, np.uint8)
    options = {
        "resize": (32, 48),
        "fit": "letterbox",
        "layout": "NHWC",
        "scale": 1.0,
        "fill": (7.0,),
    }
    array, placement = prepared(Image.fromarray(pixels), **options)
    inside = (array[0] == 200).all(-1)
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    ratio = min(32 / size[0], 48 / size[1])
    assert len(rows) == max(round(size[0] * ratio), 1)
    assert len(columns) == max(round(size[1] * ratio), 1)
    assert placement.offset == (rows[0], columns[0])
    assert placement.gain == (len(rows) / size[0], len(columns) / size[1])
    assert abs(rows[0] - (31 - rows[-1])) <= 1
    assert (array[0][~inside] == 7).all()
    _, corner = prepared(Image.fromarray(pixels), **options, align="top-left")
    assert corner.offset == (0, 0)


def test_a_letterbox_need_not_enlarge():
    options = {
        "resize": (32, 48),
        "fit": "letterbox",
        "enlarge": False,
        "layout": "NHWC",
        "scale": 1.0,
    }
    array, placement = prepared(Image.fromarray(PIXELS), **options)
    assert placement.gain == (1.0, 1.0)
    top, left = placement.offset
    np.testing.assert_array_equal(array[0, top : top + 13, left : left + 17], PIXELS)


def test_a_crop_says_where_the_picture_is():
    for crop in ((5, 5), (13, 9), (20, 30), (12, 30)):
        array, placement = prepared(Image.fromarray(PIXELS), crop=crop, layout="NHWC", scale=1.0)
        top, left = placement.offset
        for row, column in ((0, 0), (6, 8), (12, 16)):
            place = (row + top, column + left)
            if 0 <= place[0] < crop[0] and 0 <= place[1] < crop[1]:
                np.testing.assert_array_equal(array[0][place], PIXELS[row, column])


def test_pixels_for_the_model_are_left_as_they_are():
    picture = Image.fromarray(PIXELS)
    array, _ = prepared(picture, crop=(8, 8), inside=True, color="BGR", mean=(0.5,))
    assert array.dtype == np.uint8
    np.testing.assert_array_equal(array[0], PIXELS[2:10, 4:12])


# --- resizes -------------------------------------------------------------------------------------

OPENCV = {  # cv2 5.0: cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_LINEAR)
    (4, 7): [
        [0, 21, 47, 74, 100, 127, 148],
        [116, 137, 117, 30, 56, 82, 104],
        [158, 179, 160, 72, 99, 84, 50],
        [114, 135, 161, 188, 214, 131, 6],
    ],
    (2, 3): [[59, 56, 118], [144, 142, 75]],
}


@pytest.mark.parametrize("size", OPENCV)
def test_bilinear_is_opencvs_to_the_bit(size):
    pixels = (np.arange(15) * 37 % 256).astype(np.uint8).reshape(3, 5, 1)
    np.testing.assert_array_equal(resize_plain(pixels, size, "bilinear")[..., 0], OPENCV[size])


@pytest.mark.parametrize("size", [(5, 9), (13, 17), (40, 11), (1, 1), (60, 70)])
@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
def test_without_antialias_it_is_torchs_interpolate(size, method):
    values = torch.from_numpy(PIXELS).permute(2, 0, 1)[None].float()
    keywords = {} if method == "nearest" else {"align_corners": False}
    expected = torch.nn.functional.interpolate(values, size, mode=method, **keywords)
    expected = expected[0].permute(1, 2, 0).numpy()
    floats = resize_plain(PIXELS.astype(np.float32), size, method)
    np.testing.assert_allclose(floats, expected, atol=2e-3)
    whole = resize_plain(PIXELS, size, method)
    assert whole.dtype == np.uint8
    assert np.abs(whole - expected.clip(0, 255)).max() <= 1.0  # fixed point, or rounded


def test_exif_is_what_pillow_makes_of_it(tmp_path):
    picture = Image.fromarray(PIXELS)
    exif = picture.getexif()
    exif[0x0112] = 5
    path = saved(tmp_path / "a.jpg", picture, exif=exif)
    with Image.open(path) as again:
        expected = np.asarray(ImageOps.exif_transpose(again))
    np.testing.assert_array_equal(np.asarray(photo.open_picture(path)), expected)
