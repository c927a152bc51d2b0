"""Where the rays of a pinhole camera meet a head's surface."""

import cv2
import numpy as np

from faceline_sample.canvas import BOTTOM, TOP

CENTRE = 0.18  # height of the point that the head turns around
HALF = 1.75  # the picture of a head shows -HALF..HALF around it
_NEAR, _FAR, _STEP = 1.4, -1.2, 0.14  # depths that are searched, and how finely
_WIDEST = 1.4  # rays further out than this miss every head
_FOLD = 512


class Rays:
    """Rays through the pixels of a square picture: P(t) = a + t b in head coordinates, t towards the camera."""

    def __init__(self, turn: np.ndarray, distance: float, side: int):
        line = (np.arange(side, dtype=np.float32) + 0.5) / side * 2 * HALF - HALF
        kept = line[np.abs(line) < _WIDEST]
        self.side, self.first = side, int(np.argmax(np.abs(line) < _WIDEST))
        self.shape = (side, kept.size)
        x, y = np.meshgrid(kept, line)
        r = turn.astype(np.float32)
        # P(t) = (x (1 - t/f), y (1 - t/f), t) in the camera, R^T P + (0, CENTRE, 0) in the head
        a = np.stack([(r[0, i] * x + r[1, i] * y).ravel() for i in range(3)])
        self.b = r[2][:, None] - a / np.float32(distance)
        self.a = a
        self.a[1] += np.float32(CENTRE)


def cast(surface: np.ndarray, turn: np.ndarray, distance: float, side: int) -> tuple[np.ndarray, ...]:
    """Where the ray of each pixel meets the surface.

    A third of the rays each way find roughly where; every ray near a hit then starts just before that, and bisects.

    Args:
        surface: (R, C) radius, as `head_surface` gives it.
        turn: (3, 3) from head to camera.
        distance: of the camera, in head units.
        side: of the picture, pixels.

    Returns:
        Depth (towards the camera), angle and height of the point that is met, (side, side) float32 each in head units
        and radians; and whether any is, (side, side) bool.
    """
    wrapped = np.roll(surface, -surface.shape[1] // 2, axis=1)
    wrapped = np.hstack([wrapped[:, -1:], wrapped, wrapped[:, :1]])  # column 1 is half a column right of angle 0
    rough = Rays(turn, distance, max(12, side // 3))
    start = np.full(rough.a.shape[1], _NEAR, np.float32)
    coarse = np.nan_to_num(_march(wrapped, rough.a, rough.b, start), nan=_FAR).reshape(rough.shape)
    coarse = cv2.dilate(coarse, np.ones((3, 3), np.uint8))
    rays = Rays(turn, distance, side)
    start = cv2.resize(coarse, rays.shape[::-1], interpolation=cv2.INTER_NEAREST).ravel()
    tried = np.flatnonzero(start > _FAR)
    start = np.minimum(start[tried] + np.float32(_STEP), np.float32(_NEAR))
    near = _march(wrapped, rays.a[:, tried], rays.b[:, tried], start)
    hit = ~np.isnan(near)
    found, near = tried[hit], near[hit]
    a, b = rays.a[:, found], rays.b[:, found]
    far = near + np.float32(_STEP)
    for _ in range(6):
        half = (near + far) / 2
        met, _, _ = _inside(wrapped, a, b, half)
        near, far = np.where(met, half, near), np.where(met, far, half)
    _, angle, height = _inside(wrapped, a, b, near)
    angle = np.where(angle > np.pi, angle - np.float32(2 * np.pi), angle)
    result = []
    for values in (near, angle, height, True):
        picture = np.zeros((side, side), bool if values is True else np.float32)
        part = np.zeros(rays.shape[0] * rays.shape[1], picture.dtype)
        part[found] = values
        picture[:, rays.first : rays.first + rays.shape[1]] = part.reshape(rays.shape)
        result.append(picture)
    return tuple(result)


def _march(surface: np.ndarray, a: np.ndarray, b: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The first depth of each ray, in steps from its start, that lies inside; NaN where none does."""
    first = np.full(start.size, np.nan, np.float32)
    open_, t = np.arange(start.size), start.copy()
    for step in range(int((_NEAR - _FAR) / _STEP) + 2):
        met, _, _ = _inside(surface, a, b, t)
        new = open_[met]
        first[new] = np.fmax(first[new], t[met])
        t -= np.float32(_STEP)
        if step % 3 == 0:  # those that are done are let go of now and then; it costs as much as three steps
            keep = np.flatnonzero(~met & (t > _FAR))
            if not keep.size:
                break
            open_, a, b, t = open_[keep], a[:, keep], b[:, keep], t[keep]
    return first


def _inside(
    surface: np.ndarray, a: np.ndarray, b: np.ndarray, t: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether the points at depths t lie inside, and their angle (0..2 pi) and height; all (N,)."""
    n = t.size
    points = np.zeros((3, -(-n // _FOLD) * _FOLD), np.float32)  # folded, since remap limits a side to 32,767
    np.multiply(b, t, out=points[:, :n])
    points[:, :n] += a
    px, py, pz = points.reshape(3, -1, _FOLD)
    reach, angle = cv2.cartToPolar(pz, px)
    rows, columns = surface.shape[0], surface.shape[1] - 2
    u = angle * np.float32(columns / (2 * np.pi)) + np.float32(0.5)
    v = py * np.float32(rows / (BOTTOM - TOP)) - np.float32(TOP * rows / (BOTTOM - TOP) + 0.5)
    met = reach < cv2.remap(surface, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return met.ravel()[:n], angle.ravel()[:n], py.ravel()[:n]
