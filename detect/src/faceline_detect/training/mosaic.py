"""Four pictures that share one training square: more and smaller faces, and backgrounds that end at a line."""

import numpy as np

_NEAREST = 0.3  # of the side: how near to the edge the lines may come


def tiles(side: int, rng: np.random.Generator) -> list[tuple[int, int, int, int]]:
    """Left, top, width, height in px of the four parts of a square, cut by a line each way at random."""
    x, y = (int(rng.integers(round(_NEAREST * side), round((1 - _NEAREST) * side) + 1)) for _ in range(2))
    return [(0, 0, x, y), (x, 0, side - x, y), (0, y, x, side - y), (x, y, side - x, side - y)]
