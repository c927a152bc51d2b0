"""Where a training square is cut out of a picture."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from faceline_detect.training.labels import SMALLEST, Labels, half_sizes
from faceline_detect.training.windows import Window


def place(
    shape: tuple[int, int],
    labels: Labels,
    size: tuple[int, int],
    scale: tuple[float, float],
    rotate: float,
    rng: np.random.Generator,
) -> Window:
    """A window around one of the faces of a picture, or anywhere where there is none.

    The longer side of the window is a fraction of the picture's shorter side, drawn from `scale`, but as large as it
    takes to hold the whole face, and as small as it takes for the face to be learnt, where `scale` allows that. Faces
    that no window makes large enough are chosen only where there is no other.

    The window stays inside the picture as far as it fits and the face stays whole.

    Args:
        shape: height, width of the picture.
        labels: its faces; ignored ones are not chosen.
        size: width, height of what the window shows, px.
        scale: smallest and largest fraction.
        rotate: most degrees, either way.
        rng: draws.
    """
    limit, shorter, longest = np.array(shape[::-1], float), min(shape), max(size)
    window = Window(limit / 2, 1.0, rng.uniform(-rotate, rotate), size)
    low, high = scale
    sides = np.sqrt((labels.boxes[:, 2:] - labels.boxes[:, :2]).prod(axis=1))
    choice = np.flatnonzero(~labels.ignore & (sides > 0))
    if len(choice):
        # the fraction at which a face is just large enough, with a hair to spare
        smallest = 0.999 * sides[choice] * longest / (SMALLEST * shorter)
        reachable = choice[smallest >= low] if (smallest >= low).any() else choice
        face = int(rng.choice(reachable))
        half = half_sizes(labels.boxes[[face]], window)[0]  # at zoom 1
        fitting = longest / shorter * (2 * half / size).max()
        high = max(low, min(high, smallest[choice == face][0]))
        low, high = max(low, fitting), max(high, fitting)
    window = replace(window, zoom=longest / (shorter * rng.uniform(low, high)))
    if not len(choice):
        return replace(window, middle=_inside(rng.uniform(0, limit), window, limit))
    middle = (labels.boxes[face, :2] + labels.boxes[face, 2:]) / 2
    span = np.maximum(0, np.array(size) / 2 - half * window.zoom)  # of the face's middle, from the window's
    window = replace(window, middle=middle - _back(rng.uniform(-span, span), window))
    window = replace(window, middle=_inside(window.middle, window, limit))
    spot = window.turn @ (middle - window.middle) * window.zoom
    return replace(window, middle=middle - _back(np.clip(spot, -span, span), window))


def _back(shown: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """(2,) a way in the window as a way in the picture."""
    return window.turn.T @ shown / window.zoom


def _inside(middle: NDArray[np.float64], window: Window, limit: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2,) the nearest middle at which the window lies inside the picture, or is centred where it is too large."""
    reach = np.minimum(window.reach, limit / 2)
    return np.clip(middle, reach, limit - reach)
