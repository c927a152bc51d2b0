"""Pictures of any size to their faces, with a YOLO."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceline_core.faces import Face
from faceline_detect.searching.batches import BATCH_PHOTOS, most_pixels, padded_batches
from faceline_detect.searching.candidates import best
from faceline_detect.searching.sizes import resized, searched_size
from faceline_detect.yolo.checkpoint import face_class, read_yolo

_GREY = 114  # what YOLO was trained to see beyond a picture


class YoloSearch:
    """Finds faces in pictures of any sizes.

    Their longer side is brought to that of the pictures that it was trained with: a YOLO finds faces of the sizes that
    it has seen.

    Attributes:
        landmarks: whether it gives the five landmarks of faces.
        side: of the pictures that it was trained with, px.

    Args:
        path: a YOLO's .pt file, by us or by others; of several classes the one called face is looked for.
        confidence: faces under this score are not reported.
        nms: of two boxes that overlap by more, the one of the lower score goes.
        device: cpu, cuda, cuda:1, ...

    Raises:
        FacelineError: where ultralytics is not installed, or the file is none that it reads.
    """

    def __init__(
        self,
        path: Path,
        confidence: float = 0.25,
        nms: float = 0.4,
        device: str = "cpu",
    ):
        self.confidence, self.nms = confidence, nms
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
        for batch, canvas in padded_batches(sizes, most_pixels(self.device.type), BATCH_PHOTOS, waste=0.0):
            pixels = np.full((len(batch), *canvas, 3), _GREY, np.uint8)
            for padded, index in zip(pixels, batch, strict=True):
                height, width = sizes[index]
                padded[:height, :width] = resized(images[places[index]], (height, width))
            for index, rows in zip(batch, self._search(pixels), strict=True):
                image = images[places[index]]
                scale = np.array(image.shape[1::-1], np.float32) / np.array(sizes[index][::-1], np.float32)
                found[places[index]] = self._faces(rows, scale)
        return found

    def _size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width to search a picture at."""
        return searched_size(height, width, self.side / max(height, width))

    @torch.inference_mode()
    def _search(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """(N, H, W, 3) RGB to the rows (D, 5 + points) of each: box, score, landmarks, in px of those."""
        from torchvision.ops import nms

        images = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2)  # channels last, as it is
        outputs: Tensor = self.network(images.float() / 255)[0]
        found = []
        for columns in outputs.transpose(1, 2):  # (A, 4 + classes + points): centre, size, scores, points
            scores = columns[:, 4 + self._face]
            kept = best(scores, self.confidence)
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
