"""The unrolled skin of a head, to draw on in head units.

The head is described as a scanner sees it: radius over (angle around the vertical axis, height). The canvas holds that
strip: `s` = angle x RADIUS is the distance along the skin from the middle of the face, `y` the height, both in head
units. s grows to the right of the picture, y downwards.
"""

import cv2
import numpy as np

RADIUS = 0.78
TOP, BOTTOM = -1.55, 1.95
_SHIFT = 4


class Canvas:
    """Albedo (H, W, 3) float32 RGB in 0..255 of the unrolled head, `scale` pixels a head unit."""

    def __init__(self, scale: float, colour: np.ndarray):
        self.scale = scale
        self.width = round(2 * np.pi * RADIUS * scale)
        self.height = round((BOTTOM - TOP) * scale)
        self.pixels = np.empty((self.height, self.width, 3), np.float32)
        self.pixels[:] = colour

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) of (s, y) in head units -> (N, 2) pixels."""
        return (np.asarray(points, np.float64) - (-np.pi * RADIUS, TOP)) * self.scale - 0.5

    def grid(self, s0: float, s1: float, y0: float, y1: float) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
        """The part of the canvas inside bounds: its slices, and s (1, W) and y (H, 1) of its pixels."""
        (x0, top), (x1, bottom) = self.to_pixels(np.array([[s0, y0], [s1, y1]]))
        columns = slice(max(0, int(x0)), min(self.width, int(x1) + 2))
        rows = slice(max(0, int(top)), min(self.height, int(bottom) + 2))
        s = (np.arange(columns.start, columns.stop, dtype=np.float32) + 0.5) / self.scale - np.pi * RADIUS
        y = (np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5) / self.scale + TOP
        return (rows, columns), s[None, :], y[:, None]

    def blend(self, where: tuple[slice, slice], alpha: np.ndarray, colour: np.ndarray) -> None:
        """Mixes a colour, (3,) or (h, w, 3), into a part of the canvas by alpha (h, w) in 0..1."""
        part = self.pixels[where]
        part += (np.asarray(colour, np.float32) - part) * alpha[..., None]

    def darken(self, where: tuple[slice, slice], amount: np.ndarray) -> None:
        """Multiplies a part of the canvas by 1 - amount (h, w); blue and green lose a little more, as skin does."""
        self.pixels[where] *= 1 - amount[..., None] * np.array([0.86, 1.0, 1.06], np.float32)

    def fill(self, polygon: np.ndarray, colour: np.ndarray, alpha: float = 1.0, soft: float = 0.0) -> None:
        """Fills a polygon (N, 2); `soft` is the standard deviation of its edge in head units."""
        where, mask = self._mask(polygon, soft)
        if mask.size:
            cv2.fillPoly(mask, [self._fixed(polygon, where)], 255, cv2.LINE_AA, _SHIFT)
            self._put(where, mask, colour, alpha, soft)

    def inside(self, polygon: np.ndarray, where: tuple[slice, slice]) -> np.ndarray:
        """Coverage (h, w) float32 in 0..1 of a part of the canvas by a polygon (N, 2)."""
        mask = np.zeros((where[0].stop - where[0].start, where[1].stop - where[1].start), np.uint8)
        cv2.fillPoly(mask, [self._fixed(polygon, where)], 255, cv2.LINE_AA, _SHIFT)
        return mask.astype(np.float32) / 255

    def stroke(self, line: np.ndarray, width: float, colour: np.ndarray, alpha: float = 1.0, soft: float = 0.0) -> None:
        """Draws a line (N, 2) of a width in head units; thinner than a pixel, it fades instead."""
        where, mask = self._mask(line, soft + width)
        pixels = width * self.scale
        if mask.size:
            thickness = max(1, round(pixels))
            cv2.polylines(mask, [self._fixed(line, where)], False, 255, thickness, cv2.LINE_AA, _SHIFT)
            self._put(where, mask, colour, alpha * min(1.0, pixels / thickness), soft)

    def _mask(self, points: np.ndarray, margin: float) -> tuple[tuple[slice, slice], np.ndarray]:
        low, high = np.min(points, 0) - 3 * margin - 2 / self.scale, np.max(points, 0) + 3 * margin + 2 / self.scale
        where, s, y = self.grid(low[0], high[0], low[1], high[1])
        return where, np.zeros((max(0, y.size), max(0, s.size)), np.uint8)

    def _fixed(self, points: np.ndarray, where: tuple[slice, slice]) -> np.ndarray:
        offset = (where[1].start, where[0].start)
        return np.round((self.to_pixels(points) - offset) * 2**_SHIFT).astype(np.int32)

    def _put(self, where: tuple[slice, slice], mask: np.ndarray, colour: np.ndarray, alpha: float, soft: float) -> None:
        if soft * self.scale > 0.3:
            mask = cv2.GaussianBlur(mask, (0, 0), soft * self.scale)
        self.blend(where, mask.astype(np.float32) * (alpha / 255), colour)


def curve(points: list[tuple[float, float]] | np.ndarray, closed: bool = False, steps: int = 8) -> np.ndarray:
    """A Catmull-Rom curve through points (N, 2), `steps` points a segment."""
    p = np.asarray(points, np.float64)
    p = np.vstack([p[-1:], p, p[:2]]) if closed else np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.arange(steps)[None, :, None] / steps
    a, b, c, d = p[:-3, None], p[1:-2, None], p[2:-1, None], p[3:, None]
    line = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    line = line.reshape(-1, 2)
    return line if closed else np.vstack([line, p[-2]])
