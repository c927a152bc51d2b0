"""A photo of a person."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from faceline_core.occluders import occlude
from faceline_sample import OCCLUDED, OCCLUDERS
from faceline_sample.background import draw_background
from faceline_sample.exposure import expose
from faceline_sample.identity import Identity, draw_identity
from faceline_sample.placing import put_head, render_head
from faceline_sample.shot import draw_shot


@dataclass(frozen=True)
class Photo:
    """A drawn photo and the truth about it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        visible: (H, W) bool, False where an occluder hides what is behind it.
        box: (4,) x1 y1 x2 y2 pixels, hairline to chin.
        landmarks: (5, 2) pixels: left eye, right eye, nose, left and right mouth corner as seen in the picture.
        occluder: one of faceline_core.occluders.KINDS, or "none".
        yaw: degrees, positive to the right of the picture.
        quality: of the JPEG, 40..95.
    """

    image: np.ndarray
    visible: np.ndarray
    box: np.ndarray
    landmarks: np.ndarray
    occluder: str
    yaw: float
    quality: int


def person(seed: int, identity: int) -> Identity:
    """The `identity`-th person of a seed."""
    return draw_identity(np.random.default_rng([seed, 1, identity]))


def draw_photo(
    who: Identity,
    seed: int,
    identity: int,
    index: int,
    occluded: float = OCCLUDED,
    occluders: Sequence[str] = OCCLUDERS,
) -> Photo:
    """The `index`-th photo of a person: a function of its arguments and nothing else.

    `occluded` is the probability of an occluder, one of `occluders`. A photo that has none with two values of them is
    the same photo with both.
    """
    rng = np.random.default_rng([seed, 2, identity, index])
    shot = draw_shot(rng)
    side = int(rng.integers(320, 481))
    shape = (side, int(np.clip(side * rng.uniform(0.85, 1.18), 320, 480)))
    height = float(np.exp(rng.uniform(np.log(40), np.log(200))))
    head = render_head(who, shot, height)
    picture = draw_background(rng, shape)
    corner = _corner(head.box, shape, rng)
    put_head(picture, head, corner, shot, rng)
    landmarks, box = head.landmarks + corner, head.box + np.tile(corner, 2)
    visible, occluder = np.ones(shape, bool), "none"
    if rng.random() < occluded:
        occluder = occluders[rng.integers(len(occluders))]
        picture, visible = occlude(picture, landmarks, occluder, rng)
    image = expose(picture, shot, rng, height)
    quality = int(rng.integers(40, 96))
    return Photo(image, visible, box, landmarks, occluder, float(np.rad2deg(shot.yaw)), quality)


def encode(photo: Photo) -> tuple[bytes, bytes]:
    """The JPEG of the photo, and the PNG of what is visible (255) and what is not (0)."""
    options = [cv2.IMWRITE_JPEG_QUALITY, photo.quality]
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(photo.image, cv2.COLOR_RGB2BGR), options)[1]
    png = cv2.imencode(".png", photo.visible.astype(np.uint8) * 255)[1]
    return jpeg.tobytes(), png.tobytes()


def _corner(box: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """Where a head goes, so that its face lies near the middle, and wholly inside with some room."""
    place = []
    for axis, extent in ((0, shape[1]), (1, shape[0])):
        middle, size = (box[axis] + box[axis + 2]) / 2, box[axis + 2] - box[axis]
        low, high = 0.62 * size, extent - 0.62 * size
        wanted = extent * (0.5 if axis == 0 else 0.46) + rng.normal(0, 0.10) * extent
        place.append(round(float(np.clip(wanted, min(low, extent / 2), max(high, extent / 2)) - middle)))
    return place[0], place[1]
