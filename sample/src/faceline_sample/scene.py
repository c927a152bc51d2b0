"""A picture with many people, for detectors."""

from dataclasses import dataclass

import numpy as np

from faceline_core.occluders import occlude
from faceline_sample import OCCLUDERS
from faceline_sample.background import draw_background
from faceline_sample.exposure import expose
from faceline_sample.identity import draw_identity
from faceline_sample.placing import put_head, render_head
from faceline_sample.shot import draw_shot

SIDE = 640
MOST = 12


@dataclass(frozen=True)
class Scene:
    """A drawn scene and the truth about it.

    Attributes:
        image: (SIDE, SIDE, 3) uint8 RGB.
        boxes: (N, 4) x1 y1 x2 y2 pixels, inside the picture; landmarks: (N, 5, 2) pixels.
        occluded: (N,) bool; blurred: (N,) bool; turned: (N,) bool, more than 30 degrees.
        quality: of the JPEG.
    """

    image: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray
    occluded: np.ndarray
    turned: np.ndarray
    quality: int


def draw_scene(seed: int, index: int) -> Scene:
    """The `index`-th scene of a seed: 0 to 12 strangers, the smaller the further behind."""
    rng = np.random.default_rng([seed, 3, index])
    picture = draw_background(rng, (SIDE, SIDE))
    mood = draw_shot(rng)
    count = 0 if rng.random() < 0.05 else int(rng.integers(1, MOST + 1))
    heights = np.sort(np.exp(rng.uniform(np.log(8), np.log(200), count)))
    boxes, landmarks, occluded, turned = [], [], [], []
    horizon, slope = rng.uniform(0.12, 0.45) * SIDE, rng.uniform(0.6, 1.6)
    for height in heights:
        who, shot = draw_identity(rng), draw_shot(rng)
        head = render_head(who, shot, float(height))
        corner = _free_place(head.box, boxes, horizon + slope * height, rng)
        if corner is None:
            continue
        put_head(picture, head, corner, shot, rng)
        points = head.landmarks + corner
        hidden = rng.random() < 0.15
        if hidden:
            picture, _ = occlude(picture, points, OCCLUDERS[rng.integers(len(OCCLUDERS))], rng)
        boxes.append(np.clip(head.box + np.tile(corner, 2), 0, SIDE - 1))
        landmarks.append(points)
        occluded.append(hidden)
        turned.append(abs(shot.yaw) > np.deg2rad(30))
    image = expose(picture, mood, rng, 30.0)
    return Scene(
        image=image,
        boxes=np.array(boxes, float).reshape(-1, 4),
        landmarks=np.array(landmarks, float).reshape(-1, 5, 2),
        occluded=np.array(occluded, bool),
        turned=np.array(turned, bool),
        quality=int(rng.integers(60, 96)),
    )


def _free_place(
    box: np.ndarray, taken: list[np.ndarray], level: float, rng: np.random.Generator
) -> tuple[int, int] | None:
    """A corner for a head such that its face stays inside and covers no face behind it; None where none was found.

    Heads and shoulders in front reach further than the face box: earlier boxes keep clear of twice its width above
    its chin, and of everything below.
    """
    w, h = box[2] - box[0], box[3] - box[1]
    for _ in range(60):
        x = rng.uniform(0, SIDE - w)
        y = float(np.clip(level + rng.normal(0, 0.14 * SIDE), 0.25 * h, SIDE - h))
        x0, x1, y0 = x - 0.35 * w, x + 1.35 * w, y - 0.45 * h
        neck, wide0, wide1 = y + 1.0 * h, x - 0.75 * w, x + 1.75 * w
        for other in taken:
            head = other[2] > x0 and other[0] < x1 and other[3] > y0
            body = other[2] > wide0 and other[0] < wide1 and other[3] > neck
            if head or body:
                break
        else:
            return round(x - box[0]), round(y - box[1])
    return None
