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
        pixels: (h, w, 4) uint8, RGB and coverage (0 or 255); all four are 0 where nothing is drawn.
    """

    def __init__(self, shape: tuple[int, int], points: Array, margin: float, zoom: int):
        low = np.clip(np.floor(points.min(0) - margin), 0, (shape[1], shape[0])).astype(int)
        high = np.clip(np.ceil(points.max(0) + margin) + 1, low, (shape[1], shape[0])).astype(int)
        (self.x0, self.y0), (self.x1, self.y1) = low.tolist(), high.tolist()
        self.zoom = zoom
        self.pixels = np.zeros(((self.y1 - self.y0) * zoom, (self.x1 - self.x0) * zoom, 4), np.uint8)

    def _fixed(self, points: Array) -> NDArray[np.int32]:
        fine = (points - (self.x0, self.y0) + 0.5) * self.zoom - 0.5
        fixed = np.minimum(np.maximum(np.rint(fine * 2**_SHIFT), -(2**20)), 2**20)
        whole: NDArray[np.int32] = fixed.astype(np.int32)
        return whole

    def polygon(self, points: Array, colour: Array) -> None:
        """Fills a polygon, (N, 2) pixels of the picture."""
        if self.pixels.size:
            cv2.fillPoly(self.pixels, [self._fixed(points)], _opaque(colour), cv2.LINE_8, _SHIFT)

    def line(self, points: Array, width: float, colour: Array) -> None:
        """Draws a line (N, 2); width in pixels of the picture."""
        if self.pixels.size:
            thick = max(1, round(width * self.zoom))
            cv2.polylines(self.pixels, [self._fixed(points)], False, _opaque(colour), thick, cv2.LINE_8, _SHIFT)

    def mesh(self, points: Array, colours: Array) -> None:
        """Fills the quads between (R, C, 2) points with (R - 1, C - 1, 3) colours, later rows over earlier ones."""
        if not self.pixels.size:
            return
        quads = self._fixed(np.stack([points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]], axis=2))
        opaque = np.full((quads.shape[0] * quads.shape[1], 4), 255.0)
        opaque[:, :3] = np.minimum(np.maximum(colours, 0), 255).reshape(-1, 3)
        for quad, colour in zip(quads.reshape(-1, 4, 2), opaque.tolist(), strict=True):
            cv2.fillConvexPoly(self.pixels, quad, colour, cv2.LINE_8, _SHIFT)

    def smooth(self, sigma: float, roughly: bool = False) -> None:
        """Blurs the colours that are drawn so far; the coverage stays as it is.

        Args:
            sigma: of a Gaussian, in pixels of the picture.
            roughly: two box filters of that variance instead, which cost a tenth of it.
        """
        fine = sigma * self.zoom
        if fine < 0.3 or not self.pixels.size:
            return
        if roughly:
            side = 2 * round((np.sqrt(6 * fine**2 + 1) - 1) / 2) + 1  # a box of side k has the variance (k^2 - 1) / 12
            blurred = cv2.blur(cv2.blur(self.pixels, (side, side)), (side, side))
        else:
            blurred = cv2.GaussianBlur(self.pixels, (0, 0), fine)
        blurred = blurred.reshape(-1, 4)
        cover = cv2.extractChannel(self.pixels, 3)
        mixed = np.flatnonzero((blurred[:, 3] < 255) & (cover.ravel() > 0))  # with what lies around, which is 0
        edge = blurred[mixed].astype(np.float32)
        blurred[mixed] = np.minimum(edge * (255 / np.maximum(edge[:, 3:], 1)), 255)
        self.pixels = cv2.bitwise_and(blurred.reshape(self.pixels.shape), cv2.merge([cover] * 4))
        cv2.insertChannel(cover, self.pixels, 3)

    def onto(self, image: NDArray[np.generic], light: float) -> tuple[NDArray[np.generic], Floats]:
        """The picture with the layer on it, its colours times `light`, and its alpha, (H, W) float32 in 0..1."""
        alpha = np.zeros(image.shape[:2], np.float32)
        result = image.copy()
        if not self.pixels.size:
            return result, alpha
        size = (self.x1 - self.x0, self.y1 - self.y0)
        reduced = cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], 4)
        reduced = reduced.astype(np.float32)  # premultiplied: nothing drawn is black and transparent
        weight = reduced[..., 3] * np.float32(1 / 255)
        part = (slice(self.y0, self.y1), slice(self.x0, self.x1))
        mixed = image[part].astype(np.float32) * (1 - weight[..., None]) + reduced[..., :3] * np.float32(light)
        result[part] = np.clip(mixed + 0.5, 0, 255) if image.dtype == np.uint8 else np.minimum(mixed, 255)
        alpha[part] = weight
        return result, alpha


def _opaque(colour: Array) -> tuple[float, float, float, float]:
    r, g, b = (min(max(level, 0.0), 255.0) for level in colour.tolist())
    return r, g, b, 255.0
