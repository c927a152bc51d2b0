"""Draws an occluder over an aligned face: its landmarks are the template's, moved a little."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faceline_core.faces.alignment import TEMPLATE, TEMPLATE_SIZE
from faceline_core.occluders.drawing import occlude

# bounds of the uniform draws, in px of a face of 112 x 112, and degrees
_POINTS, _SHIFT, _TURN = 3.0, 5.0, 7.0
_SCALE = (0.95, 1.10)


def occlude_aligned(
    face: NDArray[np.generic], kinds: Sequence[str], rng: np.random.Generator
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Draws one of some occluders over an aligned face, where its landmarks lie by and large.

    Args:
        face: (S, S, 3) RGB, uint8 in 0..255, or float in 0..255, aligned to the template; it is not changed.
        kinds: of faceline_core.occluders.KINDS; one of them is drawn, each as often.
        rng: decides everything; the same state draws the same occluder.

    Returns:
        The face, of the type that came, and (S, S) bool, False where the occluder's alpha is more than 0.5.

    Raises:
        ValueError: where the face is not (S, S, 3), kinds is empty, or the kind drawn is unknown.
    """
    if face.ndim != 3 or face.shape[0] != face.shape[1]:
        raise ValueError(f"expected an aligned face (S, S, 3), found {face.shape}")
    if not kinds:
        raise ValueError("no kinds of occluders to draw from")
    kind = kinds[int(rng.integers(len(kinds)))]
    return occlude(face, jittered_template(face.shape[0], rng), kind, rng)


def jittered_template(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(5, 2) x, y in px of a face of size x size: the template's landmarks, each moved, then all of them together.

    In px of a face of 112 x 112: each coordinate by up to 3; then, around their middle, turned by up to 7 degrees and
    scaled by 0.95 to 1.10; then shifted by up to 5 each way. All draws are uniform.
    """
    points = TEMPLATE + rng.uniform(-_POINTS, _POINTS, TEMPLATE.shape)
    angle = np.deg2rad(rng.uniform(-_TURN, _TURN))
    turn = rng.uniform(*_SCALE) * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = TEMPLATE.mean(axis=0)
    moved: NDArray[np.float64] = (points - middle) @ turn + middle + rng.uniform(-_SHIFT, _SHIFT, 2)
    return moved * (size / TEMPLATE_SIZE)
