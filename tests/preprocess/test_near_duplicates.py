"""Near-duplicates by bands against all pairs, and what becomes of copies."""

import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceline_core.faces import Fingerprint, fingerprint, read_photo
from faceline_preprocess.duplicates import near_duplicates, same_bytes
from faceline_preprocess.listing import Photo
from faceline_preprocess.near_duplicates import ALIKE, near_duplicate_pairs

TEXTURE = np.random.default_rng(9).integers(0, 256, 256, np.uint8).tobytes()


def prints_of(hashes, thumbnail=TEXTURE):
    return [Fingerprint(int(value), thumbnail) for value in hashes]


def near_slow(hashes, max_bits):
    return [
        (i, j, bits)
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if (bits := (int(hashes[i]) ^ int(hashes[j])).bit_count()) <= max_bits
    ]


@pytest.mark.parametrize("max_bits", [0, 1, 2, 5, 16])
def test_pairs_are_those_of_comparing_all_with_all(max_bits):
    rng = np.random.default_rng(max_bits)
    hashes = rng.integers(0, 2**64, 60, np.uint64)
    for flipped in range(5):  # neighbours of neighbours
        flips = np.zeros(len(hashes), np.uint64)
        for _ in range(flipped):
            flips ^= np.uint64(1) << rng.integers(0, 64, len(hashes)).astype(np.uint64)
        hashes = np.concatenate([hashes, (hashes ^ flips)[:40]])
    expected = near_slow(hashes, max_bits)
    assert near_duplicate_pairs(prints_of(hashes), max_bits) == expected
    assert len(expected) > 5


def test_equal_hashes_of_unlike_photos_are_no_pair():
    rng = np.random.default_rng(0)
    thumbnails = [rng.integers(0, 256, 256, np.uint8).tobytes() for _ in range(5)] + [bytes([7]) * 256] * 5
    assert near_duplicate_pairs([Fingerprint(12345, thumbnail) for thumbnail in thumbnails], 2) == []
    assert near_duplicate_pairs([], 2) == []


def test_many_photos_framed_alike_or_without_contrast_stay_quick():
    rng = np.random.default_rng(2)
    alike = [Fingerprint(int(bits), rng.integers(0, 256, 256, np.uint8).tobytes()) for bits in rng.integers(0, 4, 3000)]
    flat = [Fingerprint(0, bytes([grey % 256]) * 256) for grey in range(20_000)]
    start = time.monotonic()
    assert near_duplicate_pairs([*alike, *flat], 2) == []
    assert time.monotonic() - start < 20


def test_a_hundred_thousand_photos_take_seconds():
    hashes = np.random.default_rng(1).integers(0, 2**64, 100_000, np.uint64)
    hashes[500] = hashes[99_000] ^ np.uint64(5)
    start = time.monotonic()
    assert near_duplicate_pairs(prints_of(hashes), 2) == [(500, 99_000, 2)]
    assert time.monotonic() - start < 10


@pytest.mark.real
def test_copies_of_real_photos_are_found_and_other_photos_are_not(real_data):
    paths = sorted((real_data / "recognition/people").glob("*/*.jpg"))[::3]
    photos = [read_photo(path) for path in paths]
    smaller = [cv2.resize(photo, (140, 140), interpolation=cv2.INTER_AREA) for photo in photos[:60]]
    coded = [cv2.imdecode(cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1) for photo in smaller]
    pairs = near_duplicate_pairs([fingerprint(photo) for photo in [*photos, *coded]], 2)
    expected = {(i, len(photos) + i) for i in range(60)}
    assert {(i, j) for i, j, _ in pairs} <= expected
    assert len(pairs) >= 50


def photo(name, identity="a", sha256=None):
    return Photo(Path(identity, name), identity, sha256 or f"{identity}/{name}")


def rows_of(hashes):
    return {
        photo.key: {} if bits is None else {"bits": bits, "thumbnail": TEXTURE.hex()} for photo, bits in hashes.items()
    }


def test_same_bytes_keep_the_earlier_path():
    photos = [photo("1", "a", "x"), photo("2", "a", "y"), photo("3", "a", "x"), photo("1", "b", "x")]
    rejected = same_bytes(photos)
    assert list(rejected) == photos[2:]
    assert {rejection.reason for rejection in rejected.values()} == {"duplicate of a/1"}


def test_near_duplicates_of_another_person_go_and_those_of_one_person_stay_together():
    a1, a2, a3, broken = (photo(name) for name in "1234")
    b1, b2, b3 = (photo(name, "b") for name in "123")
    rows = rows_of({a1: 0b0, a2: 0b11, a3: 0xFFFF << 40, broken: None, b1: 0b1111, b2: 0b111111, b3: 0xFFFF << 20})
    rejected, groups = near_duplicates([a1, a2, a3, broken, b1, b2, b3], rows, 2)
    assert list(rejected) == [b1]
    assert rejected[b1].reason == "near-duplicate of a/2: 2 of 64 bits differ"
    # b2 is near b1 only, which is gone
    assert groups == {a1: a1, a2: a1, a3: a3, b2: b2, b3: b3}


def test_groups_are_transitive_whatever_the_order():
    chain = [photo(str(number)) for number in range(6)]
    bits = [0b0, 0b11 << 4, 0b11, 0b1111, 0b11 << 4 | 0b1111, 0xFFFF << 40]
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(6)
        rejected, groups = near_duplicates([chain[i] for i in order], rows_of(dict(zip(chain, bits, strict=True))), 2)
        assert not rejected
        assert len({groups[member] for member in chain[:5]}) == 1
        assert groups[chain[5]] == chain[5]


def test_the_threshold_is_where_the_docs_say():
    assert ALIKE == 0.97
