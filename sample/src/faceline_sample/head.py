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
from faceline_sample.noise import octaves
from faceline_sample.raycast import CENTRE, HALF, cast
from faceline_sample.shot import Shot
from faceline_sample.surface import ANGLES, HEIGHTS, head_surface, with_hair


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
    surface = with_hair(skin_surface, hair_relief(who, shot, skin_surface))
    turn = rotation(shot)
    side = int(np.ceil(2 * HALF * scale))
    depth, angle, y, hit = cast(surface, turn, shot.distance, side)
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


def _paint(who: Identity, shot: Shot, scale: float) -> np.ndarray:
    canvas = Canvas(scale, who.skin)
    rng = np.random.default_rng(who.texture_seed)
    shape = canvas.pixels.shape[:2]
    canvas.pixels *= (1 + np.float32(0.03) * octaves(rng, shape, 12, 2))[..., None]
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
    x, y, z = shot.light.astype(np.float32)
    lit = (-dx * x - dy * y + z) * norm
    wrap = np.float32(0.25)
    diffuse = np.clip((lit + wrap) / (1 + wrap), 0, None)
    half = np.add(shot.light, (0, 0, 1))
    half = (half / np.linalg.norm(half)).astype(np.float32)
    gloss = np.clip((-dx * half[0] - dy * half[1] + half[2]) * norm, 0, 1)
    gloss = gloss * gloss * gloss  # ** 24, by squaring
    gloss = gloss * gloss
    gloss = gloss * gloss
    bright = diffuse + np.float32(0.14) * gloss * gloss
    sky = np.float32(0.82) + np.float32(0.18) * np.clip(dy * norm, -1, 1)
    ambient, key = shot.ambient.astype(np.float32), shot.key.astype(np.float32)
    return sky[..., None] * ambient + bright[..., None] * key
