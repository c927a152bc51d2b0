"""Smooth noise."""

import cv2
import numpy as np


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[float, float]) -> np.ndarray:
    """Noise (H, W) float32 of roughly standard normal values, smooth over H / cells[0] rows, W / cells[1] columns."""
    rows, columns = (max(2, min(side, round(count))) for side, count in zip(shape, cells, strict=True))
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def octaves(rng: np.random.Generator, shape: tuple[int, int], cells: float, count: int = 3) -> np.ndarray:
    """Noise (H, W) with detail on several scales, each half as strong and twice as fine as the one before."""
    aspect = shape[1] / shape[0]
    return sum(
        smooth_noise(rng, shape, (cells * 2**i, cells * 2**i * aspect)) * np.float32(0.5**i) for i in range(count)
    )
