"""The occluders: each draws itself on a layer, through the camera of a face."""

import numpy as np
from numpy.typing import NDArray

from faceline_core.occluders.camera import Camera, on_face
from faceline_core.occluders.layer import Layer
from faceline_core.occluders.shading import FABRICS, colour_of, lit

Array = NDArray[np.float64]

_MASKS = (
    (176, 206, 226),
    (238, 240, 240),
    (44, 46, 52),
    (150, 196, 176),
    (226, 176, 186),
    (84, 104, 150),
    (166, 44, 56),
)
_HANDS = ((238, 200, 176), (222, 178, 146), (196, 148, 112), (160, 112, 80), (116, 80, 58))


def medical_mask(camera: Camera, shape: tuple[int, int], rng: np.random.Generator, zoom: int) -> Layer:
    """A surgical, cloth or FFP2 mask over nose, mouth and chin, with its loops."""
    cut = ("surgical", "cloth", "ffp2")[rng.integers(3)]
    base = colour_of(_MASKS if cut != "ffp2" else _MASKS[:3], rng)
    top, bottom = rng.uniform(0.34, 0.50), rng.uniform(1.72, 1.90)
    reach = rng.uniform(1.02, 1.22)
    columns = np.linspace(-1, 1, 15)
    rows = np.linspace(0, 1, 9)
    side = np.abs(columns)
    upper = top + {"surgical": 0.16, "cloth": 0.22, "ffp2": 0.26}[cut] * side**1.6
    lower = bottom - {"surgical": 0.34, "cloth": 0.42, "ffp2": 0.52}[cut] * side**1.8
    heights = upper[None, :] + (lower - upper)[None, :] * rows[:, None]
    angles = np.broadcast_to(columns * reach, heights.shape)
    middle = np.cos(columns * np.pi / 2)[None, :] ** 0.7 * np.sin(np.pi * np.clip(rows, 0.08, 0.92))[:, None]
    bulge = {"surgical": 0.10, "cloth": 0.13, "ffp2": 0.24}[cut]
    points = on_face(angles, heights, 0.07)
    points[..., 2] += (
        bulge * middle
        + 0.22 * np.exp(-((columns / 0.24) ** 2))[None, :] * np.exp(-(((rows - 0.12) / 0.28) ** 2))[:, None]
    )
    seen, loops = camera.project(points), camera.project(_loops(heights, reach))
    layer = Layer(shape, np.concatenate([seen.reshape(-1, 2), loops.reshape(-1, 2)]), 2.0, zoom)
    for loop in loops:
        layer.line(loop, 0.035 * camera.unit, base * 0.9 + 20)
    colours = lit(points, base, camera, rng)
    if cut == "surgical":
        for fold in (2, 4, 6):
            colours[fold] *= 0.90
    if cut == "cloth" and rng.random() < 0.4:
        colours[:, ::2] *= rng.uniform(0.75, 0.92)
    layer.mesh(seen, colours)
    layer.smooth(0.045 * camera.unit)
    if cut == "surgical":
        for crease in (0.3, 0.5, 0.7):
            line = _row(seen, crease)
            layer.line(line, 0.022 * camera.unit, base * 0.80)
    if cut == "ffp2":
        layer.line(seen[:, 7], 0.03 * camera.unit, base * 0.82)
    layer.line(seen[0], 0.03 * camera.unit, base * 0.86)
    return layer


def sunglasses(camera: Camera, shape: tuple[int, int], rng: np.random.Generator, zoom: int) -> Layer:
    """Dark glasses: two lenses, a bridge, the two arms."""
    tint = np.array([(20, 20, 24), (46, 30, 22), (24, 36, 44), (36, 36, 36)][rng.integers(4)], float)
    frame = np.array([(12, 12, 14), (90, 54, 30), (150, 140, 110), (150, 30, 40)][rng.integers(4)], float)
    wide, high = rng.uniform(0.40, 0.48), rng.uniform(0.26, 0.38)
    power, drop = rng.uniform(2.0, 4.5), rng.uniform(0.0, 0.10)
    t = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    cos, sin = np.cos(t), np.sin(t)
    x = wide * np.sign(cos) * np.abs(cos) ** (2 / power)
    y = high * np.sign(sin) * np.abs(sin) ** (2 / power)
    rims = []
    for side in (-1, 1):
        u = side * 0.515 + x
        taper = 1 - 0.18 * side * x / wide * (y > 0)  # narrower below, towards the nose
        rims.append(np.stack([u, 0.02 + drop * 0.5 + y * taper, 0.24 - 0.28 * u**2], axis=-1))
    bridge = np.array([[-0.12, -0.04, 0.30], [0.0, -0.08, 0.33], [0.12, -0.04, 0.30]])
    arms = [np.array([[s * 0.97, -0.08, 0.02], [s * 1.16, -0.10, -0.35], [s * 1.18, -0.08, -1.05]]) for s in (-1, 1)]
    seen = camera.project(np.concatenate([*rims, bridge, *arms]))
    layer = Layer(shape, seen, 0.1 * camera.unit, zoom)
    yaw = camera.forward[0]
    for side, arm in zip((-1, 1), arms, strict=True):
        if side * yaw > -0.15:  # the other arm is behind the face
            layer.line(camera.project(arm), 0.07 * camera.unit, frame)
    for rim in rims:
        outline = camera.project(rim)
        layer.polygon(outline, tint)
        shine = tint + rng.uniform(10, 60)
        band = outline.mean(0) + (outline - outline.mean(0)) * (0.75, 0.35) - (0, 0.10 * camera.unit)
        layer.polygon(band, shine)
    layer.smooth(0.03 * camera.unit)
    for rim in rims:
        outline = camera.project(rim)
        layer.line(np.vstack([outline, outline[:1]]), 0.045 * camera.unit, frame)
    layer.line(camera.project(bridge), 0.06 * camera.unit, frame)
    return layer


def scarf(camera: Camera, shape: tuple[int, int], rng: np.random.Generator, zoom: int) -> Layer:
    """A scarf around the lower face and the neck."""
    base = colour_of(FABRICS, rng)
    top = rng.uniform(0.42, 0.80)
    columns, rows = np.linspace(-1, 1, 15), np.linspace(0, 1, 11)
    reach = 1.75
    upper = top - rng.uniform(-0.05, 0.22) * columns**2 + 0.04 * np.sin(5 * columns + rng.uniform(0, 6))
    upper = upper + rng.uniform(-0.10, 0.10) * columns
    lower = np.full_like(upper, rng.uniform(2.5, 2.9)) - 0.2 * columns**2
    heights = upper + (lower - upper) * rows[:, None]
    angles = np.broadcast_to(columns * reach, heights.shape)
    points = on_face(angles, np.minimum(heights, 1.0), 0.14)
    points[..., 1] = heights
    points[..., 2] += 0.10 * np.cos(columns * np.pi / 2) - 0.12 * np.clip(heights - 1.6, 0, 1)
    colours = lit(points, base, camera, rng)
    wave = np.sin(rows[:, None] * rng.uniform(16, 24) + 1.5 * columns + rng.uniform(0, 6))[:-1, :-1, None]
    colours = colours * (1 + 0.20 * wave)
    if rng.random() < 0.5:
        other = colour_of(FABRICS, rng)
        stripe = (np.arange(10) % int(rng.integers(2, 5)) == 0)[:, None, None]
        colours = np.where(stripe, 0.4 * colours + 0.6 * other * colours / np.maximum(base, 30), colours)
    seen = camera.project(points)
    layer = Layer(shape, seen.reshape(-1, 2), 2.0, zoom)
    layer.mesh(seen, colours)
    layer.smooth(0.06 * camera.unit)
    layer.line(seen[0], 0.03 * camera.unit, base * 0.6)
    return layer


def hand(camera: Camera, shape: tuple[int, int], rng: np.random.Generator, zoom: int) -> Layer:
    """A hand before mouth, cheek or one eye: palm, four fingers, thumb."""
    base = colour_of(_HANDS, rng)
    target = np.array([(0.0, 1.15), (0.55, 0.75), (-0.55, 0.75), (0.5, 0.05), (-0.5, 0.05)][rng.integers(5)])
    target = target + rng.normal(0, 0.08, 2)
    side = 1 if target[0] > 0 or (target[0] == 0 and rng.random() < 0.5) else -1
    turn = side * rng.uniform(-1.25, -0.15)  # fingers point up and towards the middle
    size = rng.uniform(0.85, 1.05)
    axis = np.array([np.sin(turn), -np.cos(turn)])
    cross = np.array([-axis[1], axis[0]])

    def place(u: float, v: float) -> Array:
        """(across, along the fingers) -> face coordinates."""
        at = target + size * (u * cross + v * axis)
        return np.array([at[0], at[1], 0.45])

    ring = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    palm = np.array([place(0.40 * np.cos(a), -0.35 + 0.46 * np.sin(a)) for a in ring])
    wrist = np.array([place(0.28, -0.5), place(-0.28, -0.5), place(-0.30, -2.4), place(0.30, -2.4)])
    fingers = []
    for i, length in enumerate((0.62, 0.78, 0.74, 0.54)):
        u = -0.31 + 0.205 * i
        bend = rng.normal(0, 0.03)
        fingers.append(np.array([place(u, -0.05), place(u * 1.08, length * 0.5), place(u * 1.12 + bend, length)]))
    inward = -side
    thumb = np.array([place(inward * 0.30, -0.50), place(inward * 0.56, -0.22), place(inward * 0.62, 0.08)])
    parts = np.concatenate([palm, wrist, *fingers, thumb])
    layer = Layer(shape, camera.project(parts), 0.25 * camera.unit, zoom)
    unit = camera.unit * size
    layer.polygon(camera.project(wrist), base * 0.92)
    layer.line(camera.project(thumb), 0.24 * unit, base * 0.80)
    layer.line(camera.project(thumb), 0.18 * unit, base * 0.98)
    layer.polygon(camera.project(palm), base * 0.97)
    for finger in fingers:
        layer.line(camera.project(finger), 0.215 * unit, base * 0.70)
        layer.line(camera.project(finger), 0.165 * unit, base * 1.02)
        layer.line(camera.project(finger), 0.07 * unit, base * 1.10)
    layer.smooth(0.03 * camera.unit)
    for finger in fingers:
        layer.line(
            camera.project(finger[-1:] * [1, 1, 1] + [[-0.02, 0, 0], [0.02, 0, 0]]), 0.10 * unit, base * 1.08 + 12
        )
    return layer


def _loops(heights: Array, reach: float) -> Array:
    """(4, K, 3): the loops of a mask, from its corners back to the ears."""
    lines = []
    for side, column in ((-1, 0), (1, -1)):
        for row, y in ((0, heights[0, column]), (-1, heights[-1, column])):
            angles = side * np.linspace(reach, 1.62, 5)
            lines.append(on_face(angles, np.linspace(y, 0.12 if row == 0 else 0.45, 5), 0.03))
    return np.stack(lines)


def _row(mesh: Array, at: float) -> Array:
    """The line (C, 2) across a mesh (R, C, 2) at a fraction of its rows."""
    place = at * (len(mesh) - 1)
    low = int(place)
    line: Array = mesh[low] + (mesh[min(low + 1, len(mesh) - 1)] - mesh[low]) * (place - low)
    return line
