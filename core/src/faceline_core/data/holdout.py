"""Which faces of each person are held out for validation, where a data set has none for it."""

import hashlib
from collections.abc import Sequence
from math import floor


def held_out(
    classes: Sequence[str], labels: Sequence[int], sources: Sequence[str], fraction: float, seed: int
) -> list[int]:
    """Draws a fraction of each person's faces.

    Faces of one source stay together, and one source of each person is never drawn. From a person with two sources or
    more at least one is drawn; so that they stay whole, more faces than the fraction may be. What is drawn depends on
    the seed and the names alone: faces that come in anew change little for those that were there.

    Args:
        classes: names of people.
        labels: for each face, the place of its person among them.
        sources: for each face, the photo it was cut from.
        fraction: of each person's faces, in (0, 1).
        seed: of the draw.

    Returns:
        The places of the faces drawn, rising.
    """
    bundles: list[dict[str, list[int]]] = [{} for _ in classes]
    for index, (label, source) in enumerate(zip(labels, sources, strict=True)):
        bundles[label].setdefault(source, []).append(index)
    drawn: list[int] = []
    for person, of_person in zip(classes, bundles, strict=True):
        wanted = max(1, floor(fraction * sum(map(len, of_person.values())) + 0.5))
        taken = 0
        for source in sorted(of_person, key=lambda source: _lot(seed, person, source))[:-1]:
            if taken >= wanted:
                break
            drawn += of_person[source]
            taken += len(of_person[source])
    return sorted(drawn)


def _lot(seed: int, person: str, source: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{person}\0{source}".encode()).digest()
