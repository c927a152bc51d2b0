"""Training of a YOLO by ultralytics, on the same labels and with the same manners as ours."""

import shutil
import time
from pathlib import Path
from typing import Any

import torch

import faceline_core
import faceline_detect
from faceline_core.errors import FacelineError
from faceline_core.parameters.detection import YoloSettings
from faceline_core.parameters.training import Trainer
from faceline_core.stage.files import (
    code_hash,
    forget_scratch,
    replaced_folder,
    scratch_folder,
    sha256_of,
    written_beside,
)
from faceline_core.stage.progress import say
from faceline_core.training.trainer import Precision
from faceline_detect.scenes import Part, sha256_of_part
from faceline_detect.yolo.checkpoint import read_yolo, write_yolo
from faceline_detect.yolo.dataset import write_dataset
from faceline_detect.yolo.history import Rows, line_of, row_of, write_rows
from faceline_detect.yolo.importing import put_font_in_place, ultralytics_at_work
from faceline_detect.yolo.machine import in_words, precision_of, training_device, workers
from faceline_detect.yolo.models import check_model
from faceline_detect.yolo.resuming import Progress, seed_epoch

CACHED_BYTES = 1 << 30
"""Decoded training pictures are kept in memory where all of them take no more."""
_SHORT = 20  # times the weight of a batch in BatchNorm's running statistics, a run's steps must come to at least


def train_yolo(
    settings: YoloSettings,
    train: Part,
    val: Part,
    model: Path,
    report: Path,
    *,
    seed: int,
    trainer: Trainer,
    artifacts: Path,
) -> Path:
    """Trains a YOLO, or goes on with one that was stopped; one that is done already is taken as it is.

    On a CPU the same seed gives the same weights, stopped on the way or not, where the pictures fit in CACHED_BYTES.

    Args:
        settings: `detect.yolo`.
        train: pictures to train with.
        val: pictures to choose the best epoch with.
        model: the .pt file to write.
        report: the folder to write: history.csv, a row an epoch, and ultralytics' own plots.
        seed: of the network's first weights, and of what epochs draw.
        trainer: accelerator and precision; YOLO trains on one device.
        artifacts: the state to go on from, and the pictures as ultralytics wants them, lie in `.scratch` below it.

    Returns:
        `model`.

    Raises:
        FacelineError: where settings, labels or the machine do not do, or ultralytics is not installed.
    """
    name = check_model(settings)
    if settings.epochs == 0:
        with written_beside(model) as beside:
            shutil.copyfile(name, beside)
        return model
    device = training_device(trainer)
    precision = precision_of(trainer, device)
    folder = scratch_folder(
        artifacts, "yolo", _key(settings, name, train, val, seed, device, precision), keep_others=True
    )
    done = folder / "done"
    if done.is_dir():
        say("detect", f"YOLO was trained before ({done})")
    else:
        data = write_dataset(train, val, folder / "dataset", settings.landmarks)
        run = _Run(settings, name, data, folder, seed, device, precision)
        trained = run.fit()
        with replaced_folder(done) as new:
            write_yolo(read_yolo(trained), new / "model.pt", settings.side)
            (new / "report").mkdir()
            write_rows(new / "report/history.csv", run.rows)
            for plot in sorted([*run.folder.glob("*.png"), *run.folder.glob("*.jpg")]):
                shutil.copyfile(plot, new / "report" / plot.name)
        for place in ("dataset", "run", "state"):
            shutil.rmtree(folder / place, ignore_errors=True)
        forget_scratch(folder)
    with written_beside(model) as beside:
        shutil.copyfile(done / "model.pt", beside)
    with replaced_folder(report) as new:
        shutil.copytree(done / "report", new, dirs_exist_ok=True)
    return model


class _Run:
    """A training by ultralytics, and what it calls on the way."""

    def __init__(
        self,
        settings: YoloSettings,
        name: str,
        data: Path,
        folder: Path,
        seed: int,
        device: torch.device,
        precision: Precision,
    ):
        self.settings, self.name, self.data, self.seed = settings, name, data, seed
        self.device, self.precision = device, precision
        self.folder, self.rows = folder / "run", Rows()
        self.progress = Progress(folder / "state")
        self._threads = torch.get_num_threads()
        self._began, self._within = 0.0, False

    def fit(self) -> Path:
        """Trains to the end; gives the best epoch's weights, as ultralytics writes them."""
        with ultralytics_at_work():
            from ultralytics.models.yolo.detect import DetectionTrainer
            from ultralytics.models.yolo.pose import PoseTrainer
            from ultralytics.utils.callbacks import get_default_callbacks

            put_font_in_place()
            calls = get_default_callbacks()
            for event in ("on_pretrain_routine_start", "on_val_start"):
                calls[event].append(self._use_threads)
            for event in ("on_pretrain_routine_end", "on_train_epoch_start", "on_train_epoch_end", "on_fit_epoch_end"):
                calls[event].append(getattr(self, event))
            kind = PoseTrainer if self.settings.landmarks else DetectionTrainer
            trainer = kind(overrides=self._arguments(), _callbacks=calls)
            try:
                trainer.train()
            except RuntimeError as error:
                if "NaN" not in str(error):
                    raise
                raise FacelineError(
                    f"detect.yolo: training came to weights that are no numbers. Lower lr, found {self.settings.lr:g}"
                ) from None
            return Path(trainer.best)

    def on_pretrain_routine_end(self, trainer: Any) -> None:
        """All is built, and nothing trained yet."""
        if self.device.type == "cpu":  # as our own networks lie: a step takes a sixth less
            for network in (trainer.model, trainer.ema.ema):
                network.to(memory_format=torch.channels_last)
        steps = len(trainer.train_loader) * self.settings.epochs
        for layer in trainer.model.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):  # theirs is for long runs: 0.03 forgets by half in 23 steps
                layer.momentum = max(layer.momentum or 0.0, min(0.1, _SHORT / steps))
        if self.precision == 16:  # asked for at the start, it would fetch a network from the network to try it on
            trainer.amp, trainer.scaler = True, torch.amp.GradScaler(self.device.type)
        trainer.validator.args.plots = False  # those of the best epoch, at the end, are enough
        pictures = trainer.train_loader.dataset
        if len(pictures) * self.settings.side**2 * 3 <= CACHED_BYTES:
            pictures.max_buffer_length = len(pictures) + 1  # it drops none of those that it has read, then
            for place in range(len(pictures)):
                pictures.load_image(place)
        if self.progress.there():
            say("detect", f"YOLO goes on where it was stopped ({self.progress.state.parent})")
            self.rows = self.progress.take_up(trainer)
        trained = sum(weight.numel() for weight in trainer.model.parameters())
        say(
            "detect", f"YOLO {self.name}, {trained / 1e6:.1f} M parameters, {self.device} in {in_words(self.precision)}"
        )

    def on_train_epoch_start(self, trainer: Any) -> None:
        seed_epoch(trainer, self.seed)
        self._began = time.monotonic()

    def on_train_epoch_end(self, _trainer: Any) -> None:
        self._within = True

    def on_fit_epoch_end(self, trainer: Any) -> None:
        """After validation and saving; and once more at the end, with the figures of the best epoch."""
        if not self._within:
            return
        self._within = False
        row = row_of(trainer, time.monotonic() - self._began)
        self.rows.append(row)
        if not trainer.stop:  # a run that is killed after its last epoch does that one again, with its plots
            self.progress.keep(trainer, self.rows)
        best = "  best" if trainer.best_fitness == trainer.fitness else ""
        say("detect", line_of(row, self.settings.epochs) + best)

    def _use_threads(self, _trainer: Any) -> None:
        torch.set_num_threads(self._threads)

    def _arguments(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "model": self.name,
            "data": str(self.data),
            "project": str(self.folder.parent.resolve()),
            "name": self.folder.name,
            "exist_ok": True,
            "seed": self.seed,
            "device": str(self.device.index or 0) if self.device.type == "cuda" else self.device.type,
            "amp": "bf16" if self.precision == "bf16" else False,
            "imgsz": settings.side,
            "epochs": settings.epochs,
            "batch": settings.batch_size,
            "nbs": settings.batch_size,
            "patience": settings.patience,
            "optimizer": "AdamW",
            "lr0": settings.lr,
            "momentum": 0.9,
            "cos_lr": True,
            "warmup_epochs": min(3.0, settings.epochs / 10),
            "warmup_bias_lr": 0.0,
            "mosaic": settings.mosaic,
            "close_mosaic": min(10, settings.epochs // 5),
            "augmentations": [],
            "workers": workers(),
            "plots": True,
            "verbose": False,
        }


def _key(
    settings: YoloSettings,
    name: str,
    train: Part,
    val: Part,
    seed: int,
    device: torch.device,
    precision: Precision,
) -> dict[str, Any]:
    """What the weights depend on."""
    from importlib.metadata import version

    return {
        "settings": settings.model_dump(mode="json"),
        "data": [sha256_of_part(train), sha256_of_part(val)],
        "files": [sha256_of(Path(name))] if Path(name).is_file() else [],
        "seed": seed,
        "device": device.type,
        "precision": precision,
        "versions": [version("ultralytics"), torch.__version__],
        "code": code_hash(Path(faceline_detect.__file__).parent, Path(faceline_core.__file__).parent / "faces"),
    }
