"""Batches of P people with K faces each (Hermans et al. 2017, arXiv 1703.07737), and of people who are alike."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceline_core.errors import FacelineError
from faceline_core.training.epoch_batches import EpochBatches

_CHUNK_BYTES = 64 << 20


class PKBatches(EpochBatches):
    """Each batch holds K faces of each of P people: every face has others of its person in the batch, and of others.

    A person's faces are shuffled and cut into groups of K, the last of which is filled up with faces of earlier groups;
    who has fewer than K faces repeats them. A batch is P groups of P different people. An epoch has as many batches as
    the groups fill: where the last is not filled, some people get one more group; who has more groups than there are
    batches is seen with as many of them, other ones each epoch. So all faces are used, once where possible.

    Args:
        labels: (N,) the person of each face, all of 0 .. C - 1.
        batch_size: P x K, over all processes.
        seed: of the order.
        instances: K.
        classes: (C,) names, for messages.
        rank: which process this is, from 0; each has other people of a batch.
        world: how many there are.
        accumulate: how many batches make up a step.

    Raises:
        FacelineError: where batches cannot be made up so.
    """

    def __init__(
        self,
        labels: Sequence[int] | NDArray[np.integer],
        batch_size: int,
        seed: int,
        instances: int,
        *,
        classes: Sequence[str],
        rank: int = 0,
        world: int = 1,
        accumulate: int = 1,
    ):
        self.instances, self.people = instances, batch_size // instances
        self._faces = np.bincount(np.asarray(labels, np.int64), minlength=len(classes))
        check_people_of_batches(labels, batch_size, instances, world, classes)
        super().__init__(labels, batch_size, seed, shuffle=True, rank=rank, world=world, accumulate=accumulate)

    def _cut(self, batch_size: int) -> list[int]:
        groups = int((-(-self._faces // self.instances)).sum())
        count = -(-groups // self.people)
        return [batch * batch_size for batch in range(count + 1)]

    def order(self, epoch: int) -> NDArray[np.int64]:
        """(batches x batch_size,) indices in the order of an epoch, over all processes."""
        rng = np.random.default_rng([self.seed, epoch])
        times = self._times(rng)
        # Dealt out in turn, the groups of one person, who are no more than the batches, go to different ones.
        person = np.repeat(order := rng.permutation(len(times)), times[order])
        dealt = person.reshape(self.people, len(self)).T
        return self._faces_of(rng.permuted(dealt[rng.permutation(len(self))], axis=1), rng)

    def _times(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """(C,) how many groups each person gives; their sum is people x batches."""
        batches = len(self)
        times = np.minimum(-(-self._faces // self.instances), batches)
        missing = self.people * batches - int(times.sum())
        while missing:
            free = rng.permutation(np.flatnonzero(times < batches))[:missing]
            times[free] += 1
            missing -= len(free)
        return times

    def _faces_of(self, people: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """(batches x P x K,) faces of the people (batches, P): of each the next K in an order drawn anew, over and
        over."""
        chosen = people.reshape(-1)
        before = _counted_before(chosen)
        shuffled = np.lexsort((rng.random(len(self.labels)), self.labels))  # each person's faces, in random order
        starts = np.cumsum(self._faces) - self._faces
        place = before[:, None] * self.instances + np.arange(self.instances)
        return shuffled[starts[chosen][:, None] + place % self._faces[chosen][:, None]].reshape(-1)


class GraphBatches(PKBatches):
    """Each batch holds K faces of an anchor person and of each of the P - 1 people most like the anchor (Liao and Shao
    2022, arXiv 2104.01546), of whom it is hardest to be told.

    An epoch has as many batches as with PKBatches, each with an anchor of its own, drawn anew: where there are fewer
    batches than people, an epoch may leave people out. `follow` says who is alike by the present model; before that
    batches are those of PKBatches.
    """

    neighbours: NDArray[np.int64] | None = None

    def follow(self, neighbours: NDArray[np.int64] | None) -> None:
        """From now on (C, P - 1) are the people nearest to each; `nearest_people` finds them."""
        self.neighbours = neighbours

    def order(self, epoch: int) -> NDArray[np.int64]:
        if self.neighbours is None:
            return super().order(epoch)
        rng = np.random.default_rng([self.seed, epoch])
        rounds = -(-len(self) // len(self._faces))
        anchors = np.concatenate([rng.permutation(len(self._faces)) for _ in range(rounds)])[: len(self)]
        people = np.concatenate([anchors[:, None], self.neighbours[anchors]], axis=1)
        return self._faces_of(rng.permuted(people, axis=1), rng)


@torch.no_grad()
def nearest_people(columns: Tensor, count: int) -> NDArray[np.int64]:
    """(C, count) the people most like each, nearest first, by the cosine of the head's columns (D, C)."""
    unit = torch.nn.functional.normalize(columns.float(), dim=0)
    people = unit.shape[1]
    rows = max(1, _CHUNK_BYTES // (4 * people))
    found = []
    for start in range(0, people, rows):
        own = torch.arange(start, min(start + rows, people), device=unit.device)
        closeness = unit[:, own].T @ unit
        closeness[torch.arange(len(own), device=unit.device), own] = -torch.inf
        found.append(closeness.topk(count, dim=1).indices.cpu())
    return torch.cat(found).numpy()


def _counted_before(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) how often each value has stood there before."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    lengths = np.diff(np.append(starts, len(values)))
    before = np.empty(len(values), np.int64)
    before[order] = np.arange(len(values)) - np.repeat(starts, lengths)
    return before


def check_people_of_batches(
    labels: Sequence[int] | NDArray[np.integer], batch_size: int, instances: int, world: int, classes: Sequence[str]
) -> None:
    """Raises where batches of whole people cannot be made up, or someone has one face; arguments as PKBatches."""
    faces = np.bincount(np.asarray(labels, np.int64), minlength=len(classes))
    people, step = batch_size // instances, instances * world
    if batch_size % step:
        lower = batch_size // step * step
        choice = f"{lower} or {lower + step}" if lower >= 2 * step else str(2 * step)
        shared = f" on each of {world} processes" if world > 1 else ""
        raise FacelineError(
            f"batch_size: {batch_size} does not hold whole people of {instances} faces "
            f"(dataset.instances_per_identity){shared}. Set batch_size to {choice}"
        )
    if people < 2 * world:
        shared = f" on each of {world} processes" if world > 1 else ""
        raise FacelineError(
            f"batch_size: {batch_size} holds one person of {instances} faces (dataset.instances_per_identity){shared}, "
            f"and nobody to tell the person from. Set batch_size to {2 * step} or more"
        )
    if len(classes) < people:
        raise FacelineError(
            f"batch_size: {batch_size} takes {people} people of {instances} faces (dataset.instances_per_identity), "
            f"and there are {len(classes)}. {_smaller(len(classes) * instances // step * step, step)}"
        )
    alone = np.flatnonzero(faces == 1)
    if len(alone):
        more = f" and {len(alone) - 1} others have" if len(alone) > 1 else " has"
        raise FacelineError(
            f"dataset.sampler: {classes[alone[0]]}{more} one face to train on, which no batch can match with another "
            "of the person. Set dataset.min_images to 2, or 3 beside dataset.holdout, which leaves them out, or "
            "dataset.sampler: shuffle"
        )


def _smaller(most: int, step: int) -> str:
    if most >= 2 * step:
        return f"Set batch_size to {most} or less"
    return "Add people, lower dataset.instances_per_identity, or set dataset.sampler: shuffle"
