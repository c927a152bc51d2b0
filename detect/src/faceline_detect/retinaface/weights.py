"""Where a RetinaFace's first weights come from: nowhere, ImageNet, or a file."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from faceline_core.errors import FacelineError, nearest
from faceline_core.tensors.downloading import downloaded
from faceline_core.tensors.matching import Match, match, state_dicts
from faceline_core.tensors.tensor_file import read_tensor_file
from faceline_detect.retinaface.checkpoint import backbone_of, fill, is_checkpoint
from faceline_detect.retinaface.network import RetinaFace

_ENOUGH = 0.9
"""Part of the tensors that weights have to fit."""
_IMAGENET_STD = (0.225, 0.224, 0.229)
"""Of blue, green and red in [0, 1]; ImageNet's mean is BGR_MEAN to half a grey level."""


def load_weights(network: RetinaFace, weights: str, cache: Path) -> str:
    """Loads what `detect.retinaface.weights` names into a network, in place.

    Args:
        network: fresh.
        weights: `none`; `pretrained`: the body of resnet50, torchvision's of ImageNet; or a file, .pth, .pt, .ckpt or
            .safetensors: a checkpoint of Faceline's RetinaFace, a RetinaFace's state dict, or a body's alone, for
            which resnet50's is taken to be for RGB in ImageNet's normalisation, as torchvision's are.
        cache: the folder in which downloaded weights are kept.

    Returns:
        A line for the console: the file, how many tensors, and which did not fit.

    Raises:
        FacelineError: where the file is missing, damaged, of the other backbone or of another RetinaFace, where fewer
            than 90 % of its tensors fit, and where weights cannot be downloaded.
    """
    if weights == "none":
        return "weights from scratch"
    path = _pretrained(network, cache) if weights == "pretrained" else Path(weights)
    if not path.is_file():
        hint = f" ({near})" if (near := nearest(weights, ("none", "pretrained"))).startswith("did") else ""
        raise FacelineError(
            f"detect.retinaface.weights: {path} is not there{hint}. Put the file there, or set weights: none"
        )
    content = read_tensor_file(path)
    if is_checkpoint(content):
        fill(network, content, path)
        return f"weights from {path}, a RetinaFace of {network.backbone}"
    what, found = _best(network, content, path)
    if what == "its body":
        found = _for_our_colours(network, found)
    network.load_state_dict(found.fitting, strict=False)
    misfits = found.misfits()
    return f"weights from {path}, {len(found.fitting)} of {found.total} tensors of {what}" + (
        f" ({misfits})" if misfits else ""
    )


def _pretrained(network: RetinaFace, cache: Path) -> Path:
    if network.backbone != "resnet50":
        raise FacelineError(
            "detect.retinaface.weights: pretrained is there for backbone resnet50 alone. Set weights: none, or a file"
        )
    from torchvision.models import ResNet50_Weights

    url = ResNet50_Weights.DEFAULT.url
    return downloaded(url, cache, Path(url).stem.rsplit("-", 1)[1])  # the name carries the start of its SHA-256


def _best(network: RetinaFace, content: Any, path: Path) -> tuple[str, Match]:
    """What of a file fits, and what it is of: the whole network, or its body."""
    states = list(state_dicts(content))
    other = next((name for name in map(backbone_of, states) if name), network.backbone)
    if other != network.backbone:
        raise FacelineError(
            f"detect.retinaface.weights: {path} is of backbone {other}, and backbone is {network.backbone}. "
            f"Set detect.retinaface.backbone: {other}, or give another file"
        )
    own = network.state_dict()
    body = {name: tensor for name, tensor in own.items() if name.startswith("body.")}
    whole = max((match(own, state) for state in states), key=lambda one: one.share, default=None)
    if whole is None:
        raise FacelineError(f"detect.retinaface.weights: {path} holds no tensors. Give a state dict, or a checkpoint")
    if whole.share >= _ENOUGH:
        return "the network", whole
    bare = {name.removeprefix("body."): tensor for name, tensor in body.items()}
    alone = max((match(bare, state) for state in states), key=lambda one: one.share)
    if alone.share >= _ENOUGH:
        named = {f"body.{name}": tensor for name, tensor in alone.fitting.items()}
        return "its body", Match(named, alone.missing, alone.other_shape, alone.left_over, alone.total)
    raise FacelineError(
        f"detect.retinaface.weights: {path} fits {len(whole.fitting)} of {whole.total} tensors of a RetinaFace of "
        f"{network.backbone}, which is less than 90 %, and not its body alone either. Give another file, or set "
        f"weights: none ({whole.misfits()})"
    )


def _for_our_colours(network: RetinaFace, found: Match) -> Match:
    """ResNet-50's first convolution as it has to be for BGR of 0 to 255 instead of normalised RGB."""
    name = "body.conv1.weight"
    if network.backbone != "resnet50" or name not in found.fitting:
        return found
    scale: Tensor = 255 * torch.tensor(_IMAGENET_STD)[:, None, None]
    return Match(
        found.fitting | {name: found.fitting[name].flip(1) / scale},
        found.missing,
        found.other_shape,
        found.left_over,
        found.total,
    )
