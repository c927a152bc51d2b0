"""Nose, mouth, beard and marks on the unrolled head."""

import numpy as np

from faceline_sample.canvas import Canvas, curve
from faceline_sample.identity import Identity
from faceline_sample.noise import smooth_noise
from faceline_sample.shot import Shot


def mouth_corners(who: Identity, shot: Shot) -> np.ndarray:
    """(2, 2) of (s, y), the corner at the left of the picture first."""
    half = who["mouth_width"] * (1 + 0.20 * max(shot.smile, 0) - 0.06 * shot.mouth_open)
    y = who["mouth_y"] - 0.055 * shot.smile - who["mouth_curve"] * 0.5
    return np.array([[-half, y - who["tilt_mouth"]], [half, y + who["tilt_mouth"]]])


def nose_point(who: Identity) -> np.ndarray:
    """(s, y) of the tip of the nose."""
    return np.array([0.0, who["nose_y"] - 0.02])


def paint_nose(canvas: Canvas, who: Identity) -> None:
    """Nostrils, wings, and the shade under the tip; the light does the rest."""
    tip, wide = who["nose_y"], who["nose_width"]
    dark = who.skin * 0.30
    where, s, y = canvas.grid(-0.35, 0.35, tip - 0.1, tip + 0.25)
    canvas.darken(where, 0.26 * np.exp(-0.5 * (s / (wide * 0.9)) ** 2 - 0.5 * ((y - tip - 0.085) / 0.035) ** 2))
    for side in (-1, 1):
        wing = [(0.62, -0.050), (1.0, -0.010), (1.06, 0.045), (0.80, 0.085)]
        canvas.stroke(curve([(side * u * wide, tip + v) for u, v in wing]), 0.018, who.skin * 0.5, 0.55, 0.008)
        hole = [(0.22, 0.065), (0.45, 0.035), (0.72, 0.050), (0.60, 0.080)]
        shape = curve([(side * u * wide * (0.8 + 0.2 * who["nostril"]), tip + v) for u, v in hole], closed=True)
        canvas.fill(shape, dark, 0.85, 0.007)


def paint_mouth(canvas: Canvas, who: Identity, shot: Shot) -> None:
    """Lips, the line between them, teeth where the mouth is open."""
    left, right = mouth_corners(who, shot)
    middle = (left + right) / 2 + (0, 0.055 * shot.smile * 0.9 + who["mouth_curve"] * 0.6)
    gap = 0.10 * shot.mouth_open
    stretch = 1 - 0.22 * max(shot.smile, 0)
    up, low = who["upper_lip"] * stretch, who["lower_lip"] * stretch
    half = (right[0] - left[0]) / 2
    dip = 0.55 * up * who["cupid"]

    def line(heights: list[tuple[float, float]]) -> np.ndarray:
        return curve([left, *[(middle[0] + u * half, middle[1] + v) for u, v in heights], right])

    sag = (left[1] + right[1]) / 2 - middle[1]
    peak, flank = -gap / 2 - up, -gap / 2 - up * 0.55 + sag * 0.4
    top = line([(-0.55, flank), (-0.20, peak), (0, peak + dip), (0.20, peak), (0.55, flank)])
    inner_top = line([(-0.5, -gap * 0.42 + sag * 0.4), (0, -gap / 2 + 0.008), (0.5, -gap * 0.42 + sag * 0.4)])
    inner_low = line([(-0.5, gap * 0.42 + sag * 0.4), (0, gap / 2 + 0.008), (0.5, gap * 0.42 + sag * 0.4)])
    bottom = line(
        [(-0.55, gap / 2 + low * 0.66 + sag * 0.4), (0, gap / 2 + low), (0.55, gap / 2 + low * 0.66 + sag * 0.4)]
    )
    red = np.array([0.98, 0.52, 0.50]) if who["lip_red"] > 0.75 else np.array([0.90, 0.64, 0.62])
    lips = who.skin * (red * (0.75 + 0.25 * who["lip_red"]) + (1 - red) * 0.15)
    canvas.fill(np.vstack([top, inner_top[::-1]]), lips * 0.88, 0.92, 0.006)
    canvas.fill(np.vstack([inner_low, bottom[::-1]]), lips * 1.06, 0.92, 0.006)
    if gap > 0.012:
        opening = np.vstack([inner_top, inner_low[::-1]])
        canvas.fill(opening, np.array([52, 20, 22]), 1.0, 0.004)
        teeth = np.vstack([inner_top, (inner_top + (inner_low - inner_top) * 0.55)[::-1]])
        canvas.fill(teeth, np.array([222, 214, 202]), 0.95, 0.004)
    canvas.stroke(inner_top, 0.016, who.skin * 0.28, 0.85, 0.003)
    for corner in (left, right):
        where, s, y = canvas.grid(corner[0] - 0.1, corner[0] + 0.1, corner[1] - 0.1, corner[1] + 0.1)
        canvas.darken(where, 0.35 * np.exp(-0.5 * (((s - corner[0]) / 0.022) ** 2 + ((y - corner[1]) / 0.018) ** 2)))
    where, s, y = canvas.grid(-0.4, 0.4, bottom[:, 1].max() - 0.05, bottom[:, 1].max() + 0.15)
    canvas.darken(where, 0.18 * np.exp(-0.5 * ((s / 0.16) ** 2 + ((y - bottom[:, 1].max() - 0.03) / 0.025) ** 2)))


def paint_beard(canvas: Canvas, who: Identity) -> None:
    """Stubble, moustache, goatee or a full beard, under the lips' own colour."""
    if who.beard == "none":
        return
    rng = np.random.default_rng(who.texture_seed + 3)
    chin, mouth, wide = who["chin_y"], who["mouth_y"], who["mouth_width"]
    where, s, y = canvas.grid(-1.35, 1.35, who["nose_y"], chin + 0.12)
    side = np.abs(s)
    moustache = _soft((0.045 - np.abs(y - (mouth - 0.105 + 0.25 * side**2))) / 0.03) * _soft(
        (wide * 1.08 - side) / 0.05
    )
    goatee = _soft((wide * 0.85 - side) / 0.06) * _soft((y - mouth - 0.09) / 0.04)
    ring = (
        _soft((0.055 - np.abs(side - wide * 1.08)) / 0.04) * _soft((y - mouth + 0.13) / 0.04) * _soft((chin - y) / 0.1)
    )
    edge = np.interp(side, (0, 0.35, 0.62, 0.85, 1.2), (mouth + 0.08, mouth + 0.03, mouth - 0.18, 0.30, -0.1))
    full = _soft((y - edge) / 0.08) * _soft((1.22 - side) / 0.05)
    area = {"moustache": moustache, "goatee": np.maximum.reduce([moustache, goatee, ring])}.get(
        who.beard, np.maximum.reduce([moustache, full, ring])
    )
    hairs = 0.86 + 0.22 * smooth_noise(rng, (y.size, s.size), (40, 110))
    strength = 0.30 if who.beard == "stubble" else 0.86
    alpha = np.clip(area * hairs * strength, 0, 1).astype(np.float32)
    canvas.blend(where, alpha, who.hair * 0.85 + 4)


def paint_marks(canvas: Canvas, who: Identity) -> None:
    """Moles, scars and freckles."""
    rng = np.random.default_rng(who.texture_seed + 4)
    for kind, s, y, size, strength in who.marks:
        if kind == 0:
            ring = np.linspace(0, 2 * np.pi, 14)
            shape = np.column_stack([s + size * np.cos(ring), y + size * 0.9 * np.sin(ring)])
            canvas.fill(shape, who.skin * 0.28, 0.6 + 0.4 * strength, 0.005)
        elif kind == 1:
            along = np.array([np.cos(strength), np.sin(strength)]) * size
            bend = np.array([-along[1], along[0]]) * 0.15
            canvas.stroke(curve(np.array([-along, bend, along]) + np.array([s, y])), 0.026, who.skin * 0.66, 0.8, 0.005)
        else:
            for _ in range(int(90 * strength)):
                at = rng.normal((0, y), (size * 1.25, size * 0.5))
                spot = at + rng.uniform(0.006, 0.014) * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
                canvas.fill(spot, who.skin * np.array([0.68, 0.52, 0.44]), 0.75 * strength, 0.003)


def paint_age(canvas: Canvas, who: Identity, shot: Shot) -> None:
    """Folds beside nose and mouth, lines of the forehead; smiling and age deepen them."""
    dark, age = who.skin * 0.55, who["age"]
    depth = min(1.0, 0.15 + 0.75 * age + 0.35 * max(shot.smile, 0))
    for side in (-1, 1):
        start = (side * (who["nose_width"] + 0.03), who["nose_y"] - 0.02)
        end = (side * (who["mouth_width"] * 1.15 + 0.06), who["mouth_y"] - 0.02)
        bow = (side * (0.5 * (abs(start[0]) + abs(end[0])) + 0.03), 0.5 * (start[1] + end[1]) - 0.02)
        canvas.stroke(curve([start, bow, end]), 0.022, dark, 0.42 * depth, 0.012)
    if age > 0.55:
        rng = np.random.default_rng(who.texture_seed + 5)
        for y in np.linspace(who["hairline_y"] + 0.16, who["brow_y"] - 0.14, 3):
            knots = [(x, y + rng.normal(0, 0.012)) for x in (-0.36, -0.15, 0.1, 0.34)]
            canvas.stroke(curve(knots), 0.014, dark, 0.9 * (age - 0.45), 0.008)


def _soft(x: np.ndarray) -> np.ndarray:
    return np.clip(x + 0.5, 0, 1)
