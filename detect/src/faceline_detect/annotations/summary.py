"""What a label file holds, in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from faceline_detect.annotations.kinds import Annotations
from faceline_detect.annotations.text import counted

HEIGHTS = (10, 16, 32, 64, 128)
"""Between the classes of height, px; a face of 10 px belongs to those from 10 to 16."""


@dataclass(frozen=True)
class Summary:
    """Numbers of a label file.

    Attributes:
        images: pictures; empty_images: those without a face, ignored ones counting as faces.
        faces: all that are labelled; ignored: those of them that are invalid, of no size, or wrong.
        by_height: of the faces that are not ignored, how many are lower than HEIGHTS[0], than HEIGHTS[1], ...
        without_landmarks: of the faces that are not ignored, those that lack a landmark or all.
        most_faces: in one picture; most_in: which.
        left_out: labels and pictures that were wrong.
    """

    images: int
    empty_images: int
    faces: int
    ignored: int
    by_height: tuple[int, ...]
    without_landmarks: int
    most_faces: int
    most_in: str
    left_out: int

    def lines(self) -> list[str]:
        """For people, a line each."""
        edges = [f"< {HEIGHTS[0]}", *(f"{low}-{high}" for low, high in pairwise(HEIGHTS)), f">= {HEIGHTS[-1]}"]
        heights = ", ".join(f"{count} of {edge}" for edge, count in zip(edges, self.by_height, strict=True))
        most = f", {self.most_faces} at most ({self.most_in})" if self.faces else ""
        return [
            f"{counted(self.images, 'image')}, {self.empty_images} of them without a face",
            f"{counted(self.faces, 'face')}{most}; {self.ignored} of them ignored",
            f"the others by height: {heights} px; {self.without_landmarks} without all five landmarks",
            f"{self.left_out} {'label or image was' if self.left_out == 1 else 'labels or images were'} wrong",
        ]


def summarise(annotations: Annotations) -> Summary:
    """Counts what a label file holds."""
    pictures = annotations.pictures
    counts = [len(picture.boxes) for picture in pictures]
    ignore = _joined([picture.ignore for picture in pictures])
    heights = _joined([picture.heights for picture in pictures])[~ignore]
    landmarks = _joined([picture.with_landmarks for picture in pictures])[~ignore]
    by_height = np.bincount(np.searchsorted(HEIGHTS, heights, side="right"), minlength=len(HEIGHTS) + 1)
    return Summary(
        images=len(pictures),
        empty_images=counts.count(0),
        faces=sum(counts),
        ignored=int(ignore.sum()),
        by_height=tuple(by_height.tolist()),
        without_landmarks=int((~landmarks).sum()),
        most_faces=max(counts, default=0),
        most_in=pictures[int(np.argmax(counts))].path if counts else "",
        left_out=len(annotations.left_out),
    )


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts).astype(parts[0].dtype) if parts else np.zeros(0, bool)
