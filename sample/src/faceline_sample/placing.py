"""Puts a drawn head and its shoulders into a picture."""

import cv2
import numpy as np

from faceline_sample.head import Head, draw_head
from faceline_sample.identity import Identity
from faceline_sample.palette import CLOTHES
from faceline_sample.raycast import HALF
from faceline_sample.shot import Shot

_BODY = ((1.25, 1.65), (0.35, 0.6), (0.50, 0.64), (0.0, 0.12))  # half width, drop of the shoulders, collar, neckline
_FINEST = 64.0  # face heights below this are drawn at this size and made smaller: supersampling


def render_head(who: Identity, shot: Shot, face_height: float) -> Head:
    """A head at its size in the picture, drawn finer and reduced."""
    drawn = draw_head(who, shot, float(np.clip(1.45 * face_height, _FINEST, 240)))
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
    """Draws the head (premultiplied) with its top left at `corner`, then shoulders; changes the picture."""
    x, y = corner
    size = head.alpha.shape[0]
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + size, picture.shape[1]), min(y + size, picture.shape[0])
    part, source = (slice(y0, y1), slice(x0, x1)), (slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))
    picture[part] *= 1 - head.alpha[source][..., None]
    picture[part] += head.colour[source]
    _shoulders(picture, head, corner, shot, rng)


def _shoulders(picture: np.ndarray, head: Head, corner: tuple[int, int], shot: Shot, rng: np.random.Generator) -> None:
    """A body below the head: collar, shoulders, and trousers where the picture reaches that far."""
    unit = head.alpha.shape[0] / (2 * HALF)
    x, y = head.base + corner
    y -= 0.12 * unit
    wide, drop, collar, dip = np.array([rng.uniform(*r) for r in _BODY]) * unit
    waist, feet = y + 5.2 * unit, y + 12 * unit
    right = [
        (collar, y),
        (collar + 0.3 * unit, y + 0.10 * unit),
        (wide, y + drop),
        (wide + 0.2 * unit, y + drop + unit),
    ]
    right += [(wide + 0.25 * unit, waist)]
    neck = [(x - 0.5 * collar, y + 0.7 * dip), (x, y + dip), (x + 0.5 * collar, y + 0.7 * dip)]
    shirt = [(x + u, v) for u, v in right] + [(x - u, v) for u, v in reversed(right)] + neck
    legs = [(x - wide, waist), (x + wide, waist), (x + 0.8 * wide, feet), (x - 0.8 * wide, feet)]
    for outline in (legs, shirt):
        colour = np.array(CLOTHES[rng.integers(len(CLOTHES))]) + rng.normal(0, 10, 3)
        stripes = rng.uniform(0.08, 0.25) * unit + 1.5 if outline is shirt and rng.random() < 0.4 else 0.0
        _cloth(picture, np.array(outline), colour, stripes, rng.random() < 0.5, shot)


def _cloth(
    picture: np.ndarray, outline: np.ndarray, colour: np.ndarray, stripes: float, upright: bool, shot: Shot
) -> None:
    low = np.maximum(np.floor(outline.min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(outline.max(0)).astype(int) + 2, picture.shape[1::-1])
    if (high <= low).any():
        return
    part = picture[low[1] : high[1], low[0] : high[0]]
    mask = np.zeros(part.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round((outline - low) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    (x0, x1), rows = (outline[:, 0].min(), outline[:, 0].max()), np.arange(low[1], high[1])[:, None]
    columns = np.arange(low[0], high[0])[None, :]
    across = np.clip((2 * columns - x0 - x1) / (x1 - x0), -1, 1)
    shade = np.clip(0.70 + 0.30 * across * shot.light[0] - 0.35 * across**4, 0.1, 1.2)
    if stripes:
        shade = shade * (1 + 0.13 * np.sign(np.sin((columns if upright else rows) * (np.pi / stripes))))
    lit = colour * (shot.ambient + shot.key * np.broadcast_to(shade, mask.shape)[..., None])
    part += (np.clip(lit, 0, 255).astype(np.float32) - part) * (mask.astype(np.float32) / 255)[..., None]
