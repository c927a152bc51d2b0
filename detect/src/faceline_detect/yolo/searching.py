"""Pictures of any size to their faces, with a YOLO."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceline_core.faces import Face
from faceline_detect.retinaface.batches import padded_batches
from faceline_detect.yolo.checkpoint import face_class, read_yolo

LARGEST_PHOTO = 16_000_000
"""px; a picture that would be searched at more is brought down to it."""
BATCH_PIXELS = {"cpu": 2_000_000, "cuda": 16_000_000}
BATCH_PHOTOS = 32
CANDIDATES = 5000
"""The most boxes of a picture, by score, that suppression looks at."""
_GREY = 114  # what YOLO was trained to see beyond a picture


class YoloSearch:
    """Finds faces in pictures of any sizes.

    Attributes:
        landmarks: whether it gives the five landmarks of faces.
        side: of the pictures that it was trained with, px.

    Args:
        path: a YOLO's .pt file, by us or by others; of several classes the one called face is looked for.
        confidence: faces under this score are not reported.
        nms: of two boxes that overlap by more, the one of the lower score goes.
        short_side: pictures are brought to this shorter side, px.
        long_side: the longer side that `short_side` may not make longer, px. With neither, the longer side is that of
            the pictures that it was trained with: a YOLO finds faces of the sizes that it has seen.
        device: cpu, cuda, cuda:1, ...

    Raises:
        FacelineError: where ultralytics is not installed, or the file is none that it reads.
    """

    def __init__(
        self,
        path: Path,
        confidence: float = 0.25,
        nms: float = 0.4,
        short_side: int | None = None,
        long_side: int | None = None,
        device: str = "cpu",
    ):
        self.confidence, self.nms = confidence, nms
        self.short_side, self.long_side = short_side, long_side
        self.device = torch.device(device)
        network = read_yolo(path)
        self._face = face_class(network, path)
        self._classes = len(network.names)  # type: ignore[arg-type]
        self.side = int(network.args["imgsz"])  # type: ignore[index]
        self._points = getattr(network.model[-1], "kpt_shape", (0, 0))  # type: ignore[index]
        self.landmarks = self._points[0] == 5
        fused = network.fuse(verbose=False)  # type: ignore[operator]
        self.network = fused.to(self.device, memory_format=torch.channels_last).eval().requires_grad_(False)

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Faces of each picture in its pixels, highest score first.

        Args:
            images: (H, W, 3) uint8 RGB, each of its own size.
        """
        found: list[list[Face]] = [[] for _ in images]
        places = [place for place, image in enumerate(images) if min(image.shape[:2])]
        sizes = [self._size(*images[place].shape[:2]) for place in places]
        most = BATCH_PIXELS.get(self.device.type, BATCH_PIXELS["cpu"])
        for batch, canvas in padded_batches(sizes, most, BATCH_PHOTOS, waste=0.0):
            pixels = np.full((len(batch), *canvas, 3), _GREY, np.uint8)
            for padded, index in zip(pixels, batch, strict=True):
                height, width = sizes[index]
                padded[:height, :width] = _resized(images[places[index]], (height, width))
            for index, rows in zip(batch, self._search(pixels), strict=True):
                image = images[places[index]]
                scale = np.array(image.shape[1::-1], np.float32) / np.array(sizes[index][::-1], np.float32)
                found[places[index]] = self._faces(rows, scale)
        return found

    def _size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width to search a picture at."""
        short, long = self.short_side, self.long_side
        if short is None and long is None:
            long = self.side
        scale = (LARGEST_PHOTO / (height * width)) ** 0.5
        if short is not None:
            scale = min(scale, short / min(height, width))
        if long is not None:
            scale = min(scale, long / max(height, width))
        return max(1, round(scale * height)), max(1, round(scale * width))

    @torch.inference_mode()
    def _search(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """(N, H, W, 3) RGB to the rows (D, 5 + points) of each: box, score, landmarks, in px of those."""
        from torchvision.ops import nms

        images = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2)  # channels last, as it is
        outputs: Tensor = self.network(images.float() / 255)[0]
        found = []
        for columns in outputs.transpose(1, 2):  # (A, 4 + classes + points): centre, size, scores, points
            scores = columns[:, 4 + self._face]
            kept = (scores >= self.confidence).nonzero()[:, 0]
            if len(kept) > CANDIDATES:
                kept = kept[scores[kept].topk(CANDIDATES).indices]
            centre, half, scores = columns[kept, :2], columns[kept, 2:4] / 2, scores[kept]
            boxes = torch.cat([centre - half, centre + half], 1)
            rows = torch.cat([boxes, scores[:, None], columns[kept, 4 + self._classes :]], 1)
            found.append(rows[nms(boxes, scores, self.nms)].cpu().numpy())
        return found

    def _faces(self, rows: NDArray[np.float32], scale: NDArray[np.float32]) -> list[Face]:
        faces = []
        for row in rows:
            landmarks = row[5:].reshape(self._points)[:, :2] * scale if self.landmarks else None
            faces.append(Face(row[:4] * np.tile(scale, 2), landmarks, float(row[4])))
        return faces


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if image.shape[:2] == size:
        return image
    smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
