"""Photos that show one picture, among very many."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from faceline_core.faces import Fingerprint, thumbnail_vectors

ALIKE = 0.97
"""Correlation of two thumbnails from which they show one picture. Photos of LFW whose hashes are near by chance reach
0.92; copies at JPEG quality 20, half the size, or other brightness stay above it in 99 of 100 cases."""

_COMPARED = 4_000_000  # pairs of hashes at a time
_CONFIRMED = 16_384  # pairs of thumbnails at a time


def near_duplicate_pairs(fingerprints: Sequence[Fingerprint], max_bits: int) -> list[tuple[int, int, int]]:
    """All pairs whose hashes differ in at most `max_bits` bits and whose thumbnails correlate by ALIKE or more.

    Of max_bits + 1 bands of the hash at least one is equal in such a pair (the pigeonhole principle): only photos that
    share a band are compared. Time grows with the photos, not with their square, while the bands are wide. Photos
    without contrast have no near-duplicates.

    Args:
        fingerprints: one a photo.
        max_bits: 0 to 16.

    Returns:
        (i, j, bits) with i < j, sorted.
    """
    bits = np.array([fingerprint.bits for fingerprint in fingerprints], np.uint64)
    vectors = thumbnail_vectors([fingerprint.thumbnail for fingerprint in fingerprints])
    pairs: dict[tuple[int, int], int] = {}
    textured = np.flatnonzero(vectors.any(axis=1))
    for members in _sharing_a_band(bits, textured, max_bits + 1):
        for i, j, distance in _near(bits, vectors, members, max_bits):
            pairs[min(i, j), max(i, j)] = distance
    return sorted((i, j, distance) for (i, j), distance in pairs.items())


def _sharing_a_band(bits: NDArray[np.uint64], places: NDArray[np.intp], bands: int) -> Iterator[NDArray[np.intp]]:
    """Those of the places whose hashes have a band in common, two or more at a time."""
    edges = [64 * band // bands for band in range(bands + 1)]
    for low, high in pairwise(edges):
        band = (bits[places] >> np.uint64(low)) & np.uint64(2 ** (high - low) - 1)
        order = np.argsort(band, kind="stable")
        borders = np.flatnonzero(np.diff(band[order])) + 1
        for members in np.split(places[order], borders):
            if len(members) > 1:
                yield members


def _near(
    bits: NDArray[np.uint64], vectors: NDArray[np.float32], members: NDArray[np.intp], max_bits: int
) -> Iterator[tuple[int, int, int]]:
    """Compares all with all, a block of rows at a time."""
    block = max(1, _COMPARED // len(members))
    for start in range(0, len(members), block):
        rows, columns = members[start : start + block], members[start:]
        distance = np.bitwise_count(bits[rows, None] ^ bits[None, columns])
        row, column = np.nonzero(np.triu(distance <= max_bits, k=1))
        for first in range(0, len(row), _CONFIRMED):
            part = slice(first, first + _CONFIRMED)
            i, j = rows[row[part]], columns[column[part]]
            alike = np.einsum("nd,nd->n", vectors[i], vectors[j]) >= ALIKE
            near = distance[row[part], column[part]]
            yield from zip(i[alike].tolist(), j[alike].tolist(), near[alike].tolist(), strict=True)
