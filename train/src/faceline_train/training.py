"""The train stage: faces to checkpoints in artifacts."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch

from faceline_core.data.face_set import FaceSet, open_faces, open_held_back
from faceline_core.data.masks import masks_sha256
from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import describe, save_checkpoint, write_checkpoint
from faceline_core.models.recogniser import Margin, Recogniser
from faceline_core.models.weights import load_backbone_weights
from faceline_core.parameters import StageParameters
from faceline_core.stage.files import forget_scratch, scratch_folder
from faceline_core.stage.processes import is_first
from faceline_core.stage.progress import say
from faceline_core.training.ema import RunningMean
from faceline_core.training.epoch_batches import check_batch_size
from faceline_core.training.history import History
from faceline_core.training.loggers import build_loggers
from faceline_core.training.pk_batches import check_people_of_batches
from faceline_core.training.precision import decide
from faceline_core.training.resume import KeepProgress
from faceline_core.training.selection import Best, Patience
from faceline_core.training.trainer import Precision, build_trainer, check_machine
from faceline_train.augmentation import Augmentation
from faceline_train.classifier import Classifier, DivergedError
from faceline_train.compiling import compile_backbone
from faceline_train.feeding import Feeding
from faceline_train.handover import hand_over
from faceline_train.lines import device_line, epoch_line, size_line
from faceline_train.metrics import check_logged, logged_names
from faceline_train.parts import parts_of
from faceline_train.precision import RecogniserTrial
from faceline_train.resuming import prepare_resume, run_key
from faceline_train.selection import TopK, file_name
from faceline_train.verifying import Verifying, find_sets, say_where_no_sets_are

WEIGHTS = Path("data/.scratch/weights")
"""Where downloaded weights are kept."""
PROGRESS = "progress.ckpt"
"""In a run's folder: the state that it goes on from."""


@dataclass(frozen=True)
class Trained:
    """What a run came to: the best epoch, its monitored metric, and a row an epoch as in history.csv."""

    best_epoch: int
    best: float
    history: list[dict[str, float]]


def train(
    parameters: StageParameters,
    artifacts: Path = Path("artifacts"),
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
    scratch: Path | None = None,
) -> Trained:
    """Trains a recogniser, or goes on with one that was stopped.

    Writes `checkpoints/{best_model,final_model,head}.pth` and `train/{history.csv,first_batch.png}` below `artifacts`,
    whole or not at all.

    Args:
        parameters: what faceline_train.KEYS names.
        artifacts: the folder to write to.
        on_epoch: called with each finished epoch's number, from 1, and its row; an exception ends the run.
        scratch: the folder of what several runs share: embeddings, decoded faces, measured precisions; by default
            `<artifacts>/.scratch`.

    Raises:
        FacelineError: where faces, weights or parameters do not do; the message says what to change.
    """
    _check_names(parameters)
    check_machine(parameters.trainer)
    augmentation = Augmentation(parameters.augment, parameters.seed, parameters.img_size)
    faces = open_faces(parameters.dataset, parameters.img_size, parameters.classes, parameters.seed)
    check_batch_size(parameters.batch_size, len(faces[0]), world=1)  # before anything that takes time
    if parameters.dataset.sampler != "shuffle":
        instances = parameters.dataset.instances_per_identity
        check_people_of_batches(faces[0].labels, parameters.batch_size, instances, 1, faces[0].classes)
    verifying = open_verifying(parameters, faces[1], matcher=parameters.loss_weights.local > 0)
    recogniser, loaded = build_recogniser(parameters, faces[0].classes)
    shared = scratch or artifacts / ".scratch"
    trial = RecogniserTrial(recogniser, parameters.batch_size)
    precision = decide(trial, parameters.trainer, shared / "precision.json", "train")
    data = faces[0].sha256()
    dry = parameters.trainer.fast_dev_run
    folder = scratch_folder(
        artifacts,
        "dry-run" if dry else "train",
        run_key(parameters, recogniser, [data, *_other_data(parameters, faces, verifying)], precision),
        keep_others=True,  # a mistyped parameter costs no stopped run its state: they go when this one has ended
    )
    say("train", _faces_line(*faces))

    weights = _face_weights(parameters, faces[0])
    classifier = Classifier(recogniser, parameters, weights, faces[0].describe, verifying)
    if parameters.trainer.compile:
        compile_backbone(recogniser)
    run = _Run(parameters, classifier, folder, data, on_epoch)
    trainer = run.trainer(precision)
    say("train", f"{size_line(recogniser)}, {device_line(trainer, precision)}, {loaded}")
    run.feeding = Feeding(recogniser, faces, augmentation, parameters, precision, shared, folder / "train")
    resumed = prepare_resume(parameters, recogniser, folder / PROGRESS)
    _fit(trainer, run, resumed, artifacts / ".scratch/diverged.pth")
    trained = Trained(run.best.epoch, run.best.value, run.history.rows)
    if dry:
        shutil.rmtree(folder, ignore_errors=True)
        say("train", "fast_dev_run: a batch of training and one of validation went through; nothing was written")
    elif is_first():
        forget_scratch(folder)
        with run.shown():
            hand_over(
                trainer,
                classifier,
                run.state,
                faces[0],
                run.feeding.plain_features,
                verifying,
                folder,
                artifacts,
                parameters.run_name,
            )
        say(
            "train",
            f"best {run.best.monitor} {run.best.value:.3f} at epoch {run.best.epoch} -> "
            f"{artifacts / 'checkpoints/best_model.pth'}",
        )
    return trained


def build_recogniser(parameters: StageParameters, classes: list[str]) -> tuple[Recogniser, str]:
    """The network that a run starts from, and a line that says what its weights are; seeds everything on the way."""
    lightning.seed_everything(parameters.seed, verbose=False)
    loss = parameters.loss
    recogniser = Recogniser(
        parameters.model_name,
        parameters.img_size,
        classes,
        parameters.freeze_ratio,
        parameters.head,
        Margin(loss.m, loss.h, loss.s, loss.t_alpha),
        parts=parts_of(parameters),
    )
    loaded = load_backbone_weights(
        recogniser.backbone, recogniser.spec, parameters.weights, WEIGHTS, parameters.weights_strict
    )
    if loaded.channel_order:
        recogniser.see_channels_as(loaded.channel_order)
    if parameters.trainer.freeze_batchnorm:
        recogniser.freeze_batchnorm()
    if parameters.trainer.channels_last:
        recogniser.to(memory_format=torch.channels_last)  # as the faces come: convolutions then need not rearrange
    return recogniser, loaded.line


class _Run:
    """A run's callbacks, and the state that they keep."""

    feeding: Feeding
    """Set once the resumed state is known; the history asks it how long steps waited."""

    def __init__(
        self,
        parameters: StageParameters,
        classifier: Classifier,
        folder: Path,
        data: str,
        on_epoch: Callable[[int, dict[str, float]], None] | None,
    ):
        self.parameters, self.classifier, self.folder, self.data = parameters, classifier, folder, data
        self.on_epoch = on_epoch
        settings = parameters.checkpoint
        checkpoints = folder / "checkpoints"
        decay = parameters.optimizer.ema_decay
        self.mean = RunningMean(classifier.recogniser, decay) if decay else None
        self.best = Best(settings.monitor, settings.mode, lambda: self.save(checkpoints / "best_model.pth"))
        self.patience = Patience(parameters.early_stopping)
        self.top = TopK(settings, checkpoints, self.save)
        names = logged_names(parameters, _benchmarks(classifier))
        self.history = History(folder / "train/history.csv", names, self.waited, self.announce)

    def trainer(self, precision: Precision) -> lightning.Trainer:
        parameters = self.parameters
        callbacks: list[lightning.Callback] = [self.mean] if self.mean else []
        loggers: list[Any] = []
        if not parameters.trainer.fast_dev_run:
            progress = KeepProgress(self.folder / PROGRESS, parameters.trainer.checkpoint_minutes)
            callbacks += [self.best, self.patience, self.top, self.history, progress]
            name = parameters.run_name or self.folder.name
            root = self.folder.parents[1] / "logs"
            loggers = build_loggers(parameters.logging, root, name, parameters.as_dict())
        self._trainer = build_trainer(
            parameters.trainer, precision, parameters.epochs, callbacks, loggers, parameters.logging.refresh_rate
        )
        return self._trainer

    def shown(self) -> AbstractContextManager[None]:
        """The weights in the block are those to keep: the running mean where there is one."""
        return self.mean.shown() if self.mean else nullcontext()

    def save(self, path: Path) -> None:
        recogniser = self.classifier.recogniser
        with self.shown():
            state = recogniser.state_dict()
            if recogniser.frozen:  # the backbone is added at the end: it is the same in all
                state = {name: value for name, value in state.items() if not name.startswith("backbone.")}
            write_checkpoint(path, {**describe(recogniser), "state_dict": state, **self.state()})

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds besides the recogniser."""
        trainer = self._trainer
        return {
            "epoch": trainer.current_epoch + 1 if trainer.training or trainer.validating else trainer.current_epoch,
            "monitor": self.best.monitor,
            "best": self.best.value,
            "best_epoch": self.best.epoch,
            "parameters": self.parameters.as_dict(),
            "data_sha256": self.data,
        }

    def waited(self) -> float:
        return self.feeding.waited()

    def announce(self, row: dict[str, float]) -> None:
        epoch = int(row["epoch"])
        best = "  best" if self.best.epoch == epoch else ""
        skipped = f"  {self.classifier.skipped} batches left out (NaN)" if self.classifier.skipped else ""
        verifying = self.classifier.verifying
        sets = [] if verifying is None else list(verifying.sets)
        say("train", epoch_line(row, self.parameters.epochs, sets) + best + skipped)
        if self.on_epoch:
            self.on_epoch(epoch, row)


def _fit(trainer: lightning.Trainer, run: _Run, resumed: Path | None, diverged: Path) -> None:
    try:
        trainer.fit(run.classifier, datamodule=run.feeding, ckpt_path=resumed, weights_only=True)
    except SystemExit:  # Lightning's answer to Ctrl-C
        if trainer.interrupted:
            if not (run.folder / PROGRESS).is_file():
                say("train", "nothing is kept before an epoch has ended: the next run begins at epoch 1")
            raise KeyboardInterrupt from None
        raise
    except DivergedError as error:
        if trainer.is_global_zero:
            save_checkpoint(diverged, run.classifier.recogniser, **run.state())
        raise DivergedError(f"{error}. The weights at that moment: {diverged}") from None


def open_verifying(parameters: StageParameters, val: FaceSet, matcher: bool) -> Verifying | None:
    """The pairs to verify after each epoch; None where nobody asks for any.

    Args:
        parameters: dataset, img_size, seed, validation.
        val: faces of known people, of which the statistics of scores are taken where nobody is held back.
        matcher: whether there is one, whose scores need those statistics.

    Raises:
        FacelineError: where val_acc is to be that of people held back, and nobody is.
    """
    settings = parameters.validation
    say_where_no_sets_are(settings)
    asked = settings.split == "unseen_val"
    if not asked and not matcher and not find_sets(settings):
        return None
    faces: FaceSet | None = None
    if asked or matcher:
        faces = open_held_back(parameters.dataset, parameters.img_size)
        if faces is None and asked:
            raise FacelineError(
                f"validation.split: unseen_val, but {parameters.dataset.path} has no unseen_val. Raise "
                "preprocess.unseen_identities and run preprocess again, or set validation.split: val"
            )
        if faces is None:
            say("train", f"{parameters.dataset.path} has no unseen_val: how scores are spread is taken of known people")
            faces = val
    return Verifying(faces, settings, parameters.seed, parameters.img_size)


def _other_data(parameters: StageParameters, faces: tuple[FaceSet, FaceSet], verifying: Verifying | None) -> list[str]:
    """Hashes of what a run depends on besides the faces that it trains on."""
    held_back = None if verifying is None else verifying.faces
    masks = [masks_sha256(faces[0])] if parameters.loss_weights.occlusion else []
    return [faces[1].sha256(), *([held_back.sha256()] if held_back is not None else []), *masks]


def _benchmarks(classifier: Classifier) -> list[str]:
    """The figures of `.bin` sets that are logged."""
    verifying = classifier.verifying
    names = [] if verifying is None else verifying.names(classifier.recogniser.matcher is not None)
    return [name for name in names if not name.startswith("val_")]


def _check_names(parameters: StageParameters) -> None:
    """Metrics that parameters name are logged, before anything is loaded."""
    check_logged("checkpoint.monitor", parameters.checkpoint.monitor, parameters)
    check_logged("early_stopping.monitor", parameters.early_stopping.monitor, parameters)
    if parameters.checkpoint.save_top_k:
        file_name(parameters.checkpoint.filename, 1, dict.fromkeys(logged_names(parameters), 0.5))


def _face_weights(parameters: StageParameters, faces: FaceSet) -> torch.Tensor | None:
    """(C,) 1 / the number of each person's faces, scaled so that the mean over the faces is 1."""
    if parameters.loss.balance != "loss":
        return None
    counts = torch.bincount(torch.tensor(faces.labels), minlength=len(faces.classes)).clamp_min(1)
    return len(faces) / (len(faces.classes) * counts.float())


def _faces_line(train: FaceSet, val: FaceSet) -> str:
    return f"{len(train.classes)} people, {len(train)} training and {len(val)} validation faces"
