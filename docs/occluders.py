"""Makes docs/occluders.jpg: 64 aligned faces of drawn people, each with an occluder, a row of eight of one kind.

Run it in the root of the repository:  .venv/bin/python docs/occluders.py
"""

from collections.abc import Iterator

import cv2
import numpy as np

from faceline_core.faces import align
from faceline_core.occluders.aligned import occlude_aligned
from faceline_sample.photo import draw_photo, person

SIDE, COLUMNS = 112, 8
ROWS = ("medical_mask", "medical_mask", "sunglasses", "scarf", "hand", "hand", "veil", "veil")
SEED = 7
SMALLEST = 90  # px, of a face in its photo: smaller ones would be blurred


def clear_faces() -> Iterator[np.ndarray]:
    """Aligned faces (SIDE, SIDE, 3) RGB of drawn people, one of each, in clear photos."""
    identity = 0
    while True:
        who = person(SEED, identity)
        photos = (draw_photo(who, SEED, identity, index, occluded=0) for index in range(100))
        photo = next(photo for photo in photos if photo.box[3] - photo.box[1] >= SMALLEST)
        yield align(photo.image, photo.landmarks, SIDE)
        identity += 1


def main() -> None:
    faces = clear_faces()
    sheet = []
    for row, kind in enumerate(ROWS):
        rngs = [np.random.default_rng([SEED, row, column]) for column in range(COLUMNS)]
        sheet.append(np.hstack([occlude_aligned(next(faces), [kind], rng)[0] for rng in rngs]))
    picture = cv2.cvtColor(np.vstack(sheet), cv2.COLOR_RGB2BGR)
    cv2.imwrite("docs/occluders.jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])


if __name__ == "__main__":
    main()
