"""What a training face goes through before the network sees it, and with it the mask of what is visible."""

from collections.abc import Iterator

import albumentations
import numpy as np
from numpy.typing import NDArray

from faceline_core.errors import FacelineError
from faceline_core.occluders.aligned import occlude_aligned
from faceline_core.parameters.training import Augment
from faceline_train.named_transforms import Transform, transforms_by_name
from faceline_train.presets import PRESETS

_OCCLUDER = 1
"""Sets the draw of the occluder apart from those of the transforms."""


class Augmentation:
    """An occluder, the preset's transforms, then those listed; each face's draw is a function of (seed, epoch, index).

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
        self.seed, self.occlude, self.occluders = seed, settings.occlude, settings.occluders
        self.transforms = [
            *transforms_by_name(PRESETS[settings.preset], f"augment.preset {settings.preset}", img_size),
            *transforms_by_name(settings.transforms, "augment.transforms", img_size),
        ]
        self._seeded = [part for transform in self.transforms for part in _with_inner(transform)]

    @property
    def does_nothing(self) -> bool:
        return not self.transforms and not self.occlude

    def __call__(self, face: NDArray[np.uint8], epoch: int, index: int) -> NDArray[np.uint8]:
        """A face (S, S, 3), uint8 RGB in [0, 255], as it is to be seen in that epoch."""
        return self.with_mask(face, None, epoch, index)[0]

    def with_mask(
        self, face: NDArray[np.uint8], mask: NDArray[np.uint8] | None, epoch: int, index: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
        """A face as `__call__` gives it, and what of it is then visible.

        Args:
            face: (S, S, 3) uint8 RGB in [0, 255].
            mask: (S, S) uint8, 255 visible and 0 hidden; None is not followed.
            epoch: from 0.
            index: of the face in its set.
        """
        if self.does_nothing:
            return face, mask
        face, mask = self._occluded(face, mask, epoch, index)
        seeds = np.random.SeedSequence([self.seed, epoch, index]).generate_state(max(1, len(self._seeded)))
        for transform, seed in zip(self._seeded, seeds, strict=False):
            transform.set_random_seed(int(seed))
        seen = face
        for transform in self.transforms:
            if mask is None:
                seen = transform(image=seen)["image"]
            else:
                both = transform(image=seen, mask=mask)
                seen, mask = both["image"], both["mask"]
        if seen.shape != face.shape:
            raise FacelineError(
                f"augment.transforms: a face {face.shape} has become {seen.shape}; take transforms that keep its size"
            )
        return seen, mask

    def _occluded(
        self, face: NDArray[np.uint8], mask: NDArray[np.uint8] | None, epoch: int, index: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
        if not self.occlude:
            return face, mask
        rng = np.random.default_rng([self.seed, epoch, index, _OCCLUDER])
        if rng.random() >= self.occlude:
            return face, mask
        face, visible = occlude_aligned(face, self.occluders, rng)
        return face, None if mask is None else np.where(visible, mask, 0).astype(np.uint8)


def _with_inner(transform: Transform) -> Iterator[Transform]:
    """A transform before those within it: seeding it seeds them all alike, until they get their own."""
    yield transform
    if isinstance(transform, albumentations.BaseCompose):
        for inner in transform.transforms:
            yield from _with_inner(inner)
