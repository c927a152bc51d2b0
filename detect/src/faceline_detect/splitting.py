"""Which pictures train, which choose the best epoch, and which are measured on."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from faceline_core.errors import FacelineError
from faceline_core.stage.files import sha256_of
from faceline_detect.annotations.kinds import Annotation

Pictures = list[Annotation]


def split(
    pictures: Sequence[Annotation], val_ratio: float, test_ratio: float, seed: int, folder: Path | None = None
) -> tuple[Pictures, Pictures, Pictures]:
    """Pictures to train on, to choose with and to measure on; each is in one of the three.

    A picture's split follows from a hash of the seed and its path alone, so that a picture more or less moves no other,
    and shares are met on average. Copies of a picture go with the one whose path sorts first. Where a split is left
    without a face to find, the picture with one that came nearest to it joins it, from the split that has most.

    Args:
        pictures: with their faces.
        val_ratio: of the pictures; 0 leaves val empty.
        test_ratio: likewise.
        seed: another seed draws others.
        folder: the pictures lie below it, and files of the same bytes stay together; None looks at no file.

    Returns:
        train, val and test, each in the order of `pictures`.

    Raises:
        FacelineError: where there are not as many different pictures with a face to find as splits, or a picture is
            missing.
    """
    groups = _groups(pictures, folder)
    place = {leader: _draw(seed, leader) for leader in groups}
    ends = {"test": test_ratio, "val": test_ratio + val_ratio, "train": 1.0}
    spans = dict(zip(ends, pairwise([0.0, *ends.values()]), strict=True))
    spans = {name: span for name, span in spans.items() if span[0] < span[1]}
    chosen = {
        leader: next(name for name, (start, end) in spans.items() if start <= draw < end)
        for leader, draw in place.items()
    }
    with_faces = [leader for leader, members in groups.items() if any(not each.ignore.all() for each in members)]
    if len(with_faces) < len(spans):
        raise FacelineError(
            f"{len(with_faces)} of {len(pictures)} pictures show a face to find and are not the same file: too few for "
            f"{', '.join(spans)}, which take one each. Add pictures to detect.scenes, or set detect.val_scenes and "
            "detect.test_scenes"
        )
    while True:
        held = {name: [leader for leader in with_faces if chosen[leader] == name] for name in spans}
        lacking = next((name for name in spans if not held[name]), None)
        if lacking is None:
            break
        largest: list[str] = max(held.values(), key=len)
        chosen[min(largest, key=lambda leader: _distance(place[leader], spans[lacking]))] = lacking
    by_path = {each.path: chosen[leader] for leader, members in groups.items() for each in members}
    train, val, test = ([each for each in pictures if by_path[each.path] == name] for name in ("train", "val", "test"))
    return train, val, test


def _groups(pictures: Sequence[Annotation], folder: Path | None) -> dict[str, Pictures]:
    """Pictures whose files are the same bytes, by the path among them that sorts first."""
    if folder is None:
        return {picture.path: [picture] for picture in pictures}
    identities = file_identities(folder / picture.path for picture in pictures)
    groups: dict[str, Pictures] = defaultdict(list)
    for picture in pictures:
        groups[identities[folder / picture.path]].append(picture)
    return {min(each.path for each in members): members for members in groups.values()}


def file_identities(paths: Iterable[Path]) -> dict[Path, str]:
    """What files of the same bytes have alike, and no others.

    Raises:
        FacelineError: where a file is missing.
    """
    by_size: dict[int, set[Path]] = defaultdict(set)
    for path in paths:
        by_size[_size(path)].add(path)
    return {  # a file that is alone in its size need not be read
        path: str(path) if len(alike) == 1 else sha256_of(path) for alike in by_size.values() for path in alike
    }


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise FacelineError(f"{path}: {error.strerror}. Put it there, or take it out of the labels") from error


def _draw(seed: int, path: str) -> float:
    """In [0, 1)."""
    return int(hashlib.sha256(f"{seed}\0{path}".encode()).hexdigest()[:13], 16) / 16**13


def _distance(place: float, span: tuple[float, float]) -> float:
    """From a draw to those that a split takes."""
    start, end = span
    return max(start - place, place - end, 0.0)
