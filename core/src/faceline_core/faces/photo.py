"""Photos of any ordinary kind to upright 8-bit RGB."""

import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from faceline_core.errors import FacelineError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
"""File name endings, in lower case, that are taken for photos."""

MAX_PIXELS = 120_000_000
"""Photos with more pixels are refused before they are decoded: a few kB can hold gigabytes of one colour."""

Used = TypeVar("Used")

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF orientation."""
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
_FAULTS = (  # what Pillow's decoders raise on bytes that are not what the header promises
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    IndexError,
    OverflowError,
    struct.error,
    zlib.error,
)


class PhotoError(FacelineError):
    """A file that is no photo that can be used; the message names the file and the reason.

    `reason` is the message without the file's name.
    """

    def __init__(self, path: Path, reason: str):
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


def read_photo(path: Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decodes a JPEG, PNG, WebP, BMP or TIFF photo, whatever its ending says; of several pages the first.

    Args:
        path: the file.
        max_pixels: the largest width x height to decode.

    Returns:
        (H, W, 3) uint8 RGB, upright: the EXIF orientation is applied. Grey, palette, CMYK and 16-bit photos are
        converted; what is transparent is shown on white.

    Raises:
        PhotoError: where the file is empty, truncated, broken, of another format, or larger than `max_pixels`.
        OSError: where the file cannot be opened at all (missing, no permission).
    """
    return _used(path, max_pixels, _upright)


def check_photo(path: Path, max_pixels: int = MAX_PIXELS) -> None:
    """Raises what `read_photo` would: reads the whole file, but of a JPEG makes an eighth of the picture only.

    It takes half of the time, or less of large photos.
    """
    _used(path, max_pixels, _skimmed)


def _used(path: Path, max_pixels: int, use: Callable[[Image.Image], Used]) -> Used:
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # max_pixels says it
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")  # odd tags that do not matter here
        try:
            with open_photo(file) as image:
                if image.width * image.height > max_pixels:
                    raise PhotoError(path, f"{image.width} x {image.height} px are {too_many(max_pixels)}")
                return use(image)
        except PhotoError:
            raise
        except Image.DecompressionBombError as error:
            raise PhotoError(path, f"its pixels are {too_many(max_pixels)}") from error
        except _FAULTS as error:
            raise PhotoError(path, f"does not decode: {_reason(path, error)}") from error


def _upright(image: Image.Image) -> NDArray[np.uint8]:
    image.load()
    turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return np.array(_rgb(image if turn is None else image.transpose(turn)))  # exif_transpose would write the rest anew


def _skimmed(image: Image.Image) -> None:
    image.draft("RGB", (1, 1))
    image.load()
    image.getexif()


def open_photo(file: BinaryIO) -> Image.Image:
    """As `Image.open`, undecoded, and without Pillow's own limit of pixels, whose error does not tell the size.

    Raises:
        Image.DecompressionBombError: of a WebP beyond that limit, which cannot be opened without it.
    """
    Image.init()  # Pillow knows TIFF and WebP only then
    try:
        return Image.open(file, formats=_FORMATS)
    except Image.DecompressionBombError:
        file.seek(0)
        prefix = file.read(16)
        for name in _FORMATS:
            factory, accept = Image.OPEN[name]
            if accept is not None and accept(prefix):
                file.seek(0)
                return factory(file, "")
        raise


def too_many(max_pixels: int) -> str:
    """What to say of a photo's pixels, as `20000 x 20000 px are`, where there are more than may be."""
    return f"more than the {max_pixels / 1e6:g} million allowed: make it smaller"


def read_mask(path: Path, width: int, height: int) -> NDArray[np.uint8]:
    """A visibility mask: (H, W) uint8, 255 visible, 0 occluded.

    Args:
        path: an 8-bit grey picture; of a coloured one the luminance is taken.
        width: that of the upright photo it belongs to, in px.
        height: likewise.

    Raises:
        PhotoError: where it does not decode, or is not of its photo's size.
    """
    mask = read_photo(path)
    if mask.shape[:2] != (height, width):
        raise PhotoError(path, f"is {mask.shape[1]} x {mask.shape[0]} px, its photo {width} x {height}")
    return np.array(Image.fromarray(mask).convert("L"))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in {"I;16", "I;16B", "I;16L", "I;16N", "I", "F"}:
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(grey: NDArray[np.generic]) -> NDArray[np.uint8]:
    """(H, W) integers of 16 bits, or floats in [0, 1] or [0, 255], to uint8."""
    values = np.nan_to_num(grey.astype(np.float32))
    scale = 1 / 257
    if np.issubdtype(grey.dtype, np.floating):
        scale = 255.0 if values.max(initial=0) <= 1 else 1.0
    eight: NDArray[np.uint8] = np.clip(np.rint(values * scale), 0, 255).astype(np.uint8)
    return eight


def _reason(path: Path, error: Exception) -> str:
    if path.stat().st_size == 0:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return "it is no JPEG, PNG, WebP, BMP or TIFF"
    return " ".join(str(error).split()) or type(error).__name__
