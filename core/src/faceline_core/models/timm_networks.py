"""timm's networks, each without its classifier."""

from functools import cache
from pathlib import Path
from ssl import SSLError
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import timm
from huggingface_hub import constants, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError
from torch import Tensor, nn

from faceline_core.errors import FacelineError, nearest
from faceline_core.models.facts import IMAGENET, Facts, Normalisation
from faceline_core.models.probing import feature_dim

PUBLISHER = "timm"
"""Stands for a URL where timm's own loader fetches the weights."""
_FILE = "model.safetensors"
_FAILURES: tuple[type[Exception], ...] = (OSError, RuntimeError, *HfHubHTTPError.__bases__)  # bases: its HTTP client
_PATIENCE = 15.0  # s until a hub that does not answer counts as out of reach


def names() -> list[str]:
    return list(timm.list_models())


def usual_size(network: str) -> int:
    _check(network)
    return int(_settings(network).get("input_size", (3, 224, 224))[-1])


@cache
def facts(network: str, img_size: int) -> Facts:
    """What is known of a timm network at a size.

    Raises:
        FacelineError: where there is no such network, or it takes no faces of that size.
    """
    _check(network)
    settings = _settings(network)
    mean, std = settings.get("mean", IMAGENET.mean), settings.get("std", IMAGENET.std)
    published = any(settings.get(place) for place in ("hf_hub_id", "url", "file"))
    dim = feature_dim(f"timm/{network}", lambda size: build(network, size), img_size, usual_size(network))
    return Facts(dim, Normalisation(tuple(mean), tuple(std)), PUBLISHER if published else None)


def build(network: str, img_size: int) -> nn.Module:
    module: nn.Module = timm.create_model(network, num_classes=0, **_size(network, img_size))
    return module


def pretrained(network: str, img_size: int, cache_folder: Path) -> tuple[str, dict[str, Tensor]]:
    """The publisher's weights as timm itself loads them: fitted to the size of the faces, without the classifier.

    Args:
        network: its name, with or without the tag of a training.
        img_size: side of the faces in px.
        cache_folder: where the hub's files are kept; one that is there is not asked for again.

    Returns:
        Where they come from, and the state dict.

    Raises:
        FacelineError: where they cannot be fetched; the message says which file to give instead.
    """
    settings = _settings(network)
    hub, file = settings.get("hf_hub_id"), settings.get("hf_hub_filename") or _FILE
    source = hf_hub_url(hub, file) if hub else str(settings.get("url"))
    overlay: dict[str, Any] = {}
    if hub:
        at_hand = try_to_load_from_cache(hub, file, cache_dir=cache_folder)
        if isinstance(at_hand, str):
            overlay = {"file": at_hand}
    try:
        if not overlay:
            _reach(source)
        module = timm.create_model(
            network,
            pretrained=True,
            num_classes=0,
            cache_dir=str(cache_folder),
            pretrained_cfg_overlay=overlay,
            **_size(network, img_size),
        )
    except _FAILURES as error:
        reason = " ".join(str(error).split())[:150]
        raise FacelineError(
            f"weights: pretrained could not be fetched from {source} ({reason}). "
            "Fetch that file elsewhere, and set weights: <the file>"
        ) from None
    return source, module.state_dict()


def _reach(url: str) -> None:
    """Fails at once where the hub is out of reach: its own client tries for most of a minute."""
    if constants.HF_HUB_OFFLINE or not url.startswith("https://"):
        return
    try:
        with urlopen(Request(url, method="HEAD"), timeout=_PATIENCE):  # noqa: S310
            pass
    except HTTPError:
        pass  # it answered: the rest is for timm's loader to tell
    except URLError as error:
        if not isinstance(error.reason, SSLError):  # its client may have the certificates that urllib lacks
            raise


def _size(network: str, img_size: int) -> dict[str, Any]:
    return {"img_size": img_size} if _settings(network).get("fixed_input_size") else {}


def _check(network: str) -> None:
    if not timm.is_model(network):
        raise FacelineError(f"model_name: timm/{network} is unknown; {_nearest(network, names())}")
    try:
        timm.get_pretrained_cfg(network)
    except RuntimeError:
        tagged = timm.list_models(f"{network.partition('.')[0]}.*", pretrained=True)
        raise FacelineError(f"model_name: timm/{network} has an unknown tag; {_nearest(network, tagged)}") from None


def _nearest(network: str, known: list[str]) -> str:
    """As one types them."""
    return nearest(f"timm/{network}", [f"timm/{name}" for name in known])


def _settings(network: str) -> dict[str, Any]:
    """What timm knows of the network's published weights; empty where there are none."""
    found = timm.get_pretrained_cfg(network)
    return dict(vars(found)) if found else {}
