"""Who and what goes into which split: a function of the seed, the person's name and the photo's bytes."""

import hashlib
from collections.abc import Mapping, Sequence
from math import floor

from faceline_preprocess.listing import Photo

SPLITS = ("train", "val", "test", "unseen_val", "unseen")
KNOWN = SPLITS[:3]
_FEWEST = 2  # people of a split of unknown people: pairs of different people need two


def hold_back(people: Sequence[str], fraction: float, seed: int) -> dict[str, str]:
    """People whom training never sees, half of them to choose by and half to report on.

    Each split gets at least two people, and at least two remain to train on. Who is held back follows from a hash of
    seed and name, so that a person more or less moves few others.

    Args:
        people: those with enough photos.
        fraction: of them to hold back.
        seed: another seed holds others back.

    Returns:
        Person to `unseen_val` or `unseen`. Empty where the fraction is 0 or there are fewer than six people.
    """
    if fraction == 0 or len(people) < 3 * _FEWEST:
        return {}
    count = min(max(_rounded(fraction * len(people)), 2 * _FEWEST), len(people) - _FEWEST)
    held = sorted(people, key=lambda person: _draw(seed, "held back", person))[:count]
    held.sort(key=lambda person: _draw(seed, "choosing", person))
    return {person: "unseen_val" if place < count // 2 else "unseen" for place, person in enumerate(held)}


def split_person(
    photos: Sequence[Photo], groups: Mapping[Photo, Photo], val_ratio: float, test_ratio: float, seed: int
) -> dict[Photo, str]:
    """The split of each usable photo of a known person.

    Photos are drawn in an order that follows from the seed and their bytes. Of n photos, ratio x n, rounded, go to test
    and val, and at least one where the ratio is above 0; but one remains to train on, and where that leaves no room for
    both, val goes first. Near-duplicates stay together, which can make a split smaller or larger than its share.

    Args:
        photos: of one person, in any order.
        groups: photo to the one that stands for it and its near-duplicates; those not named stand alone.
        val_ratio: of the photos.
        test_ratio: of the photos.
        seed: another seed draws another order.

    Returns:
        Photo to `train`, `val` or `test`.
    """
    ordered = sorted(photos, key=lambda photo: _draw(seed, photo.identity, photo.sha256))
    bundles: dict[Photo, list[Photo]] = {}
    for photo in ordered:
        bundles.setdefault(groups.get(photo, photo), []).append(photo)
    wanted = _wanted(len(ordered), val_ratio, test_ratio)
    taken: dict[str, list[list[Photo]]] = {"test": [], "val": [], "train": []}
    for bundle in bundles.values():
        room = (split for split in ("test", "val") if _photos(taken[split]) + len(bundle) <= wanted[split])
        taken[next(room, "train")].append(bundle)
    for split in ("test", "val"):  # where every bundle is larger than the share
        if wanted[split] and not taken[split] and len(taken["train"]) > 1:
            smallest = min(taken["train"], key=len)
            taken["train"].remove(smallest)
            taken[split].append(smallest)
    return {photo: split for split, bundles_of in taken.items() for bundle in bundles_of for photo in bundle}


def _wanted(count: int, val_ratio: float, test_ratio: float) -> dict[str, int]:
    wanted = {
        split: max(1, _rounded(ratio * count)) if ratio else 0
        for split, ratio in (("val", val_ratio), ("test", test_ratio))
    }
    while sum(wanted.values()) > max(0, count - 1):
        wanted["val" if wanted["val"] >= wanted["test"] else "test"] -= 1
    return wanted


def _photos(bundles: list[list[Photo]]) -> int:
    return sum(map(len, bundles))


def _rounded(value: float) -> int:
    return floor(value + 0.5)


def _draw(seed: int, *words: str) -> str:
    return hashlib.sha256("\0".join([str(seed), *words]).encode()).hexdigest()
