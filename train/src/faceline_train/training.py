"""The train stage: faces in data/processed to checkpoints in artifacts."""

import shutil
from glob import escape
from pathlib import Path
from typing import Any

import lightning
import torch

import faceline_core
import faceline_train
from faceline_core.data.split import Split, read_split
from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import save_checkpoint
from faceline_core.models.recogniser import Recogniser
from faceline_core.models.weights import load_backbone_weights
from faceline_core.parameters import StageParameters
from faceline_core.stage.files import code_hash, replaced_folder, scratch_folder, sha256_of
from faceline_core.stage.progress import say
from faceline_core.training.history import History
from faceline_core.training.resume import epochs_done
from faceline_core.training.trainer import build_trainer
from faceline_train.augmentation import Augmentation
from faceline_train.batches import FaceBatches
from faceline_train.classifier import METRICS, Classifier
from faceline_train.selection import Selection

_BUILT_IN = ("none", "pretrained")


def train(
    parameters: StageParameters, processed: Path = Path("data/processed"), artifacts: Path = Path("artifacts")
) -> None:
    """Trains a recogniser, or goes on with one that was stopped.

    Writes `checkpoints/{best_model,final_model}.pth` and `train/history.csv` below `artifacts`, whole or not at all.

    Args:
        parameters: what faceline_train.KEYS names.
        processed: the folder that preprocess wrote.
        artifacts: the folder to write to.

    Raises:
        FacelineError: where faces, weights or parameters do not do; the message says what to change.
    """
    train_split = read_split(processed, "train", parameters.classes)
    val_split = read_split(processed, "val", train_split.classes)
    _check_classes(train_split)
    data = train_split.sha256()
    lightning.seed_everything(parameters.seed, verbose=False)
    recogniser = Recogniser(parameters.model_name, parameters.img_size, train_split.classes, parameters.freeze_ratio)
    people, train_faces, val_faces = len(train_split.classes), len(train_split.paths), len(val_split.paths)
    say("train", f"{people} people, {train_faces} training and {val_faces} validation faces")
    loaded = load_backbone_weights(
        recogniser.backbone,
        parameters.model_name,
        parameters.img_size,
        parameters.weights,
        processed.parent / ".scratch/weights",
    )

    scratch = scratch_folder(artifacts, "train", _key(parameters, data, val_split.sha256()))
    progress_file = scratch / "progress.ckpt"
    recogniser.to(memory_format=torch.channels_last)  # as the faces come: convolutions then run without rearranging
    classifier = Classifier(recogniser, parameters)
    checkpoints = scratch / "checkpoints"

    def save(name: str) -> None:
        save_checkpoint(
            checkpoints / name, recogniser, **_training_state(trainer, classifier, selection, parameters, data)
        )

    def announce(row: dict[str, float]) -> None:
        best = "  best" if selection.epoch == row["epoch"] else ""
        say("train", _epoch_line(row, parameters.epochs) + best)

    selection = Selection(lambda: save("best_model.pth"), parameters.trainer.early_stopping)
    history = History(scratch / "train/history.csv", METRICS, announce)
    trainer = build_trainer(parameters.trainer, parameters.epochs, [selection, history], progress_file)
    batches = FaceBatches(
        train_split,
        val_split,
        parameters.img_size,
        parameters.batch_size,
        Augmentation(parameters.augment, parameters.seed),
        parameters.seed,
        parameters.trainer.num_workers,
        epochs_done(progress_file),
    )
    say("train", f"{_size_line(recogniser)}, {_device_line(trainer)}, {loaded}")
    resumed = progress_file if progress_file.is_file() else None
    if resumed:
        say("train", f"goes on where it was stopped ({scratch})")
    _fit(trainer, classifier, batches, resumed)
    save("final_model.pth")
    for folder in ("checkpoints", "train"):
        with replaced_folder(artifacts / folder) as beside:
            shutil.copytree(scratch / folder, beside, dirs_exist_ok=True)
    shutil.rmtree(scratch)
    best_file = artifacts / "checkpoints/best_model.pth"
    say("train", f"best val_acc {selection.accuracy:.3f} at epoch {selection.epoch} -> {best_file}")


def _fit(trainer: lightning.Trainer, classifier: Classifier, batches: FaceBatches, resumed: Path | None) -> None:
    try:
        trainer.fit(classifier, datamodule=batches, ckpt_path=resumed, weights_only=True)
    except SystemExit:  # Lightning's answer to Ctrl-C
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise


def _check_classes(split: Split) -> None:
    present = set(split.labels)
    absent = [person for label, person in enumerate(split.classes) if label not in present]
    if absent:
        held_back = [person for person in absent if any(split.folder.parent.glob(f"unseen*/{escape(person)}"))]
        why = f" ({', '.join(held_back[:5])}: held back as unseen)" if held_back else ""
        raise FacelineError(
            f"{split.folder} has no faces of {', '.join(absent[:5])}{' ...' if len(absent) > 5 else ''}{why}, "
            "whom `classes` names. Take them from the list, or add photos and run preprocess again"
        )
    if len(split.classes) < 2:
        raise FacelineError(
            f"{split.folder} has one person, {split.classes[0]}: a classifier needs two. "
            "Add people, or lower preprocess.unseen_identities, and run preprocess again"
        )


def _key(parameters: StageParameters, train_data: str, val_data: str) -> dict[str, Any]:
    """What the weights depend on: a run goes on only where all of it is the same."""
    core = Path(faceline_core.__file__).parent
    weights = (
        ""
        if parameters.weights in _BUILT_IN or not Path(parameters.weights).is_file()
        else sha256_of(Path(parameters.weights))
    )
    packages = (Path(faceline_train.__file__).parent, core / "data", core / "models", core / "training")
    return {
        "parameters": parameters.as_dict(),
        "data": [train_data, val_data],
        "weights": weights,
        "code": code_hash(*packages),
    }


def _training_state(
    trainer: lightning.Trainer, classifier: Classifier, selection: Selection, parameters: StageParameters, data: str
) -> dict[str, Any]:
    return {
        "epoch": trainer.current_epoch + 1 if trainer.training else trainer.current_epoch,
        "best_epoch": selection.epoch,
        "best_val_acc": selection.accuracy,
        "optimizer": trainer.optimizers[0].state_dict(),
        "scheduler": classifier.schedule.state_dict(),
        "parameters": parameters.as_dict(),
        "data_sha256": data,
    }


def _epoch_line(row: dict[str, float], epochs: int) -> str:
    return (
        f"epoch {row['epoch']}/{epochs}  train_loss {row['train_loss']:.3f} train_acc {row['train_acc']:.3f}  "
        f"val_loss {row['val_loss']:.3f} val_acc {row['val_acc']:.3f}  lr {row['lr']:.1e}  {row['seconds']:.1f} s"
    )


def _size_line(recogniser: Recogniser) -> str:
    total = sum(p.numel() for p in recogniser.parameters())
    trained = sum(p.numel() for p in recogniser.parameters() if p.requires_grad)
    return f"{recogniser.model_name}, {total / 1e6:.1f} M parameters ({trained / 1e6:.1f} M trained)"


def _device_line(trainer: lightning.Trainer) -> str:
    device = trainer.strategy.root_device
    return str(device) if device.type == "cpu" else f"{device} ({trainer.num_devices} device)"
