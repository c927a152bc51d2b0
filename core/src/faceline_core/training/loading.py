"""Batches, prepared beside the network's work, from wherever a run begins or goes on."""

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, Generic, Literal, TypeVar

import cv2
import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from faceline_core.errors import FacelineError
from faceline_core.stage.cores import usable_cores
from faceline_core.training.epoch_batches import EpochBatches

Batch = TypeVar("Batch")


class EpochLoader(Generic[Batch]):
    """The batches of an epoch, one epoch each time it is gone through.

    Args:
        assembly: whole batches by lists of (epoch, index), from its `__getitems__`; a FacelineError that it returns is
            raised here. Raised in a worker, DataLoader would wrap its one line in a traceback.
        batches: which items go together; `position` is set here.
        position: tells the epoch to go through and how many of its batches are done already. Asked when the first batch
            is fetched, not when iteration is set up: Lightning does that before it has read the checkpoint to go on
            from.
        build: makes a step's batch of what was assembled and of what its mean loss is multiplied with
            (`EpochBatches.share_of`).
        num_workers: processes that prepare batches; 0 does it here, when a batch is asked for.
        prefetch: batches that each of them prepares ahead.
    """

    def __init__(
        self,
        assembly: Dataset[Any],
        batches: EpochBatches,
        position: Callable[[], tuple[int, int]],
        build: Callable[[Any, float], Batch],
        num_workers: int = 0,
        prefetch: int = 2,
    ):
        cv2.setNumThreads(1)  # pictures are small: threads would only wait for each other
        self.batches, self.position, self.build = batches, position, build
        self.waited = 0.0
        """Seconds spent waiting for batches since `reset_waited`."""
        self._loader: DataLoader[Any] = DataLoader(
            assembly,
            batch_sampler=batches,
            num_workers=num_workers,
            prefetch_factor=prefetch if num_workers else None,
            collate_fn=_as_it_is,
            persistent_workers=num_workers > 0,
            worker_init_fn=_one_thread,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # else each epoch would draw from the global one
        )

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return len(self.batches)

    def reset_waited(self) -> None:
        self.waited = 0.0

    def close(self) -> None:
        """Ends the worker processes; going through it again starts them anew.

        Left to the garbage collector, which takes their queues first, each of them would be waited for five seconds.
        """
        iterator, self._loader._iterator = self._loader._iterator, None
        if isinstance(iterator, _MultiProcessingDataLoaderIter):
            iterator._shutdown_workers()

    def __iter__(self) -> Iterator[Batch]:
        self.batches.position = self.position()
        _, first = self.batches.position
        start = perf_counter()
        for number, assembled in enumerate(self._loader, first):
            self.waited += perf_counter() - start
            if isinstance(assembled, FacelineError):
                raise assembled
            yield self.build(assembled, self.batches.share_of(number))
            start = perf_counter()


def workers(num_workers: int | Literal["auto"], processes: int = 1) -> int:
    """`num_workers` as a number.

    auto: one for every four cores, none below four, shared out over the processes that train on this machine. On few
    cores the network itself keeps them busy: on two, mobilenet_v3_small and resnet18 at 112 px with the standard
    augmentation trained as fast with a worker as without.
    """
    return usable_cores() // (4 * processes) if num_workers == "auto" else num_workers


def _as_it_is(batch: Any) -> Any:
    return batch


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(1)
