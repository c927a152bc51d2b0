"""Where a backbone's first weights come from: nowhere, its publisher, or a file."""

from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn

from faceline_core.errors import FacelineError
from faceline_core.models.backbones import find_backbone
from faceline_core.models.tensor_file import read_tensor_file

_WRAPPERS = ("state_dict", "model_state_dict")
_PREFIXES = ("recogniser.backbone.", "backbone.", "model.", "module.")


def load_backbone_weights(backbone: nn.Module, model_name: str, img_size: int, weights: str, cache: Path) -> str:
    """Loads what `weights` names into a backbone, in place.

    Args:
        backbone: the network, as its catalogue entry builds it.
        model_name: its name in the catalogue.
        img_size: side of the faces in px.
        weights: `none`, `pretrained`, or a file that holds a state dict or a checkpoint with one.
        cache: the folder in which downloaded weights are kept.

    Returns:
        A line that says what was loaded.

    Raises:
        FacelineError: where the file is missing, holds no weights or not all of the network, and where
            `pretrained` cannot be downloaded; the message says which file to put where.
    """
    if weights == "none":
        return "weights from scratch"
    if weights == "pretrained":
        path = _downloaded(model_name, img_size, cache)
    else:
        path = Path(weights)
        if not path.is_file():
            raise FacelineError(f"weights: {path} is not there. Put the file there, or set weights: none")
    state = read_state_dict(path)
    own = backbone.state_dict()
    fitting = {name: tensor for name, tensor in state.items() if name in own and own[name].shape == tensor.shape}
    if any(name not in fitting for name in own if not name.endswith("num_batches_tracked")):
        raise FacelineError(
            f"weights: {path} fits {len(fitting)} of {len(own)} tensors of {model_name}: {_misfits(own, state)}. "
            "Set model_name to the network they are of, or weights: none"
        )
    backbone.load_state_dict({**own, **fitting})
    return f"weights from {path}, {len(fitting)} of {len(own)} tensors"


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a backbone in a PyTorch file, by name; nothing in the file is executed.

    A dict under `state_dict` is unwrapped, and the prefix that a wrapper put before each name is taken off.
    """
    content: Any = read_tensor_file(path)
    while isinstance(content, dict) and (wrapper := next((key for key in _WRAPPERS if key in content), None)):
        content = content[wrapper]
    tensors = (
        {name: value for name, value in content.items() if isinstance(value, Tensor)}
        if isinstance(content, dict)
        else {}
    )
    if not tensors:
        raise FacelineError(f"weights: {path} holds no tensors. Give a state dict, or a checkpoint with one")
    for prefix in _PREFIXES:
        if any(name.startswith(prefix) for name in tensors):
            return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    return tensors


def _downloaded(model_name: str, img_size: int, cache: Path) -> Path:
    url = find_backbone(model_name, img_size).weights_url
    if url is None:
        raise FacelineError(
            f"weights: pretrained, but nobody publishes any for {model_name}. Set weights: none, or a file"
        )
    path = cache / url.rsplit("/", 1)[1]
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), _hash_in(path.name), progress=False)
        except (URLError, TimeoutError, ConnectionError, RuntimeError) as error:
            raise FacelineError(
                f"weights: pretrained could not be fetched from {url} ({error}). Fetch the file elsewhere and put it "
                f"at {path}, or set weights: <the file>"
            ) from None
    return path


def _hash_in(name: str) -> str:
    """`mobilenet_v3_small-047dcff4.pth` carries the first eight hex digits of its SHA-256."""
    return name.rsplit("-", 1)[1].removesuffix(".pth")


def _misfits(own: dict[str, Tensor], state: dict[str, Tensor]) -> str:
    missing = [name for name in own if name not in state]
    other_shape = [name for name in own if name in state and own[name].shape != state[name].shape]
    left_over = [name for name in state if name not in own]
    lists = (("missing", missing), ("of another shape", other_shape), ("left over", left_over))
    return ", ".join(f"{len(names)} {what} (first: {names[0]})" for what, names in lists if names)
