"""What a training picture and its faces go through before the network sees them."""

from collections.abc import Callable
from typing import NamedTuple

import albumentations
import numpy as np
from numpy.typing import NDArray

from faceline_core.parameters.detection import DetectAugment
from faceline_detect.training.labels import Labels, joined, seen_through
from faceline_detect.training.mosaic import tiles
from faceline_detect.training.placing import place

_PLACES = 1
"""Sets the draw of windows apart from those of the transforms."""

_BLUR_SIGMA = (0.5, 1.5)  # px of the square
_JPEG_QUALITY = (20, 60)
_MIRRORED = [1, 0, 2, 4, 3]


class Scene(NamedTuple):
    """A picture (H, W, 3) uint8 RGB and its faces."""

    picture: NDArray[np.uint8]
    labels: Labels


class SceneAugmentation:
    """Squares cut out around faces, turned, mirrored, and made worse; a draw is a function of (seed, epoch, index).

    Cutting, turning and resizing are one step of ours: three of albumentations would sample three times, and show black
    corners where the picture goes on. The rest is albumentations, through which a face goes as keypoints: its landmarks
    and two corners of its box.

    albumentations keeps generators of its own that neither a global seed nor a worker process resets as one would wish,
    and seeds every transform of a Compose alike; so each gets a seed of its own for each square.

    Args:
        settings: `detect.retinaface.augment` of params.yaml.
        side: of the squares, px.
        seed: of the run.
    """

    def __init__(self, settings: DetectAugment, side: int, seed: int):
        self.settings, self.side, self.seed = settings, side, seed
        self._transforms = _transforms(settings)
        self._all = albumentations.Compose(
            self._transforms,
            keypoint_params=albumentations.KeypointParams("xy", remove_invisible=False),
        )

    def __call__(self, scene_of: Callable[[int], Scene], count: int, epoch: int, index: int) -> Scene:
        """A square (side, side, 3) of picture `index` with its faces, as it is to be seen in that epoch.

        Args:
            scene_of: gives a picture of the set by its index.
            count: of the pictures of the set; a mosaic takes others of them.
            epoch: from 0.
            index: of the picture.
        """
        rng = np.random.default_rng([self.seed, epoch, index, _PLACES])
        if rng.random() < self.settings.mosaic:
            square = self._mosaic(scene_of, [index, *rng.integers(0, count, 3).tolist()], rng)
        else:
            square = self._cut(scene_of(index), (self.side, self.side), rng)
        return self._transformed(square, epoch, index)

    def _cut(self, scene: Scene, size: tuple[int, int], rng: np.random.Generator) -> Scene:
        shape = scene.picture.shape[:2]
        window = place(shape, scene.labels, size, self.settings.scale, self.settings.rotate, rng)
        return Scene(window.cut(scene.picture), seen_through(scene.labels, window))

    def _mosaic(self, scene_of: Callable[[int], Scene], indices: list[int], rng: np.random.Generator) -> Scene:
        square = np.empty((self.side, self.side, 3), np.uint8)
        labels = []
        order = rng.permutation(indices).tolist()
        for which, (left, top, width, height) in zip(order, tiles(self.side, rng), strict=True):
            part = self._cut(scene_of(which), (width, height), rng)
            square[top : top + height, left : left + width] = part.picture
            labels.append(part.labels.shifted(left, top))
        return Scene(square, joined(labels))

    def _transformed(self, square: Scene, epoch: int, index: int) -> Scene:
        seeds = np.random.SeedSequence([self.seed, epoch, index]).generate_state(len(self._transforms))
        for transform, seed in zip(self._transforms, seeds, strict=True):
            transform.set_random_seed(int(seed))
        faces = len(square.labels.boxes)
        corners = (
            square.labels.boxes.reshape(faces, 2, 2) - 0.5
        )  # keypoints are pixels, whose centres are whole numbers
        points = np.concatenate([corners, square.labels.landmarks], axis=1)
        result = self._all(image=square.picture, keypoints=points.reshape(-1, 2))
        points = np.asarray(result["keypoints"], np.float64).reshape(faces, 7, 2)
        boxes = np.sort(points[:, :2] + 0.5, axis=1).reshape(faces, 4)
        mirrored = points[:, 0, 0] > points[:, 1, 0]
        landmarks = np.where(mirrored[:, None, None], points[:, 2:][:, _MIRRORED], points[:, 2:])
        return Scene(result["image"], Labels(boxes, landmarks, square.labels.ignore))


def _transforms(settings: DetectAugment) -> list[albumentations.BasicTransform]:
    """Those of albumentations that the settings ask for, in the order of a camera: scene, light, lens, file."""
    chosen: list[albumentations.BasicTransform] = [albumentations.HorizontalFlip(p=settings.flip)]
    if settings.brightness or settings.contrast:
        brightness, contrast = ((1 - most, 1 + most) for most in (settings.brightness, settings.contrast))
        chosen.append(
            albumentations.ColorJitter(brightness=brightness, contrast=contrast, saturation=(1, 1), hue=(0, 0), p=1)
        )
    if settings.blur:
        chosen.append(albumentations.GaussianBlur(blur_limit=0, sigma_limit=_BLUR_SIGMA, p=settings.blur))
    if settings.jpeg:
        chosen.append(albumentations.ImageCompression(quality_range=_JPEG_QUALITY, p=settings.jpeg))
    return chosen
