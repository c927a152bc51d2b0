"""The order of the training data as a function of (seed, epoch), so that a resumed run sees what it would have seen."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class EpochOrder(Sampler[tuple[int, int]]):
    """Yields (epoch, index) for each item, shuffled anew every epoch.

    The epoch travels with the index because worker processes hold copies of the data set that never hear of it.
    Lightning calls `set_epoch`; the epoch that a resumed run starts with has to be set by whoever makes the loader.
    """

    def __init__(self, length: int, seed: int, epoch: int = 0):
        self.length, self.seed, self.epoch = length, seed, epoch

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch = self.epoch
        for index in np.random.default_rng([self.seed, epoch]).permutation(self.length):
            yield epoch, int(index)
