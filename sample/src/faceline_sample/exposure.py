"""From light to a picture file's pixels: colour balance, blur, grain."""

import cv2
import numpy as np

from faceline_sample.noise import smooth_noise
from faceline_sample.shot import Shot


def expose(picture: np.ndarray, shot: Shot, rng: np.random.Generator, sharpness: float) -> np.ndarray:
    """What the camera makes of a scene.

    Args:
        picture: (H, W, 3) float32 RGB, 0..255.
        shot: its gain and gamma.
        rng: of blur and grain.
        sharpness: the size of a face in pixels; blur stays small beside it.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    levels = np.clip(np.arange(256)[:, None] * shot.gain / 255, 0, 1) ** shot.gamma
    curve = np.round(255 * levels).astype(np.uint8)[None]
    picture = cv2.LUT(np.clip(picture + 0.5, 0, 255).astype(np.uint8), curve)
    blur = float(rng.gamma(1.4, 0.006)) * sharpness
    if rng.random() < 0.12:
        picture = _motion(picture, float(rng.uniform(0.015, 0.04)) * sharpness, rng.uniform(0, np.pi))
    elif blur > 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), min(blur, 0.028 * sharpness))
    grain = float(rng.gamma(1.5, 2.2))
    shape = picture.shape[:2]
    noise = smooth_noise(rng, shape, (shape[0] * rng.uniform(0.5, 1), shape[1] * rng.uniform(0.5, 1))) * grain
    return np.clip(picture + noise[..., None] + 0.5, 0, 255).astype(np.uint8)


def _motion(picture: np.ndarray, length: float, direction: float) -> np.ndarray:
    size = 2 * int(np.ceil(length)) + 1
    kernel = np.zeros((size, size), np.float32)
    middle, reach = size // 2, np.array([np.cos(direction), np.sin(direction)]) * length
    ends = [tuple(np.round((middle + sign * reach / 2) * 16).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_8, 4)
    return cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
