"""Who somebody is: the geometry and the marks that all photos of a person share."""

from dataclasses import dataclass

import numpy as np

from faceline_sample.palette import HAIRS, IRISES, SKINS

HAIR_STYLES = ("bald", "buzz", "short", "short", "parted", "fringe", "long", "long", "bob", "curly")
BEARDS = ("none", "none", "none", "none", "stubble", "moustache", "goatee", "full")

FACTORS: dict[str, tuple[float, float]] = {
    # shape of the head, in head units (the eyes lie at y = 0, the chin near y = 1.15, y points down)
    "forehead_width": (0.64, 0.80),
    "cheek_width": (0.72, 0.88),
    "jaw_width": (0.58, 0.80),
    "chin_width": (0.28, 0.52),
    "chin_y": (1.02, 1.30),
    "chin_out": (0.0, 0.12),
    "roundness": (1.9, 2.8),
    "hairline_y": (-0.82, -0.50),
    "temple_recess": (-0.05, 0.22),
    "peak": (-0.10, 0.12),
    "cheekbone": (0.0, 0.09),
    "hollow": (-0.03, 0.07),
    # eyes
    "eye_x": (0.29, 0.40),
    "eye_width": (0.115, 0.185),
    "eye_height": (0.040, 0.095),
    "eye_slant": (-0.22, 0.26),
    "eye_round": (-0.30, 0.35),
    "lid_fold": (0.0, 0.07),
    "lashes": (0.0, 1.0),
    "bags": (0.0, 1.0),
    "iris_size": (0.85, 1.15),
    # brows
    "brow_y": (-0.33, -0.17),
    "brow_width": (0.13, 0.25),
    "brow_thickness": (0.016, 0.070),
    "brow_arch": (-0.01, 0.10),
    "brow_slant": (-0.08, 0.09),
    "brow_gap": (-0.07, 0.05),
    # nose
    "nose_y": (0.34, 0.55),
    "nose_out": (0.13, 0.34),
    "nose_width": (0.095, 0.205),
    "nose_bridge": (0.035, 0.085),
    "nose_hump": (-0.05, 0.06),
    "nose_tip": (0.055, 0.115),
    "nostril": (0.5, 1.2),
    # mouth
    "mouth_y": (0.66, 0.86),
    "mouth_width": (0.19, 0.36),
    "upper_lip": (0.018, 0.080),
    "lower_lip": (0.030, 0.105),
    "cupid": (0.0, 1.0),
    "mouth_curve": (-0.05, 0.05),
    "lip_red": (0.0, 1.0),
    # ears
    "ear_size": (0.18, 0.32),
    "ear_out": (0.06, 0.24),
    "ear_y": (0.06, 0.26),
    # age, asymmetry
    "age": (0.0, 1.0),
    "tilt_eyes": (-0.020, 0.020),
    "tilt_mouth": (-0.030, 0.030),
    "nose_bend": (-0.035, 0.035),
}
"""Each factor of a face and its range; all are drawn independently."""


@dataclass(frozen=True)
class Identity:
    """A drawn person.

    Attributes:
        factors: the value of each of FACTORS.
        skin, hair, iris: RGB, 0..255, close to one of the shared palette.
        hair_style: one of HAIR_STYLES.
        beard: one of BEARDS.
        parting: side of the parting, -1..1.
        marks: rows (kind, x, y, size, strength) of moles (0), scars (1) and freckle fields (2), in head units.
        texture_seed: of the fine structure of skin, brows and hair.
    """

    factors: dict[str, float]
    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    hair_style: str
    beard: str
    parting: float
    marks: np.ndarray
    texture_seed: int

    def __getitem__(self, factor: str) -> float:
        return self.factors[factor]


def draw_identity(rng: np.random.Generator) -> Identity:
    """Draws a person: factors nearly uniform in their ranges, colours from the shared palette."""
    # a beta distribution with mass near both ends keeps people apart
    factors = {name: low + (high - low) * float(rng.beta(0.9, 0.9)) for name, (low, high) in FACTORS.items()}
    factors["mouth_y"] = min(factors["mouth_y"], factors["chin_y"] - 0.30)
    factors["nose_y"] = min(factors["nose_y"], factors["mouth_y"] - 0.19)
    beard = str(rng.choice(BEARDS))
    style = str(rng.choice(HAIR_STYLES if beard == "none" else HAIR_STYLES[:6]))
    skin = int(rng.integers(len(SKINS)))
    fair = skin < 4  # light hair and eyes go with light skin; dark ones with any
    return Identity(
        factors=factors,
        skin=_near(SKINS[skin], rng, 5),
        hair=_near(HAIRS[rng.integers(len(HAIRS) if fair else 4)], rng, 6),
        iris=_near(IRISES[rng.integers(len(IRISES) if fair else 3)], rng, 8),
        hair_style=style,
        beard=beard,
        parting=float(rng.uniform(-1, 1)),
        marks=_marks(rng),
        texture_seed=int(rng.integers(2**31)),
    )


def _near(colour: tuple[int, int, int], rng: np.random.Generator, spread: float) -> np.ndarray:
    return np.clip(np.array(colour, np.float32) + rng.normal(0, spread, 3).astype(np.float32), 8, 250)


def _marks(rng: np.random.Generator) -> np.ndarray:
    rows = []
    for _ in range(int(rng.choice((0, 1, 1, 2, 3)))):
        rows.append((0, rng.uniform(-0.6, 0.6), rng.uniform(-0.5, 1.0), rng.uniform(0.018, 0.040), rng.uniform(0.6, 1)))
    if rng.random() < 0.22:
        rows.append(
            (1, rng.uniform(-0.55, 0.55), rng.uniform(-0.45, 0.95), rng.uniform(0.1, 0.28), rng.uniform(0, 3.1))
        )
    if rng.random() < 0.25:
        rows.append((2, 0.0, 0.28, rng.uniform(0.22, 0.5), rng.uniform(0.4, 1)))
    return np.array(rows, np.float32).reshape(-1, 5)
