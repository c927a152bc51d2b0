"""The file a recogniser is kept in: plain tensors, numbers and strings, read without running any code."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from faceline_core import __version__
from faceline_core.errors import FacelineError
from faceline_core.models.recogniser import Recogniser
from faceline_core.models.tensor_file import read_tensor_file
from faceline_core.stage.files import written_beside

FORMAT = "faceline-recogniser"
VERSION = 1


def save_checkpoint(path: Path, recogniser: Recogniser, **training: Any) -> None:
    """Writes a checkpoint in one step.

    Args:
        path: the file.
        recogniser: its weights, classes, backbone, size and normalisation are kept.
        **training: what else is kept: epoch, best_val_acc, optimizer and scheduler state, parameters, data hash.
            Nothing but tensors, numbers, strings, None, lists and dicts.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "faceline": __version__,
        "state_dict": recogniser.state_dict(),
        "model_name": recogniser.model_name,
        "head": "softmax",
        "img_size": recogniser.img_size,
        "classes": recogniser.classes,
        "normalisation": asdict(recogniser.normalisation),
        **training,
    }
    with written_beside(path) as beside, beside.open("wb") as file:  # given a path, torch hides that the disk is full
        torch.save(content, file)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content on the CPU.

    Raises:
        FacelineError: where the file is missing, is no checkpoint of Faceline's, or is of another version.
    """
    if not path.is_file():
        raise FacelineError(f"{path} is not there. Train a recogniser first: dvc repro train")
    content: Any = read_tensor_file(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FacelineError(f"{path} is not a checkpoint of Faceline's. Train one: dvc repro train")
    if content["version"] != VERSION:
        raise FacelineError(
            f"{path} is a checkpoint of version {content['version']}, this Faceline reads version {VERSION}. "
            f"Train again, or use the Faceline that wrote it ({content['faceline']})"
        )
    return dict(content)


def load_recogniser(path: Path) -> tuple[Recogniser, dict[str, Any]]:
    """The recogniser of a checkpoint in eval mode on the CPU, and the checkpoint's content.

    Raises:
        FacelineError: as `read_checkpoint`, and where the weights do not fit the network that it names.
    """
    content = read_checkpoint(path)
    recogniser = Recogniser(content["model_name"], content["img_size"], content["classes"])
    try:
        recogniser.load_state_dict(content["state_dict"])
    except RuntimeError:
        raise FacelineError(f"{path}: its weights do not fit {content['model_name']}. Train again") from None
    if content["normalisation"] != asdict(recogniser.normalisation):
        raise FacelineError(
            f"{path} was trained with another normalisation than {content['model_name']} has. Train again"
        )
    return recogniser.eval(), content
