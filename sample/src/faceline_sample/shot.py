"""What differs between two photos of a person: pose, expression, light, distance, camera."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shot:
    """One moment before the camera.

    Attributes:
        yaw, pitch, roll: radians; yaw > 0 turns the nose to the right of the picture, pitch > 0 lowers it, roll > 0
            turns the head clockwise.
        distance: camera to head, in head units.
        smile: -0.4 (corners down) to 1; mouth_open: 0..1; brow_raise: -0.5..1; eyes_open: 0.3..1.1.
        gaze: (x, y), each -1..1.
        light: (3,) unit vector towards the key light, x right, y down, z towards the camera.
        key, ambient: (3,) colour of the lights.
        gain: (3,) white balance of the camera times exposure.
        gamma: of the camera, around 1.
        hair_volume: 0.7..1.3; seed: of whatever else varies.
    """

    yaw: float
    pitch: float
    roll: float
    distance: float
    smile: float
    mouth_open: float
    brow_raise: float
    eyes_open: float
    gaze: tuple[float, float]
    light: np.ndarray
    key: np.ndarray
    ambient: np.ndarray
    gain: np.ndarray
    gamma: float
    hair_volume: float
    seed: int


def draw_shot(rng: np.random.Generator, max_yaw: float = 38.0) -> Shot:
    """Draws a moment; `max_yaw` in degrees bounds the turn of the head."""
    side = rng.normal(0, 0.65)
    light = np.array([side, rng.normal(-0.45, 0.3), rng.uniform(0.45, 1.3)])
    light /= np.linalg.norm(light)
    warmth = rng.normal(0, 0.07)
    key = np.array([1 + warmth, 1.0, 1 - 1.3 * warmth]) * rng.uniform(0.45, 0.85)
    cast = rng.normal(0, 0.05)
    ambient = np.array([1 + cast, 1 + rng.normal(0, 0.02), 1 - cast]) * rng.uniform(0.32, 0.62)
    balance = rng.normal(0, 0.05)
    gain = np.array([1 + balance, 1 + rng.normal(0, 0.02), 1 - balance]) * np.exp(rng.normal(0, 0.13))
    return Shot(
        yaw=np.deg2rad(np.clip(rng.normal(0, 16), -max_yaw, max_yaw)),
        pitch=np.deg2rad(np.clip(rng.normal(2, 8), -18, 20)),
        roll=np.deg2rad(np.clip(rng.normal(0, 8), -24, 24)),
        distance=rng.uniform(6, 16),
        smile=float(np.clip(rng.normal(0.25, 0.4), -0.4, 1)),
        mouth_open=float(max(0.0, rng.normal(-0.1, 0.35))) if rng.random() < 0.5 else 0.0,
        brow_raise=float(np.clip(rng.normal(0.1, 0.35), -0.5, 1)),
        eyes_open=float(np.clip(rng.normal(0.95, 0.13), 0.35, 1.12)),
        gaze=(float(np.clip(rng.normal(0, 0.4), -1, 1)), float(np.clip(rng.normal(0, 0.25), -1, 1))),
        light=light,
        key=key,
        ambient=ambient,
        gain=gain,
        gamma=float(np.exp(rng.normal(0, 0.12))),
        hair_volume=float(rng.uniform(0.75, 1.3)),
        seed=int(rng.integers(2**31)),
    )
