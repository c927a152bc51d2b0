"""Where a backbone's first weights come from: nowhere, its publisher, or a file."""

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from torch import Tensor, nn

from faceline_core.errors import FacelineError, nearest
from faceline_core.models.backbones import Backbone
from faceline_core.models.face_networks import FACENET_WEIGHTS
from faceline_core.tensors.downloading import downloaded
from faceline_core.tensors.matching import Match, match, state_dicts
from faceline_core.tensors.tensor_file import read_tensor_file

_ENOUGH = 0.9
"""Part of a network's tensors that weights have to fit."""
_TORCHVISION = "https://download.pytorch.org/models/"
"""There `mobilenet_v3_small-047dcff4.pth` carries the start of its SHA-256."""
_WORDS = ("none", "pretrained", *FACENET_WEIGHTS)


@dataclass(frozen=True)
class Loaded:
    """What became of `weights`."""

    line: str
    """For the console: the file, how many tensors, and which did not fit."""
    channel_order: Literal["rgb", "bgr"] | None
    """Order of the channels that the weights were trained on; None where nothing says so: leave it as it is."""


def load_backbone_weights(network: nn.Module, backbone: Backbone, weights: str, cache: Path, strict: bool) -> Loaded:
    """Loads what `weights` names into a network, in place.

    Args:
        network: as `backbone` builds it.
        backbone: what it is.
        weights: `none`, `pretrained`, `vggface2` or `casia-webface` (of inception_resnet_v1), or a file: a state dict
            or a checkpoint that holds one, .pth, .pt, .ckpt or .safetensors; a URL of one does as well.
        cache: the folder in which downloaded weights are kept.
        strict: whether weights of which fewer than 90 % fit are an error.

    Raises:
        FacelineError: where the file is missing, damaged, holds no weights or too few that fit, and where weights
            cannot be downloaded; the message says what did not fit, or which file to put where.
    """
    if weights == "none":
        return Loaded("weights from scratch", None)
    source = _source(backbone, weights)
    content: Any
    if source == "timm" and backbone.constructor.startswith("timm/"):
        from faceline_core.models.timm_networks import pretrained

        where, content = pretrained(backbone.constructor.removeprefix("timm/"), backbone.img_size, cache)
    else:
        path = _file(source, cache)
        where, content = str(path), read_tensor_file(path)
    found = _best_match(network, backbone, content, where)
    if strict and found.share < _ENOUGH:
        raise FacelineError(
            f"weights: {where} fits {len(found.fitting)} of {found.total} tensors of {backbone.name}, which is less "
            "than 90 %. Set model_name to the network they are of, weights: none, or weights_strict: false "
            f"({found.misfits()})"
        )
    _put_in(network, found.fitting)
    misfits = found.misfits()
    line = f"weights from {where}, {len(found.fitting)} of {found.total} tensors" + (f" ({misfits})" if misfits else "")
    return Loaded(line, _channel_order(backbone, content) if found.fitting else None)


def _source(backbone: Backbone, weights: str) -> str:
    """A URL, a file, or `timm`."""
    source = weights
    if weights == "pretrained":
        if backbone.weights is None:
            raise FacelineError(
                f"weights: pretrained, but nobody publishes any for {backbone.name}. Set weights: none, or a file"
            )
        source = backbone.weights
    if source in FACENET_WEIGHTS:
        if backbone.constructor != "facenet/inception_resnet_v1":
            raise FacelineError(
                f"weights: {source} are of inception_resnet_v1, model_name is {backbone.name}. "
                "Set model_name: inception_resnet_v1, or other weights"
            )
        source = FACENET_WEIGHTS[source]
    return source


def _file(source: str, cache: Path) -> Path:
    if urlsplit(source).scheme in ("http", "https"):
        known = source.startswith(_TORCHVISION)
        return downloaded(source, cache, Path(source).stem.rsplit("-", 1)[1] if known else "")
    path = Path(source)
    if not path.is_file():
        hint = f" ({near})" if (near := nearest(source, _WORDS)).startswith("did") else ""
        raise FacelineError(f"weights: {path} is not there{hint}. Put the file there, or set weights: none")
    return path


def _best_match(network: nn.Module, backbone: Backbone, content: Any, where: str) -> Match:
    own = network.state_dict()
    matches = [match(own, _adapted(backbone, state)) for state in state_dicts(content)]
    if not matches:
        raise FacelineError(
            f"weights: {where} holds no tensors. Give a state dict, or a checkpoint with one "
            "(of a model that was pickled whole nothing is read: save its state_dict())"
        )
    return max(matches, key=lambda found: len(found.fitting))


def _adapted(backbone: Backbone, state: dict[str, Tensor]) -> dict[str, Tensor]:
    family, _, name = backbone.constructor.partition("/")
    if family != "torchvision":
        return state
    from faceline_core.models.torchvision_networks import adapted

    return adapted(name, backbone.img_size, state)


def _put_in(network: nn.Module, fitting: dict[str, Tensor]) -> None:
    state = OrderedDict(fitting)
    state._metadata = network.state_dict()._metadata  # type: ignore[attr-defined] # networks look up their version in it
    network.load_state_dict(state, strict=False)


def _channel_order(backbone: Backbone, content: Any) -> Literal["rgb", "bgr"] | None:
    """What a checkpoint of Faceline's recorded; weights of IR nets from elsewhere are published for BGR (AdaFace)."""
    recorded = content.get("normalisation") if isinstance(content, dict) else None
    if isinstance(recorded, dict) and recorded.get("channel_order") in ("rgb", "bgr"):
        return "bgr" if recorded["channel_order"] == "bgr" else "rgb"
    return "bgr" if backbone.constructor.startswith("ir/") and not backbone.order_declared else None
