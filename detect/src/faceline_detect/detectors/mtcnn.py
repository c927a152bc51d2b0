"""MTCNN, as facenet-pytorch brings it, for photos of any size."""

import cv2
import numpy as np
import torch
from facenet_pytorch import MTCNN
from numpy.typing import NDArray

from faceline_core.faces import Face
from faceline_detect.detectors.batches import equal_size_batches

SMALLEST_SIDE = 20  # px; its image pyramid is empty below
LARGEST_PHOTO = 16_000_000  # px; larger ones are searched at half size, a quarter, ...: about 1 GB at most
BATCH_PIXELS = 2_000_000
BATCH_PHOTOS = 8
_MARGIN = 32  # px of grey around a photo in which a candidate box lay wholly outside


class Mtcnn:
    """Finds the faces that `facenet_pytorch.MTCNN(keep_all=True).detect` finds: three nets, from 20 px up.

    The nets lie channels last in memory, which on a CPU halves their time. Photos of one size go through together.
    """

    def __init__(self, device: str = "cpu"):
        self.device = torch.device(device)
        self.net = MTCNN(keep_all=True, device=self.device)
        self.net.to(memory_format=torch.channels_last)

    def detect(self, images: list[NDArray[np.uint8]]) -> list[list[Face]]:
        """Faces of each photo, highest score first.

        Args:
            images: (H, W, 3) uint8 RGB, each of its own size.
        """
        found: list[list[Face]] = [[] for _ in images]
        for positions in equal_size_batches(images, BATCH_PIXELS, BATCH_PHOTOS):
            height, width = images[positions[0]].shape[:2]
            if min(height, width) < SMALLEST_SIDE:
                continue
            step = 1
            while height * width > LARGEST_PHOTO * step**2 and min(height, width) >= 2 * step * SMALLEST_SIDE:
                step *= 2
            batch = np.stack([_smaller(images[position], step) for position in positions])
            for position, faces in zip(positions, self._search(batch), strict=True):
                scale = np.array([width / batch.shape[2], height / batch.shape[1]], np.float32)
                found[position] = [_scaled(face, scale) for face in faces] if step > 1 else faces
        return found

    def _search(self, batch: NDArray[np.uint8]) -> list[list[Face]]:
        try:
            return self._faces(batch)
        except (IndexError, RuntimeError) as error:
            if not _is_box_outside(error):
                raise
        if len(batch) > 1:
            return [self._search(batch[index : index + 1])[0] for index in range(len(batch))]
        # a candidate lay wholly outside the photo: the net leaves it out of one list and not of the other
        framed = cv2.copyMakeBorder(batch[0], *(_MARGIN,) * 4, cv2.BORDER_CONSTANT, value=(127, 127, 127))
        try:
            faces = self._faces(framed[None])[0]
        except (IndexError, RuntimeError) as error:
            if not _is_box_outside(error):
                raise
            return [[]]
        return [[Face(face.box - _MARGIN, face.landmarks - _MARGIN, face.score) for face in faces]]

    def _faces(self, batch: NDArray[np.uint8]) -> list[list[Face]]:
        boxes, scores, landmarks = self.net.detect(batch, landmarks=True)
        found = []
        for photo_boxes, photo_scores, photo_landmarks in zip(boxes, scores, landmarks, strict=True):
            faces = []
            if photo_boxes is not None:
                for box, score, points in zip(photo_boxes, photo_scores, photo_landmarks, strict=True):
                    faces.append(Face(np.asarray(box, np.float32), np.asarray(points, np.float32), float(score)))
            found.append(sorted(faces, key=lambda face: -face.score))
        return found


def _is_box_outside(error: Exception) -> bool:
    """Whether it is what facenet-pytorch's second and third nets raise where a candidate lies wholly outside."""
    return "shape of the mask" in str(error) or "non-empty list of Tensors" in str(error)


def _smaller(image: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    if step == 1:
        return image
    size = (image.shape[1] // step, image.shape[0] // step)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _scaled(face: Face, scale: NDArray[np.float32]) -> Face:
    landmarks = None if face.landmarks is None else face.landmarks * scale
    return Face(face.box * np.tile(scale, 2), landmarks, face.score)
