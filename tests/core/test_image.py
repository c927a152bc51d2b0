"""Photos of every ordinary kind, and files that are none."""

import contextlib
import io
import struct

import numpy as np
import pytest
from PIL import Image

from faceline_core.faces import PhotoError, check_photo, read_mask, read_photo

WIDE, HIGH = 48, 32


@pytest.fixture
def picture():
    """(32, 48, 3) uint8: smooth, with four corners that cannot be confused, and no clipping."""
    y, x = np.mgrid[0:HIGH, 0:WIDE]
    return np.stack([40 + 3 * x, 40 + 4 * y, 200 - x - 2 * y], axis=2).astype(np.uint8)


def saved(folder, name, image, **options):
    path = folder / name
    image.save(path, **options)
    return path


def assert_like(path, expected, tolerance=3.0):
    photo = read_photo(path)
    assert (photo.dtype, photo.shape) == (np.uint8, expected.shape)
    assert np.abs(photo.astype(float) - expected).mean() < tolerance


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.jpg", {"quality": 95}),
        ("a.jpeg", {"quality": 95, "progressive": True}),
        ("a.png", {}),
        ("a.webp", {"lossless": True}),
        ("a.bmp", {}),
        ("a.tif", {}),
        ("a.tiff", {"compression": "tiff_lzw"}),
    ],
)
def test_formats(tmp_path, picture, name, options):
    assert_like(saved(tmp_path, name, Image.fromarray(picture), **options), picture)


def test_a_wrong_ending_does_not_matter(tmp_path, picture):
    path = saved(tmp_path, "a.png", Image.fromarray(picture))
    assert_like(path.rename(tmp_path / "b.jpg"), picture)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
def test_grey(tmp_path, picture, name):
    grey = Image.fromarray(picture).convert("L")
    assert_like(saved(tmp_path, name, grey), np.asarray(grey)[..., None].repeat(3, axis=2))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_grey(tmp_path, picture, name):
    grey = picture[..., 0].astype(np.uint16)
    assert_like(saved(tmp_path, name, Image.fromarray(grey * 257)), grey[..., None].repeat(3, axis=2), 0.5)


def test_16_bit_colour(tmp_path, picture):
    import cv2

    path = tmp_path / "a.png"
    cv2.imwrite(str(path), picture[..., ::-1].astype(np.uint16) * 257)
    assert_like(path, picture, 1.5)


@pytest.mark.parametrize("scale", [1.0, 1 / 255])
def test_float_tiff(tmp_path, picture, scale):
    grey = picture[..., 0].astype(np.float32) * scale
    assert_like(saved(tmp_path, "a.tif", Image.fromarray(grey)), picture[..., :1].repeat(3, axis=2), 0.5)


def test_palette_bilevel_and_cmyk(tmp_path, picture):
    image = Image.fromarray(picture)
    assert_like(saved(tmp_path, "palette.png", image.quantize(256)), picture, 6)
    two = image.convert("1")
    assert_like(saved(tmp_path, "two.png", two), np.asarray(two.convert("RGB")), 0.5)
    assert_like(saved(tmp_path, "cmyk.jpg", image.convert("CMYK"), quality=95), picture, 4)
    assert_like(saved(tmp_path, "cmyk.tif", image.convert("CMYK")), picture, 4)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparent_parts_are_white(tmp_path, mode):
    image = Image.new("RGBA", (20, 10), (200, 200, 200, 255))
    image.paste((0, 0, 0, 0), (0, 0, 10, 10))
    image = image.convert("P") if mode == "PA" else image.convert(mode)
    photo = read_photo(saved(tmp_path, "a.png", image))
    assert photo[:, :10].min() == 255
    assert np.abs(photo[:, 10:].astype(int) - 200).max() <= 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_every_exif_orientation_comes_out_upright(tmp_path, picture, orientation, name):
    stored = {  # what a camera that notes this orientation has stored, by the EXIF standard
        1: picture,
        2: picture[:, ::-1],
        3: picture[::-1, ::-1],
        4: picture[::-1],
        5: picture.transpose(1, 0, 2),
        6: np.rot90(picture, 1),
        7: picture[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(picture, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if name != "a.png" else {}
    image = Image.fromarray(np.ascontiguousarray(stored))
    assert_like(saved(tmp_path, name, image, exif=exif, **options), picture)


def test_only_the_orientation_of_exif_has_a_say(tmp_path, picture):
    """Other tags that cannot be written anew, as a compression of -1, do not cost the photo."""
    exif = Image.Exif()
    exif[0x0112], exif[0x0103] = 6, 1
    written = exif.tobytes()
    place = written.index(b"\x03\x01" if written[6:8] == b"II" else b"\x01\x03")
    damaged = written[: place + 2] + (b"\x08\x00" if written[6:8] == b"II" else b"\x00\x08") + written[place + 4 :]
    value = place + 8
    damaged = damaged[:value] + b"\xff\xff" + damaged[value + 2 :]
    Image.fromarray(picture).save(tmp_path / "a.jpg", exif=damaged)
    check_photo(tmp_path / "a.jpg")
    assert read_photo(tmp_path / "a.jpg").shape == (WIDE, HIGH, 3)


def test_broken_exif_does_not_cost_the_photo(tmp_path, picture):
    path = saved(tmp_path, "a.jpg", Image.fromarray(picture), exif=b"Exif\0\0garbage that is no TIFF", quality=95)
    assert_like(path, picture)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.bmp", "a.tif"])
def test_truncated_files_are_refused_by_name(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = saved(tmp_path, name, Image.fromarray(noise))
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(PhotoError, match=name) as caught:
            read_photo(path)
        assert caught.value.path == path


@pytest.mark.parametrize(
    ("data", "words"), [(b"", "empty"), (b"not a photo", "no JPEG"), (b"%!PS-Adobe-3.0 EPSF-3.0\n", "no JPEG")]
)
def test_what_is_no_photo_is_refused(tmp_path, data, words):
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(PhotoError, match=words):
        read_photo(path)


def test_the_pixel_limit_holds_before_decoding(tmp_path):
    path = saved(tmp_path, "bomb.png", Image.new("1", (11_000, 11_000)))
    assert path.stat().st_size < 100_000
    with pytest.raises(PhotoError, match="11000 x 11000 px are more than the 120 million"):
        read_photo(path)


def patched(data, kind, side):
    """A file whose header says that the picture is `side` px wide and high."""
    data = bytearray(data)
    if kind == "jpg":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", side, side)
    elif kind == "bmp":
        data[18:26] = struct.pack("<ii", side, side)
    elif kind == "tif":
        for tag in (256, 257):
            at = max(data.find(struct.pack("<HHI", tag, size, 1)) for size in (3, 4))
            data[at : at + 12] = struct.pack("<HHII", tag, 4, 1, side)
    else:  # WebP, lossless: two times 14 bits
        at = data.index(b"\x2f", 20) + 1
        kept = int.from_bytes(data[at : at + 4], "little") >> 28
        data[at : at + 4] = (kept << 28 | (side - 1) << 14 | (side - 1)).to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize("kind", ["jpg", "bmp", "tif", "webp"])
def test_photos_beyond_pillows_own_limit_are_refused_in_our_words(tmp_path, picture, kind):
    path = saved(tmp_path, f"huge.{kind}", Image.fromarray(picture), **{"lossless": True} if kind == "webp" else {})
    side = 16_383 if kind == "webp" else 20_000
    path.write_bytes(patched(path.read_bytes(), kind, side))
    size = "its pixels" if kind == "webp" else f"{side} x {side} px"
    with pytest.raises(PhotoError) as caught:
        read_photo(path)
    assert caught.value.reason == f"{size} are more than the 120 million allowed: make it smaller"


def test_a_png_beyond_pillows_own_limit(tmp_path, huge_picture):
    (tmp_path / "huge.png").write_bytes(huge_picture)
    with pytest.raises(PhotoError, match=r"huge\.png: 70000 x 70000 px are more than the 120 million allowed: make it"):
        read_photo(tmp_path / "huge.png")


def test_damaged_bytes_give_a_photo_or_its_error_and_nothing_else(tmp_path, picture):
    rng = np.random.default_rng(5)
    path = tmp_path / "a.bin"
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF"):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, kind)
        for _ in range(60):
            data = bytearray(buffer.getvalue())
            for position in rng.integers(0, min(len(data), 400), 4):
                data[position] = rng.integers(0, 256)
            path.write_bytes(data)
            with contextlib.suppress(PhotoError):
                assert read_photo(path, max_pixels=1_000_000).ndim == 3


def fault(use, path):
    try:
        use(path, max_pixels=1_000_000)
    except PhotoError as error:
        return error.reason.split(":")[0]
    return None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_a_photo_that_passes_the_check_can_be_read(tmp_path, kind):
    """And the other way round, whether bytes are changed or the end is missing."""
    rng = np.random.default_rng(6)
    path, buffer, faults = tmp_path / "a.bin", io.BytesIO(), []
    Image.fromarray(rng.integers(0, 256, (90, 70, 3), np.uint8)).save(buffer, kind)
    for turn in range(60):
        data = bytearray(buffer.getvalue())
        if turn % 2:
            data = data[: rng.integers(1, len(data))]
        for position in rng.integers(0, len(data), 20 * (turn % 3)):
            data[position] = rng.integers(0, 256)
        path.write_bytes(data)
        faults.append((fault(read_photo, path), fault(check_photo, path)))
    assert all(first == second for first, second in faults)
    assert 5 < sum(first is None for first, _ in faults) < 55


def test_masks(tmp_path):
    mask = np.zeros((HIGH, WIDE), np.uint8)
    mask[:, 20:] = 255
    path = saved(tmp_path, "mask.png", Image.fromarray(mask))
    np.testing.assert_array_equal(read_mask(path, WIDE, HIGH), mask)
    np.testing.assert_array_equal(
        read_mask(saved(tmp_path, "two.png", Image.fromarray(mask).convert("1")), WIDE, HIGH), mask
    )
    with pytest.raises(PhotoError, match=r"mask.png: is 48 x 32 px, its photo 32 x 48"):
        read_mask(path, HIGH, WIDE)
