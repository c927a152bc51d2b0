"""The presets of `augment.preset`, written as `augment.transforms` takes them."""

from typing import Any

_LINEAR, _REFLECT_101 = 1, 4  # cv2.INTER_LINEAR, cv2.BORDER_REFLECT_101
_FLIP = {"name": "HorizontalFlip", "p": 0.5}


def _affine(rotation: float, shift: float, scaling: float) -> dict[str, Any]:
    """Turned by up to `rotation` degrees, moved by a part of the side, and scaled; the edge is mirrored outwards."""
    return {
        "name": "Affine",
        "rotate": [-rotation, rotation],
        "translate_percent": [-shift, shift],
        "scale": [1 - scaling, 1 + scaling],
        "keep_ratio": True,
        "interpolation": _LINEAR,
        "border_mode": _REFLECT_101,
        "p": 1.0,
    }


def _photometric(change: float, p: float) -> dict[str, Any]:
    around_one = [1 - change, 1 + change]
    return {
        "name": "ColorJitter",
        "brightness": around_one,
        "contrast": around_one,
        "saturation": around_one,
        "hue": [0.0, 0.0],
        "p": p,
    }


PRESETS: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "light": [_FLIP, _affine(rotation=10, shift=0, scaling=0), _photometric(0.2, p=1.0)],
    "standard": [_FLIP, _affine(rotation=10, shift=0.05, scaling=0.1), _photometric(0.2, p=1.0)],
    "low_quality": [
        _FLIP,
        {"name": "PastedCrop", "scale": [0.2, 1.0], "ratio": [3 / 4, 4 / 3], "p": 0.2},
        {"name": "LowResolution", "scale": [0.2, 1.0], "p": 0.2},
        _photometric(0.5, p=0.2),
    ],
}
"""low_quality is that of AdaFace (Kim et al. 2022, arXiv 2204.00964), in its order."""
