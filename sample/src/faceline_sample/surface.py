"""The shape of a head: its radius over (angle, height), with hair, for one expression."""

import cv2
import numpy as np

from faceline_sample.canvas import BOTTOM, RADIUS, TOP
from faceline_sample.identity import Identity
from faceline_sample.shot import Shot

ANGLES, HEIGHTS = 320, 240
_DOME, _CROWN = -0.5, -1.17  # where the skull begins to close, and its top


def head_surface(who: Identity, shot: Shot) -> np.ndarray:
    """Radius of the head without hair.

    Returns:
        (HEIGHTS, ANGLES) float32 in head units; columns from angle -pi to pi (0 is the middle of the face), rows from
        TOP to BOTTOM.
    """
    y, angle = _heights(), _angles()
    radius = np.maximum(_skull(who, y, angle), _neck(y, angle))
    s = angle * RADIUS
    front = y < who["chin_y"] + 0.1
    radius = radius + np.where(front, _relief(who, shot, s, y), 0) + _ears(who, s, y)
    return radius.astype(np.float32)


def with_hair(skin: np.ndarray, hair: np.ndarray) -> np.ndarray:
    """The surface of skin and hair together, all (HEIGHTS, ANGLES); above the forehead hair raises the dome."""
    y = _heights()
    thick = float(hair[y[:, 0] < _DOME].max())
    lower = np.where(y < _DOME, _DOME + (y - _DOME) * 0.67 / (0.67 + thick), y)
    source = np.clip((lower - TOP) * HEIGHTS / (BOTTOM - TOP) - 0.5, 0, HEIGHTS - 1.001)
    row = source.astype(int)
    part = (source - row).astype(np.float32)
    raised = skin[row[:, 0]] * (1 - part) + skin[row[:, 0] + 1] * part
    fade = np.sqrt(np.clip((y - (_CROWN - thick)) / 0.25, 0, 1))
    return (raised + hair * fade).astype(np.float32)


def _heights() -> np.ndarray:
    return (TOP + (np.arange(HEIGHTS, dtype=np.float32) + np.float32(0.5)) * np.float32((BOTTOM - TOP) / HEIGHTS))[
        :, None
    ]


def _angles() -> np.ndarray:
    return (
        (np.arange(ANGLES, dtype=np.float32) + np.float32(0.5)) * np.float32(2 * np.pi / ANGLES) - np.float32(np.pi)
    )[None]


def _profile(y: np.ndarray, knots: list[tuple[float, float]]) -> np.ndarray:
    heights, values = zip(*knots, strict=True)
    line = np.interp(y[:, 0], heights, values).astype(np.float32)
    return cv2.GaussianBlur(line[:, None], (1, 31), 1.0, sigmaY=5.0, borderType=cv2.BORDER_REPLICATE)


def _skull(who: Identity, y: np.ndarray, angle: np.ndarray) -> np.ndarray:
    chin, cheek = who["chin_y"], who["cheek_width"]
    width = [(-0.55, who["forehead_width"] + 0.03), (-0.25, who["forehead_width"] + 0.04), (0.12, cheek)]
    width += [(0.5, 0.45 * cheek + 0.55 * who["jaw_width"]), (chin - 0.34, who["jaw_width"] - 0.02)]
    width += [(chin - 0.12, 0.5 * (who["jaw_width"] + who["chin_width"]) - 0.02), (chin, who["chin_width"])]
    depth = [(-0.6, 0.70), (-0.3, 0.75), (0.0, 0.72), (0.4, 0.76), (0.75, 0.76), (chin, 0.70 + who["chin_out"])]
    a, b = _profile(y, width), _profile(y, depth)
    c = _profile(y, [(-0.6, 0.94), (0.0, 0.96), (0.5, 0.76), (0.9, 0.55)])
    dome = np.sqrt(np.clip(1 - ((y + 0.25) / 0.92) ** 2, 0, 1)) / np.sqrt(1 - (0.30 / 0.92) ** 2)
    cap = np.where(y < -0.55, np.minimum(dome, 1), 1)
    under = np.sqrt(np.clip(1 - ((y - chin + 0.10) / 0.16) ** 2, 0, 1)) ** 0.8
    cap = np.where(y > chin - 0.10, under, cap)
    n = np.float32(who["roundness"])
    sin, cos = np.abs(np.sin(angle)), np.cos(angle)
    shape = ((sin / a) ** n + (np.maximum(cos, 0) / b) ** n) ** (-1 / n)
    back = 1 / np.sqrt((sin / a) ** 2 + (np.minimum(cos, 0) / c) ** 2)
    return (cap * np.where(cos >= 0, shape, back)).astype(np.float32)


def _neck(y: np.ndarray, angle: np.ndarray) -> np.ndarray:
    depth = np.where(np.cos(angle) >= 0, 0.24, 0.62)
    radius = ((np.sin(angle) / 0.42) ** 2 + (np.cos(angle) / depth) ** 2) ** -0.5
    return np.where(y > 0.6, radius, 0).astype(np.float32)


def _bump(s: np.ndarray, y: np.ndarray, at: tuple[float, float], size: tuple[float, float]) -> np.ndarray:
    return np.exp(-0.5 * ((s - at[0]) / size[0]) ** 2) * np.exp(-0.5 * ((y - at[1]) / size[1]) ** 2)


def _relief(who: Identity, shot: Shot, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    eye, tip, mouth = who["eye_x"], who["nose_y"], who["mouth_y"] - 0.03 * max(shot.smile, 0)
    relief = np.zeros(np.broadcast_shapes(s.shape, y.shape), np.float32)
    along = np.clip((y + 0.12) / (tip + 0.12), 0, 1)  # 0 at the root of the nose, 1 at its tip
    below = np.clip(1 - (y - tip - 0.01) / 0.11, 0, 1)
    below = below * below * (3 - 2 * below)
    ridge = (0.05 * np.clip((y + 0.30) / 0.18, 0, 1) + (who["nose_out"] - 0.05) * along**1.25) * below
    ridge = ridge + who["nose_hump"] * np.exp(-0.5 * ((along - 0.45) / 0.16) ** 2) * (along > 0)
    centre = who["nose_bend"] * np.sin(np.pi * along)
    breadth = who["nose_bridge"] + (who["nose_tip"] - who["nose_bridge"]) * along**2
    relief += ridge * np.exp(-0.5 * np.abs((s - centre) / breadth) ** 2.2)
    for side in (-1, 1):
        relief += 0.11 * _bump(s, y, (side * who["nose_width"] * 0.78, tip + 0.035), (0.05, 0.05))
        relief -= 0.075 * _bump(s, y, (side * eye * 0.93, -0.02), (0.15, 0.10))
        relief += 0.035 * _bump(s, y, (side * eye, 0.0), (0.11, 0.06))
        relief += 0.040 * _bump(s, y, (side * eye, who["brow_y"]), (0.20, 0.06))
        relief += (who["cheekbone"] + 0.05 * max(shot.smile, 0)) * _bump(s, y, (side * 0.46, 0.26), (0.15, 0.12))
        relief -= who["hollow"] * _bump(s, y, (side * 0.48, 0.62), (0.14, 0.14))
    relief += 0.045 * _bump(s, y, (0, mouth - 0.035), (who["mouth_width"] * 0.62, 0.05))
    relief += 0.050 * _bump(s, y, (0, mouth + 0.055), (who["mouth_width"] * 0.55, 0.04))
    relief -= 0.030 * _bump(s, y, (0, mouth + 0.15), (0.16, 0.04))
    relief += (0.03 + 0.5 * who["chin_out"]) * _bump(s, y, (0, who["chin_y"] - 0.10), (who["chin_width"] * 0.7, 0.08))
    return relief


def _ears(who: Identity, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Flanges at both sides: steep in front, rounder behind, a hollow inside."""
    ears = np.zeros(np.broadcast_shapes(s.shape, y.shape), np.float32)
    height = np.clip(1 - ((y - who["ear_y"]) / who["ear_size"]) ** 2, 0, 1) ** 0.5
    for side in (-1, 1):
        back = side * s - 1.62 * RADIUS  # distance behind the front edge of the ear
        rise = np.clip(back / 0.10, 0, 1) * np.clip(1 - (back - 0.13) / 0.05, 0, 1)
        ears += who["ear_out"] * rise * height
    return ears
