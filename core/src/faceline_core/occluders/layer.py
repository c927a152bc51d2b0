"""What occluders are drawn on: colour and coverage of a part of a picture, at a finer grid."""

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

_SHIFT = 4


class Layer:
    """Colour and coverage over the bounds of what will be drawn, inside the picture, on a grid `zoom` times finer.

    Attributes:
        colour: (h, w, 3) uint8 RGB; cover: (h, w) uint8, 0..255.
    """

    def __init__(self, shape: tuple[int, int], points: Array, margin: float, zoom: int):
        low = np.maximum(np.floor(points.min(0) - margin), 0).astype(int)
        high = np.minimum(np.ceil(points.max(0) + margin) + 1, (shape[1], shape[0])).astype(int)
        self.x0, self.y0 = int(low[0]), int(low[1])
        self.x1, self.y1 = max(int(high[0]), self.x0), max(int(high[1]), self.y0)
        self.zoom = zoom
        size = ((self.y1 - self.y0) * zoom, (self.x1 - self.x0) * zoom)
        self.colour = np.zeros((*size, 3), np.uint8)
        self.cover = np.zeros(size, np.uint8)

    @property
    def empty(self) -> bool:
        """Whether nothing of it lies in the picture."""
        return self.cover.size == 0

    def _fixed(self, points: Array) -> NDArray[np.int32]:
        fine = (points - (self.x0, self.y0) + 0.5) * self.zoom - 0.5
        fixed: NDArray[np.int32] = np.clip(np.round(fine * 2**_SHIFT), -(2**20), 2**20).astype(np.int32)
        return fixed

    def polygon(self, points: Array, colour: Array, cover: int = 255) -> None:
        """Fills a polygon, (N, 2) pixels of the picture."""
        fixed = self._fixed(points)
        cv2.fillPoly(self.colour, [fixed], _scalar(colour), cv2.LINE_8, _SHIFT)
        cv2.fillPoly(self.cover, [fixed], cover, cv2.LINE_8, _SHIFT)

    def line(self, points: Array, width: float, colour: Array, cover: int = 255) -> None:
        """Draws a line (N, 2); width in pixels of the picture."""
        fixed, thick = self._fixed(points), max(1, round(width * self.zoom))
        cv2.polylines(self.colour, [fixed], False, _scalar(colour), thick, cv2.LINE_8, _SHIFT)
        cv2.polylines(self.cover, [fixed], False, cover, thick, cv2.LINE_8, _SHIFT)

    def mesh(self, points: Array, colours: Array) -> None:
        """Fills the quads between (R, C, 2) points with (R - 1, C - 1, 3) colours; overlapping quads add up."""
        quads = self._fixed(np.stack([points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]], axis=2))
        rows, columns = quads.shape[:2]
        for i in range(rows):
            for j in range(columns):
                cv2.fillConvexPoly(self.colour, quads[i, j], _scalar(colours[i, j]), cv2.LINE_8, _SHIFT)
                cv2.fillConvexPoly(self.cover, quads[i, j], 255, cv2.LINE_8, _SHIFT)

    def smooth(self, sigma: float) -> None:
        """Softens what is drawn so far (sigma in pixels of the picture), colours only, not letting black in."""
        sigma = sigma * self.zoom
        if sigma < 0.3 or self.empty:
            return
        weight = self.cover.astype(np.float32) / 255
        blurred: Floats = cv2.GaussianBlur(self.colour.astype(np.float32) * weight[..., None], (0, 0), sigma)
        norm = np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-3)
        self.colour = np.clip(blurred / norm[..., None] + 0.5, 0, 255).astype(np.uint8)

    def onto(self, image: NDArray[np.generic], light: float) -> tuple[NDArray[np.generic], Floats]:
        """The picture with the layer on it, and the layer's alpha, (H, W) float32 in 0..1."""
        alpha = np.zeros(image.shape[:2], np.float32)
        result = image.copy()
        if self.empty:
            return result, alpha
        size = (self.x1 - self.x0, self.y1 - self.y0)
        weight = self.cover.astype(np.float32) / 255
        paint = cv2.resize(self.colour.astype(np.float32) * weight[..., None], size, interpolation=cv2.INTER_AREA)
        weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
        part = (slice(self.y0, self.y1), slice(self.x0, self.x1))
        mixed: Floats = (
            image[part].astype(np.float32) * (1 - weight[..., None]) + paint.reshape(*weight.shape, 3) * light
        )
        result[part] = np.clip(mixed + 0.5, 0, 255) if image.dtype == np.uint8 else mixed
        alpha[part] = weight
        return result, alpha


def _scalar(colour: Array) -> tuple[float, float, float]:
    r, g, b = np.clip(colour, 0, 255).tolist()
    return r, g, b
