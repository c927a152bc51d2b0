"""Pictures of nearly one size into batches that are padded to one."""

from collections.abc import Iterator, Sequence

STEP = 32
"""Sides of a batch are multiples of it, px: the coarsest level's stride."""
BATCH_PIXELS = {"cpu": 2_000_000, "cuda": 16_000_000}
"""The most of a batch, unless it is one picture. On a CPU the maps of twice as many no longer fit into memory that was
used before, and getting it anew from the system takes a fifth longer."""
BATCH_PHOTOS = 32


def most_pixels(device: str) -> int:
    """Of a batch on a kind of device, as torch calls it."""
    return BATCH_PIXELS.get(device, BATCH_PIXELS["cpu"])


def padded(height: int, width: int) -> tuple[int, int]:
    """Both sides, brought up to a multiple of STEP."""
    return -(-height // STEP) * STEP, -(-width // STEP) * STEP


def padded_batches(
    sizes: Sequence[tuple[int, int]], max_pixels: int, max_images: int, waste: float = 0.15
) -> Iterator[tuple[list[int], tuple[int, int]]]:
    """Which pictures go through the network together.

    Args:
        sizes: height, width of each picture, px.
        max_pixels: the most pixels of a batch, padding included; a larger picture is a batch of its own.
        max_images: the most pictures of a batch.
        waste: the part of a batch that may be padding, beyond what each picture needs to reach a multiple of STEP.

    Yields:
        Positions in `sizes`, and the height and width that they are padded to; each position once.
    """
    order = sorted(range(len(sizes)), key=lambda position: padded(*sizes[position]))
    batch: list[int] = []
    height = width = own = 0
    for position in order:
        rows, columns = padded(*sizes[position])
        high, wide, pixels = max(height, rows), max(width, columns), own + rows * columns
        full = high * wide * (len(batch) + 1)
        if batch and (len(batch) == max_images or full > max_pixels or pixels < (1 - waste) * full):
            yield batch, (height, width)
            batch, high, wide, pixels = [], rows, columns, rows * columns
        batch.append(position)
        height, width, own = high, wide, pixels
    if batch:
        yield batch, (height, width)
