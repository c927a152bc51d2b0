"""Which faces make up a batch, and how they come."""

import time
from collections import Counter

import numpy as np
import pytest
import torch

from faceline_core.data.caching import cached
from faceline_core.errors import FacelineError
from faceline_core.training import loading
from faceline_core.training.epoch_batches import EpochBatches
from faceline_core.training.loading import workers
from faceline_train.loading import FaceLoader

SIZE = 8
LABELS = [0] * 10 + [1] * 3 + [2] * 6 + [4] * 4


class Faces:
    """Face i is of one colour: (i, epoch of the augmentation, 0)."""

    classes = ("a", "b", "c", "d", "e")

    def __init__(self, labels=LABELS, seconds=0.0):
        self.labels, self.seconds = list(labels), seconds

    def __len__(self):
        return len(self.labels)

    def face(self, index):
        time.sleep(self.seconds)
        if index == 99:
            raise FacelineError("face 99 does not decode. Replace it")
        return np.full((SIZE, SIZE, 3), (index, 0, 0), np.uint8)

    def describe(self, index):
        return f"face {index}"

    def sha256(self):
        return "0" * 64


def paint(face, epoch, index):
    """An augmentation: the epoch as green, the index as blue."""
    face[:] = (face[0, 0, 0], epoch, index)
    return face


def training(rank=0, world=1, batch_size=6, labels=LABELS, **options):
    return EpochBatches(labels, batch_size, 7, shuffle=True, rank=rank, world=world, **options)


def validation(count, batch_size, rank=0, world=1):
    return EpochBatches([0] * count, batch_size, 7, shuffle=False, rank=rank, world=world)


def batches(sampler, epoch=0, first=0):
    sampler.position = (epoch, first)
    return list(sampler)


def indices(found):
    return [index for batch in found for _, index in batch]


def test_an_order_is_a_permutation_and_a_function_of_seed_and_epoch():
    sampler = training()
    assert [len(batch) for batch in batches(sampler)] == [6, 6, 6, 5]
    assert len(sampler) == 4
    assert sorted(indices(batches(sampler))) == list(range(23)) == sorted(sampler.order(5))
    assert {epoch for batch in batches(sampler, 3) for epoch, _ in batch} == {3}
    assert batches(sampler, 3) == batches(training(), 3)
    orders = [indices(batches(sampler, epoch)) for epoch in range(3)]
    orders.append(indices(batches(EpochBatches(LABELS, 6, 8, shuffle=True))))
    assert len({str(order) for order in orders}) == 4
    assert indices(batches(validation(23, 6), 3)) == list(range(23))


@pytest.mark.parametrize("world", [1, 2])
def test_from_the_middle_of_an_epoch_it_is_the_rest(world):
    sampler = training(rank=world - 1, world=world)
    for first in range(5):
        assert batches(sampler, 2, first) == batches(sampler, 2)[first:]
        assert [share for _, share in sampler.shares(2, first)] == [share for _, share in sampler.shares(2)][first:]


@pytest.mark.parametrize("count", range(12, 25))
@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_the_batches_of_one(count, world):
    labels = [0] * count
    alone = batches(training(labels=labels))
    if count % 6 and count % 6 < 2 * world:
        alone = alone[: count // 6]
    shared = [batches(training(rank, world, labels=labels)) for rank in range(world)]
    assert {len(each) for each in shared} == {len(alone)}
    for batch, parts in zip(alone, zip(*shared, strict=True), strict=True):
        assert [key for part in parts for key in part] == batch
        assert min(map(len, parts)) >= 2
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        if len(batch) == 6:
            assert {len(part) for part in parts} == {6 // world}


def test_a_last_face_alone_is_left_out():
    assert [len(batch) for batch in batches(training(labels=[0] * 13))] == [6, 6]
    assert [len(batch) for batch in batches(training(labels=[0] * 14))] == [6, 6, 2]


@pytest.mark.parametrize("accumulate", [1, 2, 3])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_shares_make_the_mean_over_processes_and_batches_that_of_the_step(world, accumulate):
    labels = [0] * 29
    value = np.random.default_rng(0).normal(size=29)
    samplers = [training(rank, world, labels=labels, accumulate=accumulate) for rank in range(world)]
    whole = batches(training(labels=labels, accumulate=accumulate))[: len(samplers[0])]
    for step in range(0, len(whole), accumulate):
        here = range(step, min(step + accumulate, len(whole)))
        expected = value[indices(whole[step : step + accumulate])].mean()
        found = sum(
            value[chosen].mean() * share
            for sampler in samplers
            for chosen, share in list(sampler.shares(0))[here.start : here.stop]
        )
        assert found / world / accumulate == pytest.approx(expected, abs=1e-12)
    assert all(
        share == 1 for _, share in list(samplers[0].shares(0))[: len(whole) // accumulate * accumulate - accumulate]
    )


@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("batch_size", [2, 4, 12])
def test_validation_takes_each_face_once_and_leaves_nobody_without(world, batch_size):
    for count in range(1, 40):
        shared = [batches(validation(count, batch_size, rank, world)) for rank in range(world)]
        assert len({len(each) for each in shared}) == 1
        assert sorted(index for each in shared for index in indices(each)) == list(range(count))
        sizes = [[len(batch) for batch in each] for each in shared]
        assert count < world or np.min(sizes) >= 1
        assert np.sum(sizes, axis=0).max() <= max(batch_size, 2 * world)


def test_balanced_draws_take_every_person_and_every_face_as_often():
    rng = np.random.default_rng(1)
    uneven = np.repeat(np.arange(9), rng.integers(1, 40, 9))
    for labels in map(np.asarray, (LABELS, rng.integers(0, 7, 300), uneven, [3, 3, 5])):
        sampler = EpochBatches(labels, 2, 7, shuffle=True, balanced=True)
        for epoch in range(3):
            order = sampler.order(epoch)
            assert len(order) == len(labels)
            of_people = Counter(labels[order].tolist())
            assert max(of_people.values()) - min(of_people.values()) <= 1
            assert set(of_people) == set(labels.tolist())
            of_faces = np.bincount(order, minlength=len(labels))
            for person in of_people:
                assert np.ptp(of_faces[labels == person]) <= 1
        assert sampler.order(1).tolist() == sampler.order(1).tolist() != sampler.order(2).tolist()
    often = np.bincount(
        np.concatenate([EpochBatches(LABELS, 2, s, shuffle=True, balanced=True).order(0) for s in range(900)])
    )
    expected = 900 * 23 / 4 / np.array([10] * 10 + [3] * 3 + [6] * 6 + [4] * 4)
    assert np.abs(often / expected - 1).max() < 0.12


def test_a_batch_size_that_does_not_do_is_said():
    for world, batch_size, what in (
        (1, 64, "batch_size: 64 faces a batch, but train has 23. Lower batch_size"),
        (4, 10, r"batch_size: 10 faces cannot be shared out over 4 processes, .* Set batch_size to 8 or 12"),
        (4, 4, r"batch_size: 4 faces cannot be shared out over 4 processes, .* Set batch_size to 8"),
        (2, 3, "Set batch_size to 4"),
    ):
        with pytest.raises(FacelineError, match=what):
            training(world=world, batch_size=batch_size)


def loader(faces=None, sampler=None, position=(2, 0), augmentation=paint, num_workers=0):
    faces = faces or Faces()
    return FaceLoader(faces, sampler or training(labels=faces.labels), lambda: position, augmentation, num_workers)


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_batches_hold_what_the_order_says(num_workers):
    batched = loader(num_workers=num_workers)
    for _ in range(2):
        found = list(batched)
        assert len(found) == len(batched) == 4
        for batch, expected in zip(found, batches(training(), 2), strict=True):
            index = [index for _, index in expected]
            assert batch.images.shape == (len(index), 3, SIZE, SIZE)
            assert batch.images.dtype == torch.uint8
            assert batch.images.is_contiguous(memory_format=torch.channels_last)
            assert batch.images[:, :, 3, 5].tolist() == [[i, 2, i] for i in index]
            assert batch.indices.tolist() == index
            assert batch.labels.tolist() == [LABELS[i] for i in index]
            assert (batch.labels.dtype, batch.indices.dtype) == (torch.int64, torch.int64)
            assert (batch.share.dtype, batch.share.shape, batch.share.item()) == (torch.float32, (), 1.0)


@pytest.mark.parametrize("how", ["none", "memory", "disk"])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_kept_faces_come_the_same(tmp_path, how, num_workers):
    faces = cached(Faces(), how, SIZE, tmp_path)
    for augmentation in (None, paint):
        expected = list(loader(augmentation=augmentation))
        found = list(loader(faces, augmentation=augmentation, num_workers=num_workers))
        for one, other in zip(found, expected, strict=True):
            assert one[4:] == other[4:] == (None, None)  # nobody asked for masks
            assert all(torch.equal(a, b) for a, b in zip(one[:4], other[:4], strict=True))
            assert one.images.is_contiguous(memory_format=torch.channels_last)
    assert faces.face(3)[0, 0].tolist() == [3, 0, 0], "augmentation left it as it was"


@pytest.mark.parametrize("num_workers", [0, 1])
def test_the_position_is_asked_for_when_the_first_batch_is(num_workers):
    places = [(0, 0)]
    batched = FaceLoader(Faces(), training(), lambda: places[-1], paint, num_workers)
    iterator = iter(batched)
    places.append((5, 2))  # a checkpoint is read
    found = list(iterator)
    assert [batch.indices.tolist() for batch in found] == [
        [index for _, index in batch] for batch in batches(training(), 5, 2)
    ]
    assert found[0].images[0, 1, 0, 0] == 5
    places.append((6, 0))
    half = iter(batched)
    next(half)  # an epoch that is not gone through
    places.append((7, 0))
    assert [batch.images[0, 1, 0, 0] for batch in batched] == [7] * 4


def test_shares_come_with_their_batches():
    sampler = training(0, 3, labels=[0] * 20)
    expected = [share for _, share in sampler.shares(0)]
    assert [batch.share.item() for batch in loader(Faces([0] * 20), sampler)] == pytest.approx(expected)
    sampler = EpochBatches([0] * 17, 6, 7, shuffle=True, world=2)
    shares = [batch.share.item() for batch in loader(Faces([0] * 17), sampler, position=(0, 1))]
    assert shares == pytest.approx([1, 2 * 2 / 5])


def test_a_process_without_a_face_gets_an_empty_batch(tmp_path):
    for faces in (Faces([0]), cached(Faces([0]), "memory", SIZE, tmp_path)):
        (batch,) = loader(faces, validation(1, 4, rank=0, world=2), augmentation=None)
        assert batch.images.shape == (0, 3, SIZE, SIZE)
        assert (len(batch.labels), batch.share) == (0, 0)
        (batch,) = loader(faces, validation(1, 4, rank=1, world=2), augmentation=None)
        assert (batch.indices.tolist(), batch.share) == ([0], 2)


def test_the_global_random_numbers_are_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    for num_workers in (0, 1):
        list(loader(num_workers=num_workers))
    assert torch.equal(torch.rand(3), expected)


def test_what_is_waited_for_is_measured():
    slow = loader(Faces(seconds=0.01))
    assert slow.waited == 0
    start = time.perf_counter()
    for _ in slow:
        time.sleep(0.03)
    assert 23 * 0.01 <= slow.waited <= time.perf_counter() - start - 4 * 0.03
    slow.reset_waited()
    assert slow.waited == 0


class NotedFaces(Faces):
    """Leaves a file for each face that was asked for."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def face(self, index):
        (self.folder / str(index)).touch()
        return super().face(index)


def test_a_worker_prepares_batches_while_others_are_worked_on(tmp_path):
    """While the first is held, and nobody asks for more, the faces of the next two are made."""
    batched = iter(loader(NotedFaces(tmp_path), num_workers=1))
    next(batched)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 3 * 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(list(tmp_path.iterdir())) >= 3 * 6
    assert len(list(batched)) == 3


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_error_of_a_face_stays_one_line(num_workers):
    with pytest.raises(FacelineError) as caught:
        list(loader(Faces([0] * 100), num_workers=num_workers))
    assert str(caught.value) == "face 99 does not decode. Replace it"


def test_workers(monkeypatch):
    monkeypatch.setattr(loading, "usable_cores", lambda: 18)
    assert [workers("auto"), workers("auto", 2), workers("auto", 8)] == [4, 2, 0]
    assert [workers(3), workers(0)] == [3, 0]
