"""Puts a drawn head and its shoulders into a picture."""

import cv2
import numpy as np

from faceline_sample.head import HALF, Head, draw_head
from faceline_sample.identity import Identity
from faceline_sample.palette import CLOTHES
from faceline_sample.shot import Shot

_FINEST = 84.0  # face heights below this are drawn at this size and made smaller: supersampling


def render_head(who: Identity, shot: Shot, face_height: float) -> Head:
    """A head at its size in the picture, drawn finer and reduced."""
    drawn = draw_head(who, shot, float(np.clip(1.45 * face_height, _FINEST, 270)))
    box_height = drawn.box[3] - drawn.box[1]
    factor = face_height / box_height
    size = max(4, round(drawn.alpha.shape[0] * factor))
    factor = size / drawn.alpha.shape[0]
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    colour = cv2.resize(drawn.colour * drawn.alpha[..., None], (size, size), interpolation=how)
    alpha = cv2.resize(drawn.alpha, (size, size), interpolation=how)

    def scaled(points: np.ndarray) -> np.ndarray:
        return (points + 0.5) * factor - 0.5

    return Head(
        colour=colour,  # premultiplied by alpha
        alpha=alpha,
        landmarks=scaled(drawn.landmarks),
        box=scaled(drawn.box),
        base=scaled(drawn.base),
    )


def put_head(picture: np.ndarray, head: Head, corner: tuple[int, int], shot: Shot, rng: np.random.Generator) -> None:
    """Draws shoulders, then the head (premultiplied), with its top left at `corner`; changes the picture."""
    _shoulders(picture, head, corner, shot, rng)
    x, y = corner
    size = head.alpha.shape[0]
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + size, picture.shape[1]), min(y + size, picture.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    part, source = (slice(y0, y1), slice(x0, x1)), (slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))
    picture[part] *= 1 - head.alpha[source][..., None]
    picture[part] += head.colour[source]


def _shoulders(picture: np.ndarray, head: Head, corner: tuple[int, int], shot: Shot, rng: np.random.Generator) -> None:
    unit = head.alpha.shape[0] / (2 * HALF)
    x, y = head.base + corner
    y -= 0.28 * unit
    wide, drop = rng.uniform(1.25, 1.65) * unit, rng.uniform(0.35, 0.6) * unit
    collar = rng.uniform(0.42, 0.6) * unit
    bottom = picture.shape[0] + 3 * unit
    right = [(collar, 0), (collar + 0.3 * unit, 0.10 * unit), (wide, drop), (wide + 0.15 * unit, drop + 0.8 * unit)]
    outline = [(x + u, y + v) for u, v in right] + [(x + wide + 0.2 * unit, bottom), (x - wide - 0.2 * unit, bottom)]
    outline += [(x - u, y + v) for u, v in reversed(right)]
    dip = rng.uniform(0.0, 0.30) * unit
    outline += [(x - 0.5 * collar, y + 0.7 * dip), (x, y + dip), (x + 0.5 * collar, y + 0.7 * dip)]
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(np.array(outline) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    top = max(0, int(y - 2))
    alpha = mask[top:].astype(np.float32)[..., None] / 255
    if not alpha.size:
        return
    colour = np.array(CLOTHES[rng.integers(len(CLOTHES))]) + rng.normal(0, 10, 3)
    across = (np.arange(picture.shape[1], dtype=np.float32)[None, :, None] - x) / (wide + 1)
    lit = shot.ambient + shot.key * np.clip(0.65 + 0.35 * across * shot.light[0], 0.1, 1.2)
    if rng.random() < 0.4:
        pitch = rng.uniform(0.08, 0.25) * unit + 1.5
        rows = np.arange(top, picture.shape[0], dtype=np.float32)[:, None, None]
        lit = lit * (1 + 0.15 * np.sign(np.sin((rows if rng.random() < 0.5 else across * wide) / pitch * np.pi)))
    picture[top:] += (np.clip(colour * lit, 0, 255).astype(np.float32) - picture[top:]) * alpha
