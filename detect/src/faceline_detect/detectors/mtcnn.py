"""MTCNN for photos of any size."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from faceline_core.faces import Face
from faceline_detect.detectors.batches import equal_size_batches
from faceline_detect.detectors.cascade import SMALLEST_FACE, Cascade

LARGEST_PHOTO = 16_000_000  # px; larger ones are searched at half size, a quarter, ...: about half a GB at most
BATCH_PIXELS = 2_000_000
BATCH_PHOTOS = 16


class Mtcnn:
    """Finds the faces that `facenet_pytorch.MTCNN(keep_all=True).detect` finds: three nets, from 20 px up.

    Photos of one size go through together, and find what each finds alone.

    Args:
        device: cpu, cuda, ...
        confidence: faces under this score are not reported; its own thresholds leave none under 0.7.
    """

    landmarks = True

    def __init__(self, device: str = "cpu", confidence: float = 0.0):
        self.confidence = confidence
        self.cascade = Cascade(torch.device(device))

    def detect(self, images: list[NDArray[np.uint8]]) -> list[list[Face]]:
        """Faces of each photo, highest score first.

        Args:
            images: (H, W, 3) uint8 RGB, each of its own size; one with a side under 20 px has no faces.
        """
        found: list[list[Face]] = [[] for _ in images]
        for positions in equal_size_batches(images, BATCH_PIXELS, BATCH_PHOTOS):
            height, width = images[positions[0]].shape[:2]
            if min(height, width) < SMALLEST_FACE:
                continue
            step = 1
            while height * width > LARGEST_PHOTO * step**2 and min(height, width) >= 2 * step * SMALLEST_FACE:
                step *= 2
            searched = [_smaller(images[position], step) for position in positions]
            scale = np.array([width / searched[0].shape[1], height / searched[0].shape[0]], np.float32)
            for position, faces in zip(positions, self.cascade.search(searched), strict=True):
                faces[:, :4] *= np.tile(scale, 2)
                faces[:, 5:] *= np.tile(scale, 5)
                found[position] = [
                    Face(row[:4], row[5:].reshape(5, 2), float(row[4])) for row in faces if row[4] >= self.confidence
                ]
        return found


def _smaller(image: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    if step == 1:
        return image
    size = (image.shape[1] // step, image.shape[0] // step)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
