"""Hair: where it grows on the unrolled head, how far it stands out, and its colour."""

import cv2
import numpy as np

from faceline_sample.canvas import BOTTOM, RADIUS, TOP, Canvas
from faceline_sample.identity import Identity
from faceline_sample.noise import smooth_noise
from faceline_sample.shot import Shot
from faceline_sample.surface import ANGLES, HEIGHTS

_THICKNESS = {"bald": 0.0, "buzz": 0.02, "short": 0.09, "parted": 0.12, "fringe": 0.12, "long": 0.10, "bob": 0.13}
_LENGTH = {"long": 1.9, "bob": 0.85, "curly": 0.55}


def hair_edge(who: Identity, angle: np.ndarray) -> np.ndarray:
    """Lowest height (head units) that hair covers at each angle (radians); the shape is the person's own."""
    style, line = who.hair_style, who["hairline_y"]
    side = np.abs(angle)
    nape = _LENGTH.get(style, 0.62)
    if style == "bald":
        return np.interp(side, (0, 1.3, 1.55, 1.75, 2.1, np.pi), (-2, -1.9, -0.25, -0.05, 0.4, 0.6))
    sideburn = 0.30 if who.beard == "full" else 0.12
    recess = line - who["temple_recess"]
    knots = [0, 0.35, 0.75, 1.05, 1.25, 1.45, 1.62, 1.95, 2.3, np.pi]
    low = [
        line + who["peak"],
        line - who["peak"] * 0.4,
        recess,
        recess * 0.62,
        -0.28,
        sideburn,
        -0.02,
        0.05,
        nape,
        nape,
    ]
    if style in _LENGTH:
        low[5:8] = [nape * 0.6, nape, nape]
    edge = np.interp(side, knots, low)
    if style == "fringe":
        edge = np.where(
            side < 1.0, np.maximum(edge, -0.36 + 0.10 * who.parting * angle + 0.05 * np.cos(5 * angle)), edge
        )
    if style == "parted":
        away = np.clip(1 - np.abs(angle - 0.9 * who.parting) / 0.8, 0, 1)
        edge = edge - 0.10 * away + 0.10 * np.clip(-angle * np.sign(who.parting), 0, 0.6)
    return edge


def hair_relief(who: Identity, shot: Shot, skin: np.ndarray) -> np.ndarray:
    """How far hair stands out from the skin's surface: both (HEIGHTS, ANGLES) float32, in head units."""
    y = (TOP + (np.arange(HEIGHTS, dtype=np.float32) + 0.5) * (BOTTOM - TOP) / HEIGHTS)[:, None]
    angle = (-np.pi + (np.arange(ANGLES, dtype=np.float32) + 0.5) * 2 * np.pi / ANGLES)[None, :]
    edge = hair_edge(who, angle).astype(np.float32)
    rng = np.random.default_rng(who.texture_seed)
    thick = 0.20 if who.hair_style == "curly" else _THICKNESS[who.hair_style]
    grown = np.sqrt(np.clip((edge - y) / np.float32(0.14), 0, 1))
    relief = np.float32(thick * shot.hair_volume) * grown
    if who.hair_style == "curly":
        relief = relief * (1 + np.float32(0.22) * smooth_noise(rng, (HEIGHTS, ANGLES), (18, 30)))
    if who.hair_style in ("long", "bob"):  # a curtain from the temples down, as wide as the head, and no ears
        drop = (
            np.clip((y + 0.25) / 0.3, 0, 1)
            * np.clip((edge - y) / 0.10, 0, 1)
            * np.clip((np.abs(angle) - 1.22) / 0.16, 0, 1)
        )
        target = np.interp(y, (-0.3, 0.4, 1.0, 1.9), (0.92, 0.92, 0.86, 0.96)) + 0.09 * (shot.hair_volume - 1)
        curtain = target - skin
        relief = np.where(drop > 0, relief * (1 - drop) + np.maximum(curtain, 0.02) * drop, relief)
    return cv2.GaussianBlur(relief.astype(np.float32), (0, 0), 1.5)


def paint_hair(canvas: Canvas, who: Identity) -> None:
    """Paints strands over everything above the edge of the hair."""
    if who.hair_style == "bald" and who["age"] < 0.4:
        return
    where, s, y = canvas.grid(-np.pi * RADIUS, np.pi * RADIUS, TOP, BOTTOM)
    shape = (y.size, s.size)
    rng = np.random.default_rng(who.texture_seed + 1)
    edge = hair_edge(who, s / RADIUS).astype(np.float32)
    jitter = smooth_noise(rng, (1, s.size), (2, 90))[:1] * 0.022
    soft = 0.06 if who.hair_style in ("buzz", "bald") else 0.022
    alpha = np.clip((edge + jitter - y) / soft + 0.5, 0, 1)
    if who.hair_style in ("buzz", "bald"):
        alpha *= 0.72
    cells = (26, 60) if who.hair_style == "curly" else (7, 150)
    strands = smooth_noise(rng, shape, cells) * np.float32(0.17) + smooth_noise(rng, shape, (5, 14)) * np.float32(0.10)
    depth = 0.75 + 0.25 * np.clip((edge - y) / 0.15, 0, 1)  # darker at the roots of the edge
    tone = np.clip((1 + strands) * depth, 0.35, 1.7)[..., None]
    canvas.blend(where, alpha, np.minimum(who.hair * tone + np.float32(6), 255))
