"""The file a RetinaFace is kept in: its weights, and all that they are of no use without."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from faceline_core import __version__
from faceline_core.errors import FacelineError
from faceline_core.stage.files import written_beside
from faceline_core.tensors.matching import match, state_dicts
from faceline_core.tensors.tensor_file import read_tensor_file
from faceline_detect.retinaface.coding import CENTRE, SIZE
from faceline_detect.retinaface.grid import SIZES, STRIDES
from faceline_detect.retinaface.network import BGR_MEAN, RetinaFace
from faceline_detect.retinaface.searching import Search

FORMAT, VERSION = "faceline-retinaface", 1


def save(path: Path, network: RetinaFace, search: Search, **training: Any) -> None:
    """Writes a checkpoint in one step.

    Args:
        path: the file.
        network: its weights, and what it is, are kept.
        search: how faces are to be searched with it.
        **training: what else is kept (side, epoch, parameters, ...): tensors, numbers, strings, None, lists, dicts.
    """
    content = {"format": FORMAT, "version": VERSION, "faceline": __version__, **describe(network)}
    content |= {"search": asdict(search), "state_dict": network.state_dict(), **training}
    with written_beside(path) as beside, beside.open("wb") as file:
        torch.save(content, file)


def describe(network: RetinaFace) -> dict[str, Any]:
    """What has to agree between a network and weights besides their names and shapes."""
    return {
        "backbone": network.backbone,
        "anchors": {"strides": list(STRIDES), "sizes": [list(sizes) for sizes in SIZES]},
        "coding": {"centre": CENTRE, "size": SIZE},
        "activation": {"body_slope": network.body.slope, "slope": network.slope},
        "normalisation": {"channel_order": "bgr", "mean": list(BGR_MEAN)},
    }


def load_retinaface(path: Path, backbone: str | None = None) -> tuple[RetinaFace, dict[str, Any]]:
    """A RetinaFace to search with as it is, in eval mode on the CPU, and what its file says of it.

    Bare weights, as others publish them, do not say which anchors, activations and colours they were trained for: those
    of the original (github.com/biubug6/Pytorch_Retinaface) are taken for granted.

    Args:
        path: what `save` wrote, or a file with a state dict; `module.` or the like may stand before its names.
        backbone: which it should be; None takes what it is.

    Returns:
        The network, and the checkpoint's content; {} of bare weights.

    Raises:
        FacelineError: where the file is missing, damaged, of another backbone, not a whole RetinaFace, or a checkpoint
            made for other anchors, activations, coding or colours than the network here has.
    """
    if not path.is_file():
        raise FacelineError(f"{path} is not there. Train a detector first: dvc repro detect")
    content = read_tensor_file(path)
    if is_checkpoint(content):
        _check_version(content, path)
        network = RetinaFace(backbone or content["backbone"])
        fill(network, content, path)
        return network.eval(), content
    states = list(state_dicts(content))
    found = next((name for name in map(backbone_of, states) if name), None)
    if found is None:
        raise FacelineError(f"{path} holds no RetinaFace. Give a checkpoint of Faceline's, or published weights of one")
    if backbone not in {None, found}:
        raise FacelineError(
            f"{path} is a RetinaFace with backbone {found}, and this one has {backbone}. Set "
            f"detect.retinaface.backbone: {found}, or give another file"
        )
    network = RetinaFace(found)
    best = max((match(network.state_dict(), state) for state in states), key=lambda one: len(one.fitting))
    if misfits := best.misfits():
        raise FacelineError(f"{path} is no whole RetinaFace of {found} ({misfits}). Give another, or train on it")
    network.load_state_dict(best.fitting, strict=False)  # BatchNorm's counters may be absent
    return network.eval(), {}


def is_checkpoint(content: Any) -> bool:
    """Whether a file's content was written by `save`."""
    return isinstance(content, dict) and content.get("format") == FORMAT


def fill(network: RetinaFace, content: dict[str, Any], path: Path) -> None:
    """Puts the weights of a checkpoint's content into a network, in place.

    Raises:
        FacelineError: where what the checkpoint says of itself disagrees with the network, or its weights do not fit.
    """
    _check_version(content, path)
    for what, own in describe(network).items():
        if content.get(what) != own:
            raise FacelineError(
                f"{path} is a RetinaFace with {what} {_plain(content.get(what))}, and this one has {_plain(own)}. "
                + (
                    f"Set detect.retinaface.backbone: {content.get(what)}, or give another file"
                    if what == "backbone"
                    else "Train again, or use the Faceline that wrote it"
                )
            )
    try:
        network.load_state_dict(content["state_dict"])
    except (RuntimeError, KeyError):
        raise FacelineError(f"{path}: its weights do not fit a RetinaFace of {network.backbone}. Train again") from None


def backbone_of(state: dict[str, Any]) -> str | None:
    """Which backbone a state dict is of, by its names; None for one of neither."""
    if any(name.endswith("stage1.0.0.weight") for name in state):
        return "mobilenet0.25"
    return "resnet50" if any(name.endswith("layer4.2.conv3.weight") for name in state) else None


def _check_version(content: dict[str, Any], path: Path) -> None:
    if content.get("version") != VERSION:
        raise FacelineError(
            f"{path} is a checkpoint of version {content.get('version')}, this Faceline reads version {VERSION}. "
            f"Train again, or use the Faceline that wrote it ({content.get('faceline')})"
        )


def _plain(value: Any) -> str:
    """Settings in one line: `leaky_slope 0.1`."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    return str(value)
