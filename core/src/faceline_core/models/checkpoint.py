"""The file a recogniser is kept in: plain tensors, numbers and strings, read without running any code."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from faceline_core import __version__
from faceline_core.errors import FacelineError
from faceline_core.models.backbones import backbone_from_dict
from faceline_core.models.heads import Margin
from faceline_core.models.recogniser import Parts, Recogniser
from faceline_core.stage.files import written_beside
from faceline_core.tensors.tensor_file import read_tensor_file

FORMAT, HEAD_FORMAT = "faceline-recogniser", "faceline-head"
VERSION = 3
_WITHOUT_PARTS = 2
"""A version that is read as well: of recognisers that have neither matcher nor occlusion head."""


def save_checkpoint(path: Path, recogniser: Recogniser, **training: Any) -> None:
    """Writes a checkpoint in one step.

    Args:
        path: the file.
        recogniser: its weights, classes, backbone, head, size and normalisation are kept.
        **training: what else is kept: epoch, best, monitor, parameters, data_sha256, person_embeddings,
            score_statistics, resume. Nothing but tensors, numbers, strings, None, lists and dicts.
    """
    write_checkpoint(path, {**describe(recogniser), "state_dict": recogniser.state_dict(), **training})


def save_head(path: Path, recogniser: Recogniser) -> None:
    """Writes the head alone, to be put on a fresh backbone of the same kind: `load_head`."""
    write_checkpoint(path, describe(recogniser) | {"format": HEAD_FORMAT, "state_dict": recogniser.head.state_dict()})


def describe(recogniser: Recogniser) -> dict[str, Any]:
    """What a checkpoint says of its recogniser, besides the weights: enough to build it again without models.yaml."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "faceline": __version__,
        "model_name": recogniser.model_name,
        "backbone": recogniser.spec.as_dict(),
        "head": recogniser.head_name,
        "loss": asdict(recogniser.margin),
        "parts": asdict(recogniser.parts),
        "img_size": recogniser.img_size,
        "classes": recogniser.classes,
        "normalisation": asdict(recogniser.normalisation),
    }


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Writes a checkpoint's content in one step."""
    with written_beside(path) as beside, beside.open("wb") as file:  # given a path, torch hides that the disk is full
        torch.save(content, file)


def read_checkpoint(path: Path, kinds: tuple[str, ...] = (FORMAT,)) -> dict[str, Any]:
    """A checkpoint's content on the CPU.

    Raises:
        FacelineError: where the file is missing, is no checkpoint of Faceline's, or is of another version.
    """
    if not path.is_file():
        raise FacelineError(f"{path} is not there. Train a recogniser first: dvc repro train")
    content: Any = read_tensor_file(path)
    if not isinstance(content, dict) or content.get("format") not in (FORMAT, HEAD_FORMAT):
        raise FacelineError(f"{path} is not a checkpoint of Faceline's. Train one: dvc repro train")
    if content["version"] not in (_WITHOUT_PARTS, VERSION):
        raise FacelineError(
            f"{path} is a checkpoint of version {content['version']}, this Faceline reads version {VERSION}. "
            f"Train again, or use the Faceline that wrote it ({content['faceline']})"
        )
    if content["format"] not in kinds:
        raise FacelineError(f"{path} holds a head alone. Give best_model.pth or final_model.pth, which lie beside it")
    return dict(content)


def load_recogniser(path: Path) -> tuple[Recogniser, dict[str, Any]]:
    """The recogniser of a checkpoint in eval mode on the CPU, and the checkpoint's content.

    Raises:
        FacelineError: as `read_checkpoint`, and where the weights do not fit the network that it names.
    """
    content = read_checkpoint(path)
    recogniser = Recogniser(
        content["model_name"],
        content["img_size"],
        content["classes"],
        head=content["head"],
        margin=Margin(**content["loss"]),
        backbone=backbone_from_dict(content["backbone"]),
        parts=Parts(**content.get("parts", {})),
    )
    recogniser.see_channels_as(content["normalisation"]["channel_order"])
    try:
        recogniser.load_state_dict(content["state_dict"])
    except RuntimeError:
        raise FacelineError(f"{path}: its weights do not fit {content['model_name']}. Train again") from None
    if content["normalisation"] != asdict(recogniser.normalisation):
        raise FacelineError(
            f"{path} was trained with another normalisation than {content['model_name']} has. Train again"
        )
    return recogniser.eval(), content


def load_head(recogniser: Recogniser, path: Path) -> None:
    """Puts a head that `save_head` wrote on a recogniser, in place.

    Raises:
        FacelineError: where it is of another kind, of other people or of another width than the recogniser's.
    """
    content = read_checkpoint(path, (HEAD_FORMAT,))
    for what, own in (("head", recogniser.head_name), ("classes", recogniser.classes)):
        if content[what] != own:
            raise FacelineError(f"{path} has other {what} than this run. Set {what} as it was trained, or train anew")
    state: dict[str, Tensor] = content["state_dict"]
    misfits = [name for name, own in recogniser.head.state_dict().items() if state[name].shape != own.shape]
    if misfits:
        raise FacelineError(
            f"{path} is a head for {content['model_name']}, whose embeddings have another length than "
            f"{recogniser.model_name}'s ({recogniser.dim}). Set model_name: {content['model_name']}"
        )
    recogniser.head.load_state_dict(state)
