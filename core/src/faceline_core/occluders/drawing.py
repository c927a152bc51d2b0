"""Draws an occluder over a face that five landmarks describe."""

import numpy as np
from numpy.typing import NDArray

from faceline_core.occluders import shapes
from faceline_core.occluders.camera import camera_from
from faceline_core.occluders.veil import veil

_DRAW = {
    "medical_mask": shapes.medical_mask,
    "sunglasses": shapes.sunglasses,
    "scarf": shapes.scarf,
    "hand": shapes.hand,
    "veil": veil,
}
KINDS = tuple(_DRAW)
"""The occluders that `occlude` draws."""


def occlude(
    image: NDArray[np.generic], landmarks: NDArray[np.floating], kind: str, rng: np.random.Generator
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Draws an occluder over a face, as the face's pose and size ask for.

    Args:
        image: (H, W, 3) RGB, uint8 in 0..255, or float in 0..255; it is not changed.
        landmarks: (5, 2) pixels (x, y): left eye, right eye, nose, left and right mouth corner, left as seen in the
            picture. They may lie outside the image.
        kind: one of KINDS.
        rng: chooses cut, colour, place and light; the same state draws the same occluder.

    Returns:
        The picture, of the type that came, and (H, W) bool, True where the picture still shows what it showed: False
        where the occluder's alpha is more than 0.5.

    Raises:
        ValueError: where the image is not (H, W, 3), kind is unknown, or the landmarks are not five finite points
            that span a face.
    """
    if kind not in _DRAW:
        raise ValueError(f"unknown occluder {kind!r}; known: {', '.join(KINDS)}")
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected an RGB image (H, W, 3), found {image.shape}")
    camera = camera_from(np.asarray(landmarks, np.float64))
    height, width = image.shape[:2]
    zoom = 1 if camera.unit > 300 else 2 if camera.unit > 24 else 4
    layer = _DRAW[kind](camera, (height, width), rng, zoom)
    result, alpha = layer.onto(image, _brightness(image, camera.origin, camera.unit))
    return result, alpha <= 0.5


def _brightness(image: NDArray[np.generic], centre: NDArray[np.float64], unit: float) -> float:
    """How brightly the face is lit: its mean level against that of a well exposed one."""
    low = np.maximum((centre - np.array([0.6, 0.3]) * unit).astype(int), 0)
    high = np.maximum((centre + np.array([0.6, 1.2]) * unit).astype(int), 0)
    part = image[low[1] : high[1] + 1 : 2, low[0] : high[0] + 1 : 2]
    return float(np.clip(0.55 + 0.45 * part.mean() / 130, 0.6, 1.15)) if part.size else 1.0
