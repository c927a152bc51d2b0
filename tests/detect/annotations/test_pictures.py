"""Sizes of pictures by their headers."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from faceline_core.faces import PhotoError, read_photo
from faceline_detect.annotations.pictures import picture_size

ORIENTATION = 0x0112


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_are_those_of_the_upright_photo(tmp_path, draw, ending, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = draw(tmp_path / f"a.{ending}", (40, 30), exif=exif)
    height, width = read_photo(file).shape[:2]
    assert picture_size(file) == (width, height)
    assert (width, height) == ((30, 40) if orientation > 4 else (40, 30))


def test_a_png_may_say_behind_its_pixels_that_it_is_turned(tmp_path, draw):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    plain, content = draw(tmp_path / "a.png", (40, 30)), exif.tobytes().removeprefix(b"Exif\x00\x00")
    chunk = struct.pack(">I", len(content)) + b"eXIf" + content + struct.pack(">I", zlib.crc32(b"eXIf" + content))
    turned, data = tmp_path / "b.png", plain.read_bytes()
    turned.write_bytes(data[:-12] + chunk + data[-12:])
    assert (picture_size(plain), picture_size(turned)) == ((40, 30), (30, 40))
    assert read_photo(turned).shape[:2] == (40, 30)


@pytest.mark.parametrize("ending", ["jpg", "png", "bmp", "webp"])
def test_pixels_are_not_decoded(tmp_path, ending):
    """Half of a picture has its size still, and no pixels that could be decoded."""
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    file = tmp_path / f"a.{ending}"
    Image.fromarray(pixels).save(file)
    data = file.read_bytes()
    data = data if ending == "webp" else data[: len(data) // 2]  # WebP's frame is checked to be whole, undecoded
    file.write_bytes(data)
    assert picture_size(file) == (120, 90)
    if ending != "webp":
        with pytest.raises(PhotoError):
            read_photo(file)


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a\x01\x00\x01\x00\x00\x00\x00"]
)
def test_no_picture(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(PhotoError, match="has no header of a JPEG, PNG, WebP, BMP or TIFF"):
        picture_size(tmp_path / "a.jpg")


def png_chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def test_a_png_of_too_many_pixels_is_not_decoded_to_see_how_it_is_turned(tmp_path):
    """It may tell it behind its pixels; of those there are too few here, which decoding would find out."""
    header = struct.pack(">IIBBBBB", 11_000, 11_000, 1, 0, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": zlib.compress(bytes(9)), b"eXIf": b"MM", b"IEND": b""}
    file = tmp_path / "a.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks.items()))
    assert picture_size(file) == (11_000, 11_000)
