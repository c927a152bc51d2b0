"""Who goes where: shares, stability, and no photo in two splits."""

from pathlib import Path

import numpy as np
import pytest

from faceline_preprocess.listing import Photo
from faceline_preprocess.splitting import hold_back, split_person


def photos_of(identity, count):
    return [Photo(Path(identity, f"{i}.jpg"), identity, f"{identity}:{i}") for i in range(count)]


def counts(split):
    return tuple(list(split.values()).count(name) for name in ("train", "val", "test"))


@pytest.mark.parametrize(
    ("photos", "val", "test", "expected"),
    [
        (1, 0.15, 0.2, (1, 0, 0)),
        (2, 0.15, 0.2, (1, 0, 1)),
        (2, 0.15, 0.0, (1, 1, 0)),
        (3, 0.15, 0.2, (1, 1, 1)),
        (4, 0.15, 0.2, (2, 1, 1)),
        (10, 0.15, 0.2, (6, 2, 2)),
        (16, 0.15, 0.2, (11, 2, 3)),
        (100, 0.15, 0.2, (65, 15, 20)),
        (5, 0.45, 0.45, (1, 2, 2)),
        (10, 0.0, 0.0, (10, 0, 0)),
    ],
)
def test_shares(photos, val, test, expected):
    for seed in range(5):
        assert counts(split_person(photos_of("a", photos), {}, val, test, seed)) == expected


def test_every_known_person_with_four_photos_is_in_all_three_splits_unless_groups_forbid():
    rng = np.random.default_rng(0)
    for trial in range(300):
        photos = photos_of("a", int(rng.integers(4, 30)))
        groups = {photo: photos[int(rng.integers(0, len(photos)))] for photo in photos}
        split = split_person(photos, groups, 0.15, 0.2, trial)
        assert set(split) == set(photos)
        by_group = {}
        for photo, name in split.items():
            by_group.setdefault(groups[photo], set()).add(name)
        assert all(len(names) == 1 for names in by_group.values())
        train, val, test = counts(split)
        assert train > 0
        if len(by_group) >= 3:
            assert min(val, test) > 0


def test_order_of_the_listing_does_not_matter_and_the_seed_does():
    photos = photos_of("a", 20)
    split = split_person(photos, {}, 0.15, 0.2, 1)
    assert split_person(photos[::-1], {}, 0.15, 0.2, 1) == split
    assert split_person(photos, {}, 0.15, 0.2, 2) != split


def test_a_photo_more_moves_few_others():
    moved = []
    for seed in range(30):
        photos = photos_of("a", 21)
        before, after = (split_person(part, {}, 0.15, 0.2, seed) for part in (photos[:20], photos))
        moved.append(sum(before[photo] != after[photo] for photo in photos[:20]))
    assert max(moved) <= 3
    assert np.mean(moved) < 1.5


PEOPLE = [f"person {i}" for i in range(100)]


@pytest.mark.parametrize(
    ("people", "fraction", "choosing", "reporting"),
    [
        (100, 0.25, 12, 13),
        (40, 0.25, 5, 5),
        (8, 0.25, 2, 2),
        (6, 0.1, 2, 2),
        (6, 0.99, 2, 2),
        (5, 0.5, 0, 0),
        (9, 0, 0, 0),
    ],
)
def test_people_held_back(people, fraction, choosing, reporting):
    held = list(hold_back(PEOPLE[:people], fraction, 7).values())
    assert (held.count("unseen_val"), held.count("unseen")) == (choosing, reporting)


def test_a_person_more_moves_few_of_those_held_back():
    for seed in range(30):
        before, after = hold_back(PEOPLE[:80], 0.25, seed), hold_back(PEOPLE[:81], 0.25, seed)
        moved = [person for person in PEOPLE[:80] if before.get(person) != after.get(person)]
        assert len(moved) <= 3
    assert hold_back(PEOPLE, 0.25, 1) != hold_back(PEOPLE, 0.25, 2)
    assert hold_back(PEOPLE[::-1], 0.25, 1) == hold_back(PEOPLE, 0.25, 1)
