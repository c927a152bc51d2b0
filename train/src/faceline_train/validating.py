"""A checkpoint on the validation faces, by the very loop that chose it."""

from pathlib import Path

from faceline_core.data.face_set import open_faces
from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import load_recogniser
from faceline_core.parameters import StageParameters
from faceline_core.stage.progress import say
from faceline_core.training.precision import decide
from faceline_core.training.trainer import build_trainer
from faceline_core.verification.folds import FOLDS
from faceline_train.augmentation import Augmentation
from faceline_train.classifier import Classifier
from faceline_train.feeding import Feeding
from faceline_train.lines import device_line, size_line
from faceline_train.precision import RecogniserTrial
from faceline_train.training import open_verifying


def validate(parameters: StageParameters, checkpoint: Path, artifacts: Path = Path("artifacts")) -> dict[str, float]:
    """Measures a checkpoint on the validation faces.

    Args:
        parameters: what faceline_train.KEYS names; network, head and people are the checkpoint's own.
        checkpoint: the file.
        artifacts: its `.scratch` keeps decoded faces.

    Returns:
        val_loss, the metrics that `logging.metrics` lists, and what `Verifying.figures` holds.

    Raises:
        FacelineError: where the checkpoint is missing, or of faces of another size than img_size.
    """
    recogniser, content = load_recogniser(checkpoint)
    if recogniser.img_size != parameters.img_size:
        raise FacelineError(
            f"{checkpoint} takes faces of {recogniser.img_size} px, img_size is {parameters.img_size}. "
            f"Set img_size: {recogniser.img_size} and run preprocess again"
        )
    faces = open_faces(parameters.dataset, parameters.img_size, recogniser.classes, parameters.seed)
    shared = artifacts / ".scratch"
    trial = RecogniserTrial(recogniser, parameters.batch_size)
    precision = decide(trial, parameters.trainer, shared / "precision.json", "train")
    trainer = build_trainer(parameters.trainer, precision, 1, [], refresh_rate=parameters.logging.refresh_rate)
    augmentation = Augmentation(parameters.augment, parameters.seed, parameters.img_size)
    feeding = Feeding(recogniser, faces, augmentation, parameters, precision, shared, shared)
    say(
        "train", f"{size_line(recogniser)}, {device_line(trainer, precision)}, epoch {content['epoch']} of {checkpoint}"
    )
    verifying = open_verifying(parameters, faces[1], matcher=recogniser.matcher is not None)
    classifier = Classifier(recogniser, parameters, verifying=verifying)
    (figures,) = trainer.validate(classifier, datamodule=feeding, verbose=False)
    over_folds = {} if verifying is None else verifying.over_folds
    found = ", ".join(f"{name} {value:.4f}" for name, value in figures.items() if name not in over_folds)
    say("train", f"{len(faces[1])} validation faces: {found}")
    for name, accuracy in over_folds.items():
        say("train", f"{name} over {FOLDS} folds: {accuracy.described()}")
    return dict(figures)
