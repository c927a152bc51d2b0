"""Photos of many sizes into batches of one size and bounded memory."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


def equal_size_batches(images: Sequence[NDArray[np.uint8]], max_pixels: int, max_images: int) -> Iterator[list[int]]:
    """Positions of photos that go through a detector together.

    Args:
        images: (H, W, 3) each.
        max_pixels: the most pixels of a batch; a larger photo is a batch of its own.
        max_images: the most photos of a batch.

    Yields:
        Positions in `images`, all of one height and width; each position once.
    """
    by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for position, image in enumerate(images):
        by_size[image.shape].append(position)
    for (height, width, *_), positions in by_size.items():
        count = max(1, min(max_images, max_pixels // max(1, height * width)))
        for start in range(0, len(positions), count):
            yield positions[start : start + count]
