"""The squares of a run, in batches."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import lightning
import numpy as np
import torch

from faceline_core.errors import FacelineError
from faceline_core.parameters.detection import RetinaFaceSettings
from faceline_core.parameters.training import Trainer
from faceline_core.stage.files import written_beside
from faceline_core.stage.memory import available_bytes
from faceline_core.stage.progress import say
from faceline_core.training.epoch_batches import EpochBatches
from faceline_core.training.loading import EpochLoader, workers
from faceline_core.training.trainer import processes
from faceline_detect.scenes import STAGE, Scenes
from faceline_detect.training.contact_sheet import contact_sheet
from faceline_detect.training.detection import Squares
from faceline_detect.training.scene_set import SceneSet
from faceline_detect.training.targets import Target

_SHEET, _COLUMNS = 16, 4
_SHARE_OF_MEMORY = 4  # one part of so many of what is free, for the decoded pictures of all processes


class Feeding(lightning.LightningDataModule):
    """Augmented squares to train on; of the pictures to choose with, each whole in one square, for their loss.

    Args:
        scenes: of the run.
        settings: `detect.retinaface`.
        trainer: its limits.
        seed: of the run.
        sheet: where the squares of the first batch go as a picture.
    """

    def __init__(self, scenes: Scenes, settings: RetinaFaceSettings, trainer: Trainer, seed: int, sheet: Path):
        super().__init__()
        self.settings, self.trainer_settings, self.seed, self.sheet = settings, trainer, seed, sheet
        count = len(scenes.train.pictures)
        if settings.batch_size > count:
            raise FacelineError(
                f"detect.retinaface.batch_size: {settings.batch_size} scenes a batch, but there are {count} to train "
                "on. Lower it"
            )
        say(STAGE, f"reads {count} scenes into memory, as many as fit")
        memory = available_bytes() // (_SHARE_OF_MEMORY * processes(trainer))
        self.train_set = SceneSet(*scenes.train, settings.side, settings.augment, seed, memory)
        self.val_set = SceneSet(*scenes.val, settings.side, None, seed, memory)
        self._loader: EpochLoader[Squares] | None = None

    def waited(self) -> float:
        """Seconds that steps have waited for data since this was last asked."""
        if self._loader is None:
            return 0.0
        waited = self._loader.waited
        self._loader.reset_waited()
        return waited

    def train_dataloader(self) -> Iterable[Squares]:
        assert self.trainer is not None
        batches = self._batches(self.train_set, shuffle=True)
        if self.trainer.is_global_zero:
            self._draw_sheet(batches)
        self._loader = self._made(self.train_set, batches, self._position)
        return self._loader

    def val_dataloader(self) -> Iterable[Squares]:
        return self._made(self.val_set, self._batches(self.val_set, shuffle=False), lambda: (0, 0))

    def transfer_batch_to_device(self, batch: Squares, device: torch.device, _dataloader: int) -> Squares:
        targets = [
            Target(target.boxes.to(device), target.landmarks.to(device), target.ignore.to(device))
            for target in batch.targets
        ]
        return Squares(batch.images.to(device, non_blocking=True), targets, batch.share)

    def _batches(self, squares: SceneSet, shuffle: bool) -> EpochBatches:
        assert self.trainer is not None
        return EpochBatches(
            np.zeros(len(squares), np.int64),
            self.settings.batch_size,
            self.seed,
            shuffle=shuffle,
            rank=self.trainer.global_rank,
            world=self.trainer.world_size,
            accumulate=self.trainer_settings.accumulate_grad_batches if shuffle else 1,
        )

    def _made(self, squares: SceneSet, batches: EpochBatches, position: Any) -> EpochLoader[Squares]:
        assert self.trainer is not None
        count = workers("auto", self.trainer.num_devices)
        return EpochLoader(squares, batches, position, _squares, count)

    def _position(self) -> tuple[int, int]:
        assert self.trainer is not None
        return self.trainer.current_epoch, self.trainer.fit_loop.epoch_loop.batch_progress.current.ready

    def _draw_sheet(self, batches: EpochBatches) -> None:
        indices, _ = next(batches.shares(0))
        picture = contact_sheet([self.train_set[0, int(index)] for index in indices[:_SHEET]], _COLUMNS)
        encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
        with written_beside(self.sheet) as beside:
            beside.write_bytes(encoded.tobytes())
        say(STAGE, f"the squares of the first batch, as a picture: {self.sheet}")


def _squares(assembled: Any, share: float) -> Squares:
    images, targets = assembled
    return Squares(images, targets, share)
