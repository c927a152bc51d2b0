"""A head, drawn: the surface is turned, seen through a pinhole camera, painted and lit."""

from dataclasses import dataclass

import cv2
import numpy as np

from faceline_sample.canvas import BOTTOM, RADIUS, TOP, Canvas
from faceline_sample.eyes import eye_centres, paint_brows, paint_eyes
from faceline_sample.features import (
    mouth_corners,
    nose_point,
    paint_age,
    paint_beard,
    paint_marks,
    paint_mouth,
    paint_nose,
)
from faceline_sample.hair import hair_relief, paint_hair
from faceline_sample.identity import Identity
from faceline_sample.noise import smooth_noise
from faceline_sample.shot import Shot
from faceline_sample.surface import ANGLES, HEIGHTS, head_surface

CENTRE = 0.18  # height of the point that the head turns around
HALF = 1.75  # the picture of a head shows -HALF..HALF around it


@dataclass(frozen=True)
class Head:
    """A drawn head, before the camera's colours.

    Attributes:
        colour: (S, S, 3) float32 RGB, 0..255, lit.
        alpha: (S, S) float32, 0..1.
        landmarks: (5, 2) pixels: left eye, right eye, nose, left and right mouth corner as seen in the picture.
        box: (4,) x1 y1 x2 y2 pixels: from the hairline to the chin, and as wide as the face is seen.
        base: (2,) pixels, where the neck ends.
    """

    colour: np.ndarray
    alpha: np.ndarray
    landmarks: np.ndarray
    box: np.ndarray
    base: np.ndarray


def draw_head(who: Identity, shot: Shot, face_height: float) -> Head:
    """Draws a head whose face is about `face_height` pixels high (the scale before perspective)."""
    scale = face_height / (who["chin_y"] - who["hairline_y"])
    skin_surface = head_surface(who, shot)
    surface = head_surface(who, shot, hair_relief(who, shot))
    turn = rotation(shot)
    side = int(np.ceil(2 * HALF * scale))
    depth, angle, y, hit = _cast(surface, turn, shot.distance, side)
    albedo = _paint(who, shot, scale * 1.1)
    map_x = (angle / (2 * np.pi) + 0.5) * albedo.shape[1] - 0.5
    map_y = (y - TOP) / (BOTTOM - TOP) * albedo.shape[0] - 0.5
    skin = cv2.remap(albedo, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    colour = skin * _light(depth, hit, shot, 2 * HALF / side)
    alpha = cv2.GaussianBlur(hit.astype(np.float32), (3, 3), 0)
    alpha = np.clip(alpha * 2 - 1, 0, 1)  # the edge lies inside what was hit, so that no background colour bleeds in

    def seen(points: np.ndarray) -> np.ndarray:
        return (_project(points, turn, shot.distance) + HALF) / (2 * HALF) * side - 0.5

    features = np.vstack([eye_centres(who), nose_point(who)[None], mouth_corners(who, shot)])
    outline = seen(_on_surface(skin_surface, _face_outline(who)))
    return Head(
        colour=colour,
        alpha=alpha,
        landmarks=seen(_on_surface(skin_surface, features)),
        box=np.concatenate([outline.min(0), outline.max(0)]),
        base=seen(np.array([[0.0, 1.6, -0.15]]))[0],
    )


def rotation(shot: Shot) -> np.ndarray:
    """(3, 3), from head to camera coordinates (x right, y down, z towards the camera)."""
    (cy, cp, cr), (sy, sp, sr) = np.cos([shot.yaw, shot.pitch, shot.roll]), np.sin([shot.yaw, shot.pitch, shot.roll])
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return roll @ pitch @ yaw


def _project(points: np.ndarray, turn: np.ndarray, distance: float) -> np.ndarray:
    p = (points - (0, CENTRE, 0)) @ turn.T
    return p[:, :2] * (distance / (distance - p[:, 2:]))


def _on_surface(surface: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, 2) of (s, y) -> (N, 3) head coordinates on the surface."""
    angle = points[:, 0] / RADIUS
    columns = np.clip((angle / (2 * np.pi) + 0.5) * ANGLES, 0, ANGLES - 1).astype(int)
    rows = np.clip((points[:, 1] - TOP) / (BOTTOM - TOP) * HEIGHTS, 0, HEIGHTS - 1).astype(int)
    r = surface[rows, columns]
    return np.column_stack([r * np.sin(angle), points[:, 1], r * np.cos(angle)])


def _face_outline(who: Identity) -> np.ndarray:
    top, chin = who["hairline_y"], who["chin_y"]
    ring = np.linspace(-1.15, 1.15, 9)
    rows = [np.column_stack([ring * RADIUS * w, np.full(9, y)]) for y, w in ((0.15, 1.15), (-0.3, 1.1), (0.5, 1.05))]
    ends = [(0, top), (-0.3, top), (0.3, top), (0, chin - 0.01), (-0.15, chin - 0.02), (0.15, chin - 0.02)]
    return np.vstack([*rows, ends])


def _cast(surface: np.ndarray, turn: np.ndarray, distance: float, side: int) -> tuple[np.ndarray, ...]:
    """Where the ray of each pixel meets the surface: coarse steps, then bisection.

    Returns:
        Depth (towards the camera), angle, height, all (side, side) float32; and hit, bool.
    """
    line = (np.arange(side, dtype=np.float32) + 0.5) / side * 2 * HALF - HALF
    x, y = np.meshgrid(line, line)
    r = turn.astype(np.float32)
    # P(t) = (x (1 - t/f), y (1 - t/f), t) in the camera; in the head R^T P + (0, CENTRE, 0) = a + t b
    a = [r[0, i] * x + r[1, i] * y for i in range(3)]
    b = [r[2, i] - a[i] / np.float32(distance) for i in range(3)]
    a[1] = a[1] + np.float32(CENTRE)
    rows, columns = surface.shape

    def inside(t: np.ndarray | float, pick: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        px, py, pz = (a[i][pick] + t * b[i][pick] for i in range(3))
        reach, angle = cv2.cartToPolar(pz, px)
        angle = np.where(angle > np.pi, angle - np.float32(2 * np.pi), angle)
        u = (angle.reshape(-1, 1) + np.float32(np.pi)) * np.float32(columns / (2 * np.pi)) - np.float32(0.5)
        v = (py.reshape(-1, 1) - np.float32(TOP)) * np.float32(rows / (BOTTOM - TOP)) - np.float32(0.5)
        return reach.reshape(-1) < _look_up(surface, u, v), angle.reshape(-1), py.reshape(-1)

    steps = np.linspace(1.3, -1.2, 19, dtype=np.float32)
    first = np.full(side * side, np.nan, np.float32)
    a, b = [p.reshape(-1) for p in a], [p.reshape(-1) for p in b]
    open_ = np.arange(side * side)
    for t in steps:
        met, _, _ = inside(t, open_)
        first[open_[met]] = t
        open_ = open_[~met]
    hit = ~np.isnan(first)
    found = np.flatnonzero(hit)
    near = first[found]
    far = near + (steps[0] - steps[1])
    for _ in range(6):
        half = (near + far) / 2
        met, _, _ = inside(half, found)
        near, far = np.where(met, half, near), np.where(met, far, half)
    _, at_angle, at_y = inside(near, found)
    depth, angle, height = (np.zeros(side * side, np.float32) for _ in range(3))
    depth[found], angle[found], height[found] = near, at_angle, at_y
    shape = (side, side)
    return depth.reshape(shape), angle.reshape(shape), height.reshape(shape), hit.reshape(shape)


def _look_up(surface: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Bilinear values at N points; remap limits a side to 32,767, hence the folding."""
    n = u.size
    width = 1024
    rows = -(-n // width)
    pad = rows * width - n
    u, v = (np.pad(p.reshape(-1), (0, pad)).reshape(rows, width) for p in (u, v))
    return cv2.remap(surface, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).reshape(-1)[:n]


def _paint(who: Identity, shot: Shot, scale: float) -> np.ndarray:
    canvas = Canvas(scale, who.skin)
    rng = np.random.default_rng(who.texture_seed)
    shape = canvas.pixels.shape[:2]
    canvas.pixels *= (1 + 0.03 * smooth_noise(rng, shape, (50, 80)) + 0.025 * smooth_noise(rng, shape, (9, 14)))[
        ..., None
    ]
    where, s, y = canvas.grid(-1.0, 1.0, -0.8, who["chin_y"] + 0.3)
    blush = sum(np.exp(-0.5 * (((s - x) / 0.17) ** 2 + ((y - 0.36) / 0.13) ** 2)) for x in (-0.43, 0.43))
    blush = blush + np.exp(-0.5 * ((s / 0.1) ** 2 + ((y - who["nose_y"]) / 0.1) ** 2))
    canvas.blend(where, (0.16 * blush).astype(np.float32), who.skin * np.array([1.0, 0.72, 0.68]))
    under, _, low = canvas.grid(-np.pi * RADIUS, np.pi * RADIUS, who["chin_y"] - 0.06, BOTTOM)
    canvas.darken(under, 0.38 * np.clip((low - who["chin_y"] + 0.06) / 0.10, 0, 1) * np.ones((1, shape[1]), np.float32))
    paint_age(canvas, who, shot)
    paint_nose(canvas, who)
    paint_beard(canvas, who)
    paint_mouth(canvas, who, shot)
    paint_eyes(canvas, who, shot)
    paint_marks(canvas, who)
    paint_hair(canvas, who)
    paint_brows(canvas, who, shot)
    return canvas.pixels


def _light(depth: np.ndarray, hit: np.ndarray, shot: Shot, pixel: float) -> np.ndarray:
    """(S, S, 3) float32 factor of the albedo: ambient, wrapped Lambert, a weak highlight."""
    filled = np.where(hit, depth, -0.9).astype(np.float32)
    smooth = cv2.GaussianBlur(filled, (0, 0), 0.012 / pixel + 0.4)
    dx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / (8 * pixel))
    dy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / (8 * pixel))
    norm = 1 / np.sqrt(dx * dx + dy * dy + 1)
    lit = (-dx * shot.light[0] - dy * shot.light[1] + shot.light[2]) * norm
    wrap = 0.25
    diffuse = np.clip((lit + wrap) / (1 + wrap), 0, None)[..., None] ** np.array([0.92, 1.0, 1.05])
    half = np.add(shot.light, (0, 0, 1))
    half = half / np.linalg.norm(half)
    gloss = np.clip((-dx * half[0] - dy * half[1] + half[2]) * norm, 0, 1) ** 24
    sky = 0.82 + 0.18 * np.clip(dy * norm, -1, 1)[..., None]
    return (shot.ambient * sky + shot.key * (diffuse + 0.14 * gloss[..., None])).astype(np.float32)
