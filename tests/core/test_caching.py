"""Faces kept decoded: the same as they were, in memory or in a file that runs share."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from faceline_core.data import caching
from faceline_core.data.caching import cached
from faceline_core.errors import FacelineError

SIZE = 32


class Faces:
    """N faces, of a grey level each; `seen` counts how often a face was asked for."""

    def __init__(self, *greys):
        self.greys, self.seen = greys, 0
        self.classes, self.labels = ["a", "b"], [index % 2 for index in range(len(greys))]

    def __len__(self):
        return len(self.greys)

    def face(self, index):
        self.seen += 1
        return np.full((SIZE, SIZE, 3), self.greys[index], np.uint8)

    def describe(self, index):
        return f"grey {self.greys[index]}"

    def sha256(self):
        return f"{sum(self.greys):064}"[::-1]


def greys(faces):
    return [int(faces.face(index)[0, 0, 0]) for index in range(len(faces))]


@pytest.mark.parametrize("how", ["none", "memory", "disk"])
@pytest.mark.parametrize("count", [1, 256, 300])
def test_faces_kept_decoded_are_the_same(tmp_path, how, count):
    levels = [index * 7 % 256 for index in range(count)]
    faces = Faces(*levels)
    kept = cached(faces, how, SIZE, tmp_path)
    assert greys(kept) == levels
    assert (kept.classes, kept.labels, kept.sha256()) == (faces.classes, faces.labels, faces.sha256())
    assert kept.describe(0) == "grey 0"
    kept.face(0)[:] = 99
    assert greys(kept) == levels, "a face may be changed by who asked for it"
    assert greys(pickle.loads(pickle.dumps(kept))) == levels  # noqa: S301
    if how != "none":
        assert faces.seen == count, "each was decoded once"
        with pytest.raises(ValueError, match="read-only"):
            kept.array[0] = 0


def test_the_file_is_used_again_and_removed_when_no_run_opens_it(tmp_path, monkeypatch):
    first = cached(Faces(1, 2, 3), "disk", SIZE, tmp_path)
    other = cached(Faces(4, 5), "disk", SIZE, tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([first.path, other.path])
    assert first.path.stat().st_size == 128 + 3 * SIZE * SIZE * 3
    assert len(pickle.dumps(first)) < 1000, "a worker process gets the name of the file"
    again = Faces(1, 2, 3)
    os.utime(first.path, (0, 0))
    assert greys(cached(again, "disk", SIZE, tmp_path)) == [1, 2, 3]
    assert again.seen == 0
    assert first.path.stat().st_mtime > caching.time.time() - 1000, "it has been used now"
    now = caching.time.time()
    monkeypatch.setattr(caching.time, "time", lambda: now + 3 * 24 * 3600)
    assert greys(cached(again, "disk", SIZE, tmp_path)) == [1, 2, 3]
    assert list(tmp_path.iterdir()) == [first.path]


def test_two_that_write_at_once_leave_one_whole_file(tmp_path):
    levels = [index % 256 for index in range(600)]
    with ThreadPoolExecutor(2) as pool:
        kept = list(pool.map(lambda _: cached(Faces(*levels), "disk", SIZE, tmp_path), range(2)))
    assert [greys(faces) for faces in kept] == [levels, levels]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_memory_that_is_too_small_is_said_before(tmp_path, monkeypatch):
    monkeypatch.setattr(caching, "available_bytes", lambda: 10_000_000)
    faces = Faces(*[0] * 4000)
    what = r"dataset\.cache: memory: 4000 faces of 32 px are 12\.3 MB, and 10\.0 MB are free\. Set dataset\.cache: disk"
    with pytest.raises(FacelineError, match=what):
        cached(faces, "memory", SIZE, tmp_path)
    assert faces.seen == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_ends_it_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(caching.Path, "open", lambda *_: open("/dev/full", "wb", buffering=0))  # noqa: PTH123, SIM115
    with pytest.raises(OSError, match="No space left"):
        cached(Faces(1, 2), "disk", SIZE, tmp_path)
    assert list(tmp_path.iterdir()) == []
