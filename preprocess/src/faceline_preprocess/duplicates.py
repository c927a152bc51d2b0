"""Which photos are copies of another: turned away across people, kept together within one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from faceline_core.faces import Fingerprint
from faceline_preprocess.judging import Rejection
from faceline_preprocess.listing import Photo
from faceline_preprocess.near_duplicates import near_duplicate_pairs


def same_bytes(photos: Sequence[Photo]) -> dict[Photo, Rejection]:
    """Photos whose bytes an earlier photo has, of whichever person."""
    first: dict[str, Photo] = {}
    rejected = {}
    for photo in photos:
        original = first.setdefault(photo.sha256, photo)
        if original is not photo:
            rejected[photo] = Rejection("duplicate", f"duplicate of {original.path}")
    return rejected


def near_duplicates(
    photos: Sequence[Photo], rows: Mapping[str, Mapping[str, Any]], max_bits: int
) -> tuple[dict[Photo, Rejection], dict[Photo, Photo]]:
    """Near-duplicates among photos that decode.

    Args:
        photos: in the order in which an earlier one wins.
        rows: what was found in each, by key; those with `bits` and `thumbnail` are compared.
        max_bits: of the 64 that may differ.

    Returns:
        Photos turned away because an earlier photo of another person shows the same; and for each other
        photo the first of its own person's near-duplicates, itself where it has none.
    """
    seen = [photo for photo in photos if "bits" in rows[photo.key]]
    prints = [Fingerprint(rows[photo.key]["bits"], bytes.fromhex(rows[photo.key]["thumbnail"])) for photo in seen]
    earlier: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for i, j, bits in near_duplicate_pairs(prints, max_bits):
        earlier[j].append((bits, i))
    rejected: dict[Photo, Rejection] = {}
    leader = list(range(len(seen)))
    for j in sorted(earlier):
        kept = [(bits, i) for bits, i in earlier[j] if seen[i] not in rejected]
        others = [(bits, i) for bits, i in kept if seen[i].identity != seen[j].identity]
        if others:
            bits, i = min(others)
            reason = f"near-duplicate of {seen[i].path}: {bits} of 64 bits differ"
            rejected[seen[j]] = Rejection("near-duplicate of another person's", reason)
            continue
        for _, i in kept:
            _join(leader, i, j)
    return rejected, {photo: seen[_find(leader, i)] for i, photo in enumerate(seen) if photo not in rejected}


def _find(leader: list[int], i: int) -> int:
    while leader[i] != i:
        leader[i] = leader[leader[i]]
        i = leader[i]
    return i


def _join(leader: list[int], i: int, j: int) -> None:
    first, second = sorted((_find(leader, i), _find(leader, j)))
    leader[second] = first
