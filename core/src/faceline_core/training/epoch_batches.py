"""Which faces make up which batch: a function of (seed, epoch), shared out over processes."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from faceline_core.errors import FacelineError


class EpochBatches(Sampler[list[tuple[int, int]]]):
    """The batches of one process, as lists of (epoch, index).

    An epoch's order is cut into batches of `batch_size` over all processes, and each process takes its share of every
    one of them, so that they all make as many steps as one process would, with the same faces. The epoch travels with
    the index because worker processes hold copies of the data set that never hear of it.

    Training (`shuffle`) draws a new order every epoch. A full batch gives each process `batch_size / world` faces. The
    last batch of an epoch may be smaller; it is left out where it does not give each process the two faces that
    BatchNorm needs, and shared out as evenly as it goes otherwise. `share_of` says what to weigh a mean over a share
    with, so that gradients averaged over processes are those of the whole batch.

    Validation takes every face once, in order. The faces are spread evenly over the batches, so that no process is left
    without one, unless there are fewer faces than processes; the shares of a batch differ by one face at most. Nothing
    is padded: sums and counts over all processes are exact.

    Args:
        labels: (N,) the person of each face.
        batch_size: faces of a batch, over all processes.
        seed: of the order.
        shuffle: training; False is validation.
        balanced: draw each person as often, to one, and of a person each face as often, to one; the epoch is as long.
        rank: which process this is, from 0.
        world: how many there are.
        accumulate: how many batches make up a step.

    Raises:
        FacelineError: in training, where a batch is larger than the data, cannot be shared out equally, or gives a
            process fewer than two faces.
    """

    def __init__(
        self,
        labels: Sequence[int] | NDArray[np.integer],
        batch_size: int,
        seed: int,
        *,
        shuffle: bool,
        balanced: bool = False,
        rank: int = 0,
        world: int = 1,
        accumulate: int = 1,
    ):
        self.labels = np.asarray(labels, np.int64)
        self.seed, self.shuffle, self.balanced = seed, shuffle, balanced
        self.rank, self.world, self.accumulate = rank, world, accumulate
        self.position = (0, 0)
        """The epoch that iteration goes through, and the batch of it that it starts with."""
        self._cuts: list[int] = self._cut(batch_size)
        self._used = len(self)

    def _cut(self, batch_size: int) -> list[int]:
        """Where each batch of an epoch's order starts, and where the last one ends."""
        faces = len(self.labels)
        if self.shuffle:
            check_batch_size(batch_size, faces, self.world)
            cuts = [*range(0, faces, batch_size), faces]
            return cuts[:-1] if cuts[-1] - cuts[-2] < 2 * self.world else cuts
        count = max(1, min(-(-faces // batch_size), faces // self.world))
        return [batch * faces // count for batch in range(count + 1)]

    def __len__(self) -> int:
        return len(self._cuts) - 1

    def limit(self, batches: int) -> None:
        """Says that only so many batches of an epoch will be used: the last step then is made up of fewer."""
        self._used = min(batches, len(self))

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, first = self.position
        for indices, _ in self.shares(epoch, first):
            yield [(epoch, int(index)) for index in indices]

    def shares(self, epoch: int, first: int = 0) -> Iterator[tuple[NDArray[np.int64], float]]:
        """This process's faces of each batch of an epoch from batch `first` on, (n,) indices, and `share_of` it."""
        order = self.order(epoch)
        for batch in range(first, len(self)):
            start, end = self._bounds(batch)
            yield order[start:end], self.share_of(batch)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """(N,) indices in the order of an epoch, over all processes."""
        if not self.shuffle:
            return np.arange(len(self.labels))
        rng = np.random.default_rng([self.seed, epoch])
        return rng.permutation(_evened(self.labels, rng) if self.balanced else len(self.labels))

    def share_of(self, batch: int) -> float:
        """What to multiply this process's mean over its faces of a batch with.

        The mean of that over processes, and over the `accumulate` batches of a step, is the mean over all faces of the
        step. It is 1 where all batches of the step are full.
        """
        start, end = self._bounds(batch)
        step = batch // self.accumulate * self.accumulate
        faces = self._cuts[max(batch + 1, min(step + self.accumulate, self._used))] - self._cuts[step]
        return (end - start) * self.world * self.accumulate / faces

    def _bounds(self, batch: int) -> tuple[int, int]:
        start, end = self._cuts[batch], self._cuts[batch + 1]
        return (
            start + self.rank * (end - start) // self.world,
            start + (self.rank + 1) * (end - start) // self.world,
        )


def check_batch_size(batch_size: int, faces: int, world: int) -> None:
    """Raises where a training batch is larger than the data, or cannot be shared out over processes."""
    if batch_size > faces:
        raise FacelineError(f"batch_size: {batch_size} faces a batch, but train has {faces}. Lower batch_size")
    if batch_size % world or batch_size < 2 * world:
        lower, upper = max(2 * world, batch_size // world * world), max(2, -(-batch_size // world)) * world
        choice = f"{lower}" if lower == upper else f"{lower} or {upper}"
        raise FacelineError(
            f"batch_size: {batch_size} faces cannot be shared out over {world} processes, the same number and two or "
            f"more to each. Set batch_size to {choice}"
        )


def _evened(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """(N,) indices in which each person stands as often, to one, and of a person each face as often, to one."""
    people, person, faces = np.unique(labels, return_inverse=True, return_counts=True)
    draws = np.full(len(people), len(labels) // len(people))
    draws[rng.permutation(len(people))[: len(labels) % len(people)]] += 1
    shuffled = np.lexsort((rng.random(len(labels)), person))
    place = np.empty(len(labels), np.int64)  # of each face in a random order of its person's
    place[shuffled] = np.arange(len(labels)) - np.repeat(np.cumsum(faces) - faces, faces)
    times = draws[person] // faces[person] + (place < draws[person] % faces[person])
    return np.repeat(np.arange(len(labels)), times)
