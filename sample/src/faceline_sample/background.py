"""What stands behind people: walls, rooms, leaves, streets, all out of focus."""

import cv2
import numpy as np

from faceline_sample.noise import octaves


def draw_background(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) float32 RGB, 0..255; drawn at half its size, since it is out of focus."""
    full, shape = shape, (-(-shape[0] // 2), -(-shape[1] // 2))
    height, width = shape
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    top, bottom = _colour(rng), _colour(rng)
    picture = top * (1 - y) + bottom * y * np.ones((1, width, 1), np.float32)
    kind = rng.integers(4)
    if kind == 0:  # a mottled wall
        picture *= (1 + np.float32(0.10) * octaves(rng, shape, 4, 3))[..., None]
    elif kind == 1:  # leaves and lights
        grains = octaves(rng, shape, 10, 3)
        picture = picture * (1 + np.float32(0.16) * grains)[..., None]
        picture += (np.clip(grains - 1.6, 0, 1) * 90)[..., None]
    else:  # furniture, windows, people's coats: boxes and blobs
        picture = np.ascontiguousarray(np.clip(picture, 0, 255))
        for _ in range(int(rng.integers(4, 14))):
            x0, y0 = rng.uniform(-0.1, 0.9, 2) * (width, height)
            w, h = rng.uniform(0.05, 0.5, 2) * (width, height)
            colour = _colour(rng).tolist()
            if kind == 2:
                cv2.rectangle(picture, (int(x0), int(y0)), (int(x0 + w), int(y0 + h)), colour, -1)
            else:
                cv2.ellipse(
                    picture, (int(x0), int(y0)), (int(w / 2), int(h / 2)), rng.uniform(0, 180), 0, 360, colour, -1
                )
        picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(1.0, 7.0)) * max(shape) / 400)
        picture *= (1 + np.float32(0.05) * octaves(rng, shape, 5, 2))[..., None]
    return cv2.resize(np.clip(picture, 0, 255).astype(np.float32), full[::-1], interpolation=cv2.INTER_LINEAR)


def _colour(rng: np.random.Generator) -> np.ndarray:
    hue, saturation, value = rng.uniform(0, 1), rng.beta(1.0, 4.5), rng.uniform(0.15, 0.92)
    rgb = value * (1 - saturation * np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1))
    return (255 * rgb).astype(np.float32)
