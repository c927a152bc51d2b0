"""Colours of what is drawn, and light on it."""

import numpy as np
from numpy.typing import NDArray

from faceline_core.occluders.camera import Camera

Array = NDArray[np.float64]
Palette = tuple[tuple[int, int, int], ...]

FABRICS: Palette = (
    (150, 40, 44),
    (56, 70, 110),
    (196, 182, 150),
    (70, 92, 72),
    (108, 104, 110),
    (206, 150, 60),
    (32, 34, 40),
)


def colour_of(palette: Palette, rng: np.random.Generator) -> Array:
    """(3,) RGB in 10..250: one of the palette, a little off."""
    return np.clip(np.array(palette[rng.integers(len(palette))], float) + rng.normal(0, 8, 3), 10, 250)


def lit(points: Array, base: Array, camera: Camera, rng: np.random.Generator) -> Array:
    """Colours of the quads of a mesh, lit from a random direction near the viewer.

    Args:
        points: (R, C, 3) face coordinates.
        base: (3,) RGB in 0..255 of the cloth.

    Returns:
        (R - 1, C - 1, 3) RGB.
    """
    one, two = points[1:, 1:] - points[:-1, :-1], points[:-1, 1:] - points[1:, :-1]
    normal = np.cross(one, two)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    normal *= np.where(normal[..., 2:] < 0, -1, 1)
    light = camera.forward + rng.normal(0, 0.35, 3) + (0, -0.35, 0)
    light /= np.linalg.norm(light)
    return base * (0.55 + 0.5 * np.clip(normal @ light, 0, 1))[..., None]
