"""The size that a picture is searched at, and the picture brought to it."""

import cv2
import numpy as np
from numpy.typing import NDArray

LARGEST_PHOTO = 16_000_000
"""px; a picture that would be searched at more is brought down to it: 0.7 GiB of memory with RetinaFace's
mobilenet0.25, 3 GiB with its resnet50, half of that in bf16."""


def searched_size(height: int, width: int, scale: float) -> tuple[int, int]:
    """Height and width at `scale` times a picture's own, or as near as LARGEST_PHOTO allows."""
    scale = min(scale, (LARGEST_PHOTO / (height * width)) ** 0.5)
    return max(1, round(scale * height)), max(1, round(scale * width))


def resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) at the given height and width."""
    if image.shape[:2] == size:
        return image
    smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
