"""Batches of P people with K faces each, and of people who are alike."""

from collections import Counter

import numpy as np
import pytest
import torch

from faceline_core.errors import FacelineError
from faceline_core.training.pk_batches import GraphBatches, PKBatches, nearest_people

CASES = [
    ([8] * 6, 8, 4),
    ([5, 3, 9, 2, 4, 7], 12, 4),
    ([40, 2, 2, 2], 8, 4),
    ([3, 3, 3], 6, 3),
    ([2] * 20, 8, 2),
    ([17, 6, 31, 4, 9, 12, 5, 5], 12, 3),
]


def made(counts, batch, instances, kind=PKBatches, **more):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    names = [f"person {number}" for number in range(len(counts))]
    return kind(labels, batch, 7, instances, classes=names, **more), labels


@pytest.mark.parametrize("kind", [PKBatches, GraphBatches])
@pytest.mark.parametrize(("counts", "batch", "instances"), CASES)
def test_a_batch_is_k_faces_of_p_people(kind, counts, batch, instances):
    batches, labels = made(counts, batch, instances, kind)
    if kind is GraphBatches:
        batches.follow(
            nearest_people(
                torch.randn(16, len(counts), generator=torch.Generator().manual_seed(0)), batch // instances - 1
            )
        )
    for epoch in range(3):
        seen = list(batches.shares(epoch))
        assert len(seen) == len(batches)
        for indices, share in seen:
            assert share == 1
            groups = indices.reshape(-1, instances)
            people = labels[groups]
            assert (people == people[:, :1]).all()
            assert len(set(people[:, 0])) == batch // instances
            for group, person in zip(groups, people[:, 0], strict=True):
                assert len(set(group)) == min(instances, counts[person])


@pytest.mark.parametrize(("counts", "batch", "instances"), CASES)
def test_every_face_is_used_and_repeats_are_few(counts, batch, instances):
    batches, labels = made(counts, batch, instances)
    used = Counter(batches.order(0).tolist())
    groups = {person: -(-count // instances) for person, count in enumerate(counts)}
    for person, count in enumerate(counts):
        times = [used[index] for index in np.flatnonzero(labels == person)]
        if groups[person] <= len(batches):
            assert min(times) >= 1
        else:  # seen in every batch
            assert sum(times) == len(batches) * instances
            assert max(times) == 1
        assert max(times) - min(times) <= 1, "faces of a person are repeated evenly"
        assert sum(times) % instances == 0
        assert count == len(times)
    assert sum(used.values()) == len(batches) * batch
    assert len(batches) == -(-sum(groups.values()) // (batch // instances))


def test_what_a_person_with_too_many_faces_shows_differs_from_epoch_to_epoch():
    batches, labels = made([40, 2, 2, 2], 8, 4)
    shown = [set(batches.order(epoch)[labels[batches.order(epoch)] == 0]) for epoch in range(30)]
    assert shown[0] != shown[1]
    assert set.union(*shown) == set(np.flatnonzero(labels == 0))


@pytest.mark.parametrize("kind", [PKBatches, GraphBatches])
def test_processes_share_a_batch_by_people(kind):
    counts = [6, 5, 9, 4, 7, 8, 4, 5]
    whole, labels = made(counts, 16, 4, kind)
    shares = [made(counts, 16, 4, kind, rank=rank, world=2)[0] for rank in range(2)]
    for all_of_it, first, second in zip(whole.shares(2), shares[0].shares(2), shares[1].shares(2), strict=True):
        assert np.array_equal(all_of_it[0], np.concatenate([first[0], second[0]]))
        assert len(first[0]) == len(second[0])
        assert not set(labels[first[0]]) & set(labels[second[0]])


def test_an_epoch_is_a_function_of_seed_and_number_and_goes_on_from_a_batch():
    batches, _ = made([5, 3, 9, 2, 4, 7], 12, 4)
    assert np.array_equal(batches.order(3), made([5, 3, 9, 2, 4, 7], 12, 4)[0].order(3))
    assert not np.array_equal(batches.order(3), batches.order(4))
    whole = [indices.tolist() for indices, _ in batches.shares(3)]
    assert [indices.tolist() for indices, _ in batches.shares(3, first=1)] == whole[1:]
    batches.position = (3, 1)
    assert list(batches) == [[(3, index) for index in indices] for indices in whole[1:]]


def test_the_people_of_a_batch_are_an_anchor_and_those_nearest_to_it():
    counts = [4] * 12
    batches, labels = made(counts, 12, 4, GraphBatches)
    columns = torch.randn(8, 12, generator=torch.Generator().manual_seed(1))
    assert np.array_equal(batches.order(0), made(counts, 12, 4)[0].order(0))  # nobody is alike yet
    neighbours = nearest_people(columns, 2)
    cosine = torch.nn.functional.cosine_similarity(columns.T[:, None], columns.T[None], dim=2)
    for person in range(12):
        others = sorted(set(range(12)) - {person}, key=lambda other, person=person: -float(cosine[person, other]))
        assert neighbours[person].tolist() == others[:2]
    batches.follow(neighbours)
    allowed = {frozenset({person, *neighbours[person].tolist()}) for person in range(12)}
    met = [frozenset(labels[indices].tolist()) for indices, _ in batches.shares(1)]
    assert set(met) <= allowed
    anchors = [
        sum(frozenset({person, *neighbours[person].tolist()}) == people for people in met) for person in range(12)
    ]
    assert sum(count > 0 for count in anchors) >= len(batches)


def test_neighbours_do_not_depend_on_the_chunks(monkeypatch):
    columns = torch.randn(8, 50, generator=torch.Generator().manual_seed(1))
    whole = nearest_people(columns, 5)
    monkeypatch.setattr("faceline_core.training.pk_batches._CHUNK_BYTES", 4 * 50 * 7)
    assert np.array_equal(nearest_people(columns, 5), whole)


@pytest.mark.parametrize(
    ("counts", "batch", "instances", "world", "message"),
    [
        ([4] * 9, 10, 4, 1, r"batch_size: 10 does not hold whole people of 4 faces .*Set batch_size to 8 or 12"),
        ([4] * 9, 12, 4, 2, r"on each of 2 processes. Set batch_size to 16"),
        ([4] * 9, 4, 4, 1, r"holds one person of 4 faces .*Set batch_size to 8 or more"),
        ([4] * 9, 8, 4, 2, r"on each of 2 processes, and nobody to tell the person from. Set batch_size to 16 or more"),
        ([4] * 3, 32, 4, 4, r"there are 3. Add people, lower dataset.instances_per_identity"),
        ([4] * 3, 16, 4, 1, r"takes 4 people of 4 faces .*there are 3. Set batch_size to 12 or less"),
        ([4, 1, 4], 8, 4, 1, r"dataset.sampler: person 1 has one face to train on"),
    ],
)
def test_what_cannot_be_made_up_is_told(counts, batch, instances, world, message):
    with pytest.raises(FacelineError, match=message):
        made(counts, batch, instances, world=world)
