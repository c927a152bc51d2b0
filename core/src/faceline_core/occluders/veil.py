"""A niqab-like veil: cloth around the head, and before the face below the eyes."""

import numpy as np
from numpy.typing import NDArray

from faceline_core.occluders.camera import Camera
from faceline_core.occluders.layer import Layer
from faceline_core.occluders.shading import Palette, colour_of, lit

Array = NDArray[np.float64]

_FABRICS: Palette = (
    (26, 26, 30),
    (26, 26, 30),
    (40, 46, 74),
    (84, 82, 88),
    (92, 62, 48),
    (92, 96, 70),
    (188, 170, 140),
    (112, 36, 52),
    (222, 218, 208),
    (46, 92, 98),
)
# half the width of the clothed head at some heights, in eye distances: crown, brow, cheeks, neck, shoulders
_HEIGHTS = (-2.15, -2.0, -1.6, -1.1, -0.5, 0.3, 1.0, 1.6, 2.2, 3.4)
_WIDTHS = (0.02, 0.55, 1.02, 1.24, 1.31, 1.30, 1.32, 1.42, 1.64, 2.30)
_HEAD_DEPTH = 1.15


def veil(camera: Camera, shape: tuple[int, int], rng: np.random.Generator, zoom: int) -> Layer:
    """Cloth over head and forehead, another before lower face and neck, and between them a slit for the eyes."""
    base = colour_of(_FABRICS, rng)
    headcloth = colour_of(_FABRICS, rng) if rng.random() < 0.3 else base
    yaw = float(np.arctan2(camera.forward[0], camera.forward[2]))
    angles = yaw + np.linspace(-1.55, 1.55, 17)  # the side of the head that is seen
    upper, lower = _slit(angles, rng)
    crown, hem = np.full_like(angles, _HEIGHTS[0]), rng.uniform(2.6, 3.4) - 0.15 * np.cos(angles)
    above = crown + (upper - crown) * (np.linspace(0, 1, 8) ** 1.6)[:, None]
    below = lower + (hem - lower) * np.linspace(0, 1, 10)[:, None]
    head, front = _around(angles, above, 0.0), _around(angles, below, rng.uniform(0.05, 0.16))
    seen_head, seen_front = camera.project(head), camera.project(front)
    layer = Layer(shape, np.concatenate([seen_head.reshape(-1, 2), seen_front.reshape(-1, 2)]), 2.0, zoom)
    layer.mesh(seen_head, lit(head, headcloth, camera, rng) * _wrapped(angles, above, rng))
    layer.mesh(seen_front, lit(front, base, camera, rng) * _hanging(angles, below, rng))
    layer.smooth(0.05 * camera.unit, roughly=True)
    if rng.random() < 0.5:  # a band across the forehead, under the cloth of the head
        band = np.stack([upper - rng.uniform(0.15, 0.35) * _open(upper, lower), upper])
        edge = camera.project(_around(angles, band, 0.01))
        layer.polygon(np.concatenate([edge[0], edge[1, ::-1]]), headcloth * rng.uniform(0.55, 1.15))
    layer.line(seen_head[-1], 0.035 * camera.unit, headcloth * 0.72)
    layer.line(seen_front[0], 0.04 * camera.unit, base * 0.78 + 6)
    return layer


def _slit(angles: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Heights (C,) of the slit's upper and lower edge; they meet beside the eyes."""
    reach, power = rng.uniform(0.88, 1.15), rng.uniform(2.0, 5.0)
    middle = 0.02 + 0.10 * (angles / reach) ** 2 * rng.uniform(-0.3, 1.0) + rng.uniform(-0.04, 0.04) * angles
    opening = np.clip(1 - np.abs(angles / reach) ** power, 0, 1)
    return middle - rng.uniform(0.32, 0.46) * opening, middle + rng.uniform(0.28, 0.40) * opening


def _open(upper: Array, lower: Array) -> Array:
    return np.clip((lower - upper) / 0.3, 0, 1)


def _around(angles: Array, heights: Array, nose: float) -> Array:
    """(R, C) heights at (C,) angles -> (R, C, 3) points on cloth around head, neck and shoulders.

    It hangs down from the nose, which pushes it `nose` eye distances forward.
    """
    wide = np.interp(heights, _HEIGHTS, _WIDTHS)
    deep = _HEAD_DEPTH * np.minimum(wide, 1.3) / 1.29
    points = np.stack([wide * np.sin(angles), heights, deep * np.cos(angles) - _HEAD_DEPTH + 0.04], axis=-1)
    points[..., 2] += (nose + 0.2) * np.exp(-((angles / 0.35) ** 2)) * np.clip((heights - 0.1) / 0.5, 0, 1) * (nose > 0)
    return points


def _wrapped(angles: Array, heights: Array, rng: np.random.Generator) -> Array:
    """(R - 1, C - 1, 1) brightness of folds that run around the head."""
    run = heights + rng.uniform(0.1, 0.5) * np.abs(angles - rng.uniform(-0.4, 0.4))
    return (1 + rng.uniform(0.05, 0.15) * np.sin(rng.uniform(7, 12) * run + rng.uniform(0, 6)))[:-1, :-1, None]


def _hanging(angles: Array, heights: Array, rng: np.random.Generator) -> Array:
    """(R - 1, C - 1, 1) brightness of folds that run down, the deeper the lower."""
    depth = rng.uniform(0.10, 0.26) * np.clip(heights / 1.2, 0.15, 1)
    wave = np.sin(rng.uniform(5, 9) * angles * (1 - 0.08 * heights) + rng.uniform(0, 6))
    return (1 + depth * wave)[:-1, :-1, None]
