"""Which faces a detector is asked to find."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceline_detect.annotations.kinds import Annotation
from faceline_detect.measuring.official_lists import as_published, counted_by_lists

HEIGHTS = {"easy": 50.0, "medium": 30.0, "hard": 10.0}
"""px from which a face counts, where no lists say it; each level holds the one before it."""

Counted = dict[str, list[NDArray[np.bool_]]]
"""For easy, medium and hard: for each picture (N,) bool, the faces that count."""


def asked_for(pictures: Sequence[Annotation], official_lists: str | None) -> tuple[Sequence[Annotation], Counted]:
    """Pictures as they are measured, and the faces that count. Raises FacelineError as `counted_by_lists`."""
    counted = faces_that_count(pictures, official_lists)
    return pictures if official_lists is None else as_published(pictures, Path(official_lists)), counted


def faces_that_count(pictures: Sequence[Annotation], official_lists: str | None) -> Counted:
    """By WIDER FACE's lists in that folder, or where it is None by height. Raises FacelineError as
    `counted_by_lists`."""
    return by_height(pictures) if official_lists is None else counted_by_lists(pictures, Path(official_lists))


def by_height(pictures: Sequence[Annotation]) -> Counted:
    """Faces of HEIGHTS or more; those to ignore never count."""
    return {
        level: [(picture.heights >= height) & ~picture.ignore for picture in pictures]
        for level, height in HEIGHTS.items()
    }
