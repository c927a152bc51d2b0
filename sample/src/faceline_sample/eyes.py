"""Eyes and brows on the unrolled head."""

import numpy as np

from faceline_sample.canvas import Canvas, curve
from faceline_sample.identity import Identity
from faceline_sample.shot import Shot

_DARK = np.array([34, 22, 20], np.float32)


def eye_centres(who: Identity) -> np.ndarray:
    """(2, 2) of (s, y), the eye at the left of the picture first."""
    return np.array([[-who["eye_x"], -who["tilt_eyes"]], [who["eye_x"], who["tilt_eyes"]]])


def paint_eyes(canvas: Canvas, who: Identity, shot: Shot) -> None:
    """Socket shade, white, iris, lids, lashes, fold, bags."""
    for side, centre in zip((-1, 1), eye_centres(who), strict=True):
        _paint_eye(canvas, who, shot, side, centre)


def _paint_eye(canvas: Canvas, who: Identity, shot: Shot, side: int, centre: np.ndarray) -> None:
    half, high = who["eye_width"], who["eye_height"] * shot.eyes_open * (1 - 0.18 * max(shot.smile, 0))
    slant, lean = who["eye_slant"] * half, who["eye_round"]

    def place(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        """From (outwards, down), in eye widths and heights, to the canvas."""
        return [(centre[0] + side * u * half, centre[1] + v * high - u * slant) for u, v in points]

    where, s, y = canvas.grid(centre[0] - 0.4, centre[0] + 0.4, centre[1] - 0.35, centre[1] + 0.35)
    socket = np.exp(-0.5 * (((s - centre[0] + side * 0.05) / 0.19) ** 2 + ((y - centre[1] + 0.05) / 0.12) ** 2))
    canvas.darken(where, 0.24 * socket)
    upper = curve(place([(-1, 0.15), (-0.55 - 0.2 * lean, -0.80), (0.05 - 0.4 * lean, -1.0), (0.6, -0.66), (1, 0)]))
    lower = curve(place([(1, 0), (0.5, 0.62), (-0.1, 0.80), (-0.65, 0.55), (-1, 0.15)]))
    opening = np.vstack([upper, lower])
    canvas.fill(opening, np.array([226, 220, 214]), soft=0.004)
    iris = 0.066 * who["iris_size"]
    look = np.add(centre, (shot.gaze[0] * half * 0.38, shot.gaze[1] * high * 0.25 - 0.1 * high))
    _paint_iris(canvas, who, look, iris, opening)
    canvas.stroke(upper, 0.018 + 0.016 * who["lashes"], _DARK, 0.92, 0.004)
    canvas.stroke(lower, 0.010, who.skin * 0.45, 0.6, 0.004)
    if who["lashes"] > 0.6:
        tip = curve(place([(0.75, -0.5), (1.0, -0.2), (1.28, -0.62)]))
        canvas.stroke(tip, 0.016, _DARK, 0.85, 0.003)
    if who["lid_fold"] > 0.012:
        fold = upper - (0, 0.018 + who["lid_fold"])
        canvas.stroke(fold[3:-1], 0.012, who.skin * 0.5, 0.55, 0.006)
    if who["bags"] > 0.35:
        bag = curve(place([(-0.9, 1.5), (-0.2, 2.1), (0.7, 1.5)]))
        canvas.stroke(bag, 0.020, who.skin * 0.55, 0.55 * who["bags"], 0.012)


def _paint_iris(canvas: Canvas, who: Identity, at: np.ndarray, radius: float, opening: np.ndarray) -> None:
    """Iris, pupil, a highlight and the shade of the upper lid, inside the opening of the lids (N, 2)."""
    where, s, y = canvas.grid(at[0] - 0.3, at[0] + 0.3, at[1] - 0.2, at[1] + 0.2)
    open_ = canvas.inside(opening, where)
    reach, edge = np.hypot(s - at[0], y - at[1]), 1.0 / canvas.scale

    def disc(radius: float) -> np.ndarray:
        return np.clip((radius - reach) / edge + 0.5, 0, 1) * open_

    canvas.blend(where, disc(radius), who.iris * 0.55)
    canvas.blend(where, disc(radius * 0.82), who.iris * 1.12)
    canvas.blend(where, disc(radius * 0.42), np.array([14, 12, 12]))
    glint = np.hypot(s - at[0] - 0.022, y - at[1] + 0.024)
    canvas.blend(where, 0.9 * open_ * np.clip((0.013 - glint) / edge + 0.5, 0, 1), np.array([250, 250, 250]))
    canvas.darken(where, 0.45 * open_ * np.clip(1 - (y - opening[:, 1].min()) / 0.05, 0, 1))


def paint_brows(canvas: Canvas, who: Identity, shot: Shot) -> None:
    """Two tapered strokes with hairs."""
    rng = np.random.default_rng(who.texture_seed + 2)
    colour = who.hair * 0.8 if who.hair.mean() < 120 else who.hair * 0.62
    for side, centre in zip((-1, 1), eye_centres(who), strict=True):
        thick, length = who["brow_thickness"], who["brow_width"]
        lift = who["brow_y"] - 0.05 * shot.brow_raise
        x = np.linspace(-1, 1, 9)  # from the nose outwards
        middle = lift - who["brow_arch"] * (1 - (x - 0.25) ** 2) - who["brow_slant"] * x
        middle = middle + 0.03 * min(shot.brow_raise, 0) * x
        half = thick * np.interp(x, (-1, -0.8, 0.2, 1), (0.55, 0.95, 0.85, 0.12))
        s = centre[0] + side * (x * length - who["brow_gap"] * 0.5)
        top = np.column_stack([s, centre[1] + middle - half])
        bottom = np.column_stack([s, centre[1] + middle + half])
        canvas.fill(curve(np.vstack([top, bottom[::-1]]), closed=True, steps=3), colour, 0.80, 0.009)
        for _ in range(14):
            i = int(rng.integers(1, 8))
            start = (top[i] + bottom[i]) / 2 + (0, rng.uniform(-0.7, 0.9) * half[i])
            end = np.add(start, (side * 0.045, -0.02 - 0.5 * half[i]))
            canvas.stroke(np.array([start, end]), 0.008, colour * 0.55, 0.7)
