"""Two transforms that make a good photo a bad one, as AdaFace does (Kim et al. 2022, arXiv 2204.00964)."""

import math
from typing import Annotated, Any

import albumentations
import cv2
import numpy as np
from albumentations.core.pydantic import check_range_bounds, nondecreasing
from albumentations.core.transforms_interface import BaseTransformInitSchema
from albumentations.core.type_definitions import Targets
from numpy.typing import NDArray
from pydantic import AfterValidator

_Parts = Annotated[
    tuple[float, float],
    AfterValidator(check_range_bounds(0, 1, min_inclusive=False)),
    AfterValidator(nondecreasing),
]
_Ratios = Annotated[
    tuple[float, float],
    AfterValidator(check_range_bounds(0, None, min_inclusive=False)),
    AfterValidator(nondecreasing),
]
_INTERPOLATIONS = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
_TRIES = 10


class PastedCrop(albumentations.DualTransform):
    """Keeps a box of the face where it is, and makes the rest black; in a mask the rest is hidden.

    Args:
        scale: least and greatest part of the face's area that the box has.
        ratio: least and greatest width of the box over its height; drawn evenly on a logarithmic scale.
        p: how often.

    The box is drawn as that of torchvision's RandomResizedCrop: anew while it does not fit, ten times at most, and
    then the whole face.
    """

    _targets = (Targets.IMAGE, Targets.MASK)

    class InitSchema(BaseTransformInitSchema):
        scale: _Parts
        ratio: _Ratios

    def __init__(
        self, scale: tuple[float, float] = (0.2, 1.0), ratio: tuple[float, float] = (3 / 4, 4 / 3), p: float = 0.5
    ):
        super().__init__(p=p)
        self.scale, self.ratio = scale, ratio

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        height, width = params["shape"][:2]
        for _ in range(_TRIES):
            area = height * width * self.py_random.uniform(*self.scale)
            ratio = math.exp(self.py_random.uniform(*map(math.log, self.ratio)))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 1 <= w <= width and 1 <= h <= height:
                left, top = self.py_random.randint(0, width - w), self.py_random.randint(0, height - h)
                return {"kept": (slice(top, top + h), slice(left, left + w))}
        return {"kept": (slice(None), slice(None))}

    def apply(self, img: NDArray[np.uint8], kept: tuple[slice, slice], **_: Any) -> NDArray[np.uint8]:
        pasted = np.zeros_like(img)
        pasted[kept] = img[kept]
        return pasted

    def apply_to_mask(self, mask: NDArray[np.uint8], kept: tuple[slice, slice], **_: Any) -> NDArray[np.uint8]:
        return self.apply(mask, kept)


class LowResolution(albumentations.ImageOnlyTransform):
    """Makes the face small and brings it back to its size, each with an interpolation drawn at random.

    Args:
        scale: least and greatest part of its side that is left in between.
        p: how often.
    """

    class InitSchema(BaseTransformInitSchema):
        scale: _Parts

    def __init__(self, scale: tuple[float, float] = (0.2, 1.0), p: float = 0.5):
        super().__init__(p=p)
        self.scale = scale

    def get_params(self) -> dict[str, Any]:
        return {
            "part": self.py_random.uniform(*self.scale),
            "there": self.py_random.choice(_INTERPOLATIONS),
            "back": self.py_random.choice(_INTERPOLATIONS),
        }

    def apply(self, img: NDArray[np.uint8], part: float, there: int, back: int, **_: Any) -> NDArray[np.uint8]:
        height, width = img.shape[:2]
        small = cv2.resize(img, (max(1, round(part * width)), max(1, round(part * height))), interpolation=there)
        return cv2.resize(small, (width, height), interpolation=back).reshape(img.shape)
