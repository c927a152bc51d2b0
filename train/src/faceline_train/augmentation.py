"""What a training face goes through before the network sees it."""

import albumentations
import cv2
import numpy as np
from numpy.typing import NDArray

from faceline_core.parameters.schema import Augment


class Augmentation:
    """albumentations by the numbers of params.yaml; each face's draw is a function of (seed, epoch, index).

    albumentations keeps generators of its own that neither a global seed nor a worker process resets as one would
    wish, and seeds every transform of a Compose alike, which ties a face's rotation to its brightness. So each
    transform gets a seed of its own for each face.
    """

    def __init__(self, settings: Augment, seed: int):
        self.seed = seed
        self.transforms = _transforms(settings)

    def __call__(self, face: NDArray[np.uint8], epoch: int, index: int) -> NDArray[np.uint8]:
        """A face (H, W, 3), uint8 RGB in [0, 255], as it is to be seen in that epoch."""
        seeds = np.random.SeedSequence([self.seed, epoch, index]).generate_state(len(self.transforms) or 1)
        for transform, seed in zip(self.transforms, seeds, strict=False):
            transform.set_random_seed(int(seed))
            face = transform(image=face)["image"]
        return face


def _transforms(settings: Augment) -> list[albumentations.BasicTransform]:
    transforms: list[albumentations.BasicTransform] = []
    if settings.flip:
        transforms.append(albumentations.HorizontalFlip(p=settings.flip))
    if settings.rotation or settings.shift or settings.scale:
        transforms.append(
            albumentations.Affine(
                rotate=(-settings.rotation, settings.rotation),
                translate_percent=(-settings.shift, settings.shift),
                scale=(1 - settings.scale, 1 + settings.scale),
                keep_ratio=True,
                interpolation=cv2.INTER_LINEAR,
                border_mode=cv2.BORDER_REFLECT_101,
                p=1.0,
            )
        )
    if settings.brightness or settings.contrast or settings.saturation:
        transforms.append(
            albumentations.ColorJitter(
                brightness=_around_one(settings.brightness),
                contrast=_around_one(settings.contrast),
                saturation=_around_one(settings.saturation),
                hue=(0, 0),
                p=1.0,
            )
        )
    if settings.erase:
        side = (0.1, 0.33)
        transforms.append(
            albumentations.CoarseDropout(
                num_holes_range=(1, 1), hole_height_range=side, hole_width_range=side, fill="random", p=settings.erase
            )
        )
    return transforms


def _around_one(change: float) -> tuple[float, float]:
    return max(0.0, 1 - change), 1 + change
