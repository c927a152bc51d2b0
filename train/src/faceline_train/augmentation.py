"""What a training face goes through before the network sees it."""

from collections.abc import Iterator

import albumentations
import numpy as np
from numpy.typing import NDArray

from faceline_core.errors import FacelineError
from faceline_core.parameters.training import Augment
from faceline_train.named_transforms import Transform, transforms_by_name
from faceline_train.presets import PRESETS


class Augmentation:
    """The preset's transforms, then those listed; each face's draw is a function of (seed, epoch, index).

    albumentations keeps generators of its own that neither a global seed nor a worker process resets as one would
    wish, and seeds every transform of a Compose alike, which ties a face's rotation to its brightness. So each
    transform, also one within another, gets a seed of its own for each face.

    Args:
        settings: `augment` of params.yaml.
        seed: of the run.
        img_size: side in px of the faces to come; on such a face every transform is tried now.

    Raises:
        FacelineError: as `transforms_by_name`.
    """

    def __init__(self, settings: Augment, seed: int, img_size: int = 112):
        self.seed = seed
        self.transforms = [
            *transforms_by_name(PRESETS[settings.preset], f"augment.preset {settings.preset}", img_size),
            *transforms_by_name(settings.transforms, "augment.transforms", img_size),
        ]
        self._seeded = [part for transform in self.transforms for part in _with_inner(transform)]

    def __call__(self, face: NDArray[np.uint8], epoch: int, index: int) -> NDArray[np.uint8]:
        """A face (S, S, 3), uint8 RGB in [0, 255], as it is to be seen in that epoch; without transforms itself."""
        if not self.transforms:
            return face
        seeds = np.random.SeedSequence([self.seed, epoch, index]).generate_state(len(self._seeded))
        for transform, seed in zip(self._seeded, seeds, strict=True):
            transform.set_random_seed(int(seed))
        seen = face
        for transform in self.transforms:
            seen = transform(image=seen)["image"]
        if seen.shape != face.shape:
            raise FacelineError(
                f"augment.transforms: a face {face.shape} has become {seen.shape}; take transforms that keep its size"
            )
        return seen


def _with_inner(transform: Transform) -> Iterator[Transform]:
    """A transform before those within it: seeding it seeds them all alike, until they get their own."""
    yield transform
    if isinstance(transform, albumentations.BaseCompose):
        for inner in transform.transforms:
            yield from _with_inner(inner)
