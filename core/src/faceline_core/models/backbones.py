"""The backbones that `model_name` names: what each takes and gives, how it is built, where its weights come from."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from faceline_core.errors import FacelineError, nearest
from faceline_core.models.catalogue import Entry, read_catalogue
from faceline_core.models.facts import Facts, Normalisation

__all__ = ["CATALOGUE", "Backbone", "Normalisation", "backbone_from_dict", "family_of", "find_backbone"]
CATALOGUE = Path("models.yaml")


class Family(Protocol):
    """Networks that are built, and known of, in one way."""

    def names(self) -> list[str]: ...

    def usual_size(self, network: str) -> int: ...

    def facts(self, network: str, img_size: int) -> Facts: ...

    def build(self, network: str, img_size: int) -> nn.Module: ...


@dataclass(frozen=True)
class Backbone:
    """A network from normalised faces (N, 3, S, S) to features (N, dim): embeddings before they get unit length."""

    name: str
    constructor: str
    """ir/<name>, mobilefacenet, facenet/inception_resnet_v1, torchvision/<name>, or timm/<name>."""
    img_size: int
    """S, the side in px that it is built for."""
    dim: int
    normalisation: Normalisation
    weights: str | None = None
    """What `weights: pretrained` takes: a URL, a file, or `timm` for timm's own loader; None where there are none."""
    order_declared: bool = False
    """Whether models.yaml says in which order the network sees the channels: weights do not change it then."""

    def build(self) -> nn.Module:
        """The network, freshly initialised."""
        family, network = family_of(self.constructor)
        return family.build(network, self.img_size)

    def as_dict(self) -> dict[str, Any]:
        """Plain strings, numbers and lists, for a checkpoint."""
        plain = asdict(self)
        plain["normalisation"] |= {key: list(plain["normalisation"][key]) for key in ("mean", "std")}
        return plain


def backbone_from_dict(plain: dict[str, Any]) -> Backbone:
    """The backbone that `as_dict` wrote down; models.yaml is not asked."""
    seen = plain["normalisation"]
    normalisation = Normalisation(tuple(seen["mean"]), tuple(seen["std"]), seen["channel_order"])
    return Backbone(**{**plain, "normalisation": normalisation})


def find_backbone(name: str, img_size: int, catalogue: Path = CATALOGUE) -> Backbone:
    """The backbone of that name, for faces of that size.

    Args:
        name: an entry of the catalogue, or a name that a family has for itself: ir_50, resnet18, timm/<name>, ...
        img_size: side of the faces in px; the catalogue's is what its weights were trained on, and does not decide.
        catalogue: models.yaml; where it is not there, only the families' own names are known.

    Raises:
        FacelineError: where there is none (the nearest names are given), where it takes no faces of that size, or
            where the catalogue does not do.
    """
    entries = read_catalogue(catalogue)
    entry = entries.get(name) or Entry(constructor=_own_constructor(name, entries))
    family, network = family_of(entry.constructor)
    facts = family.facts(network, img_size)
    declared = facts.normalisation
    return Backbone(
        name,
        entry.constructor,
        img_size,
        facts.dim,
        Normalisation(entry.mean or declared.mean, entry.std or declared.std, entry.channel_order or "rgb"),
        facts.weights if entry.weights in (None, "publisher") else entry.weights,
        entry.channel_order is not None,
    )


def family_of(constructor: str) -> tuple[Family, str]:
    """The family of a constructor, and the network's name within it; timm is imported only for its own.

    Raises:
        FacelineError: where there is no such constructor among the face networks; the other families tell it later.
    """
    family, _, network = constructor.partition("/")
    if family == "timm":
        from faceline_core.models import timm_networks

        return timm_networks, network
    if family == "torchvision":
        from faceline_core.models import torchvision_networks

        return torchvision_networks, network
    from faceline_core.models import face_networks

    known = face_networks.CONSTRUCTORS.values()
    if constructor not in known:
        raise FacelineError(f"constructor: {constructor} is unknown; {nearest(constructor, known)}")
    return face_networks, network or family


def _own_constructor(name: str, entries: dict[str, Entry]) -> str:
    if name.startswith("timm/"):
        return name
    from faceline_core.models import face_networks, torchvision_networks

    if name in face_networks.CONSTRUCTORS:
        return face_networks.CONSTRUCTORS[name]
    if name in torchvision_networks.names():
        return f"torchvision/{name}"
    known = dict.fromkeys([*entries, *face_networks.names(), *torchvision_networks.names()])
    raise FacelineError(
        f"model_name: {name} is unknown; {nearest(name, known)} (timm's networks are timm/<name>; all: "
        "faceline-train --models)"
    )
