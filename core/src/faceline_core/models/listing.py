"""The table of networks that `faceline-train --models` shows."""

from pathlib import Path

from faceline_core.errors import FacelineError
from faceline_core.models import face_networks, torchvision_networks
from faceline_core.models.backbones import CATALOGUE, Backbone, family_of, find_backbone
from faceline_core.models.catalogue import Entry, read_catalogue
from faceline_core.models.face_networks import FACENET_WEIGHTS
from faceline_core.models.probing import measures

_TITLES = ("model_name", "img_size", "features", "M params", "GMACs", "weights: pretrained")


def describe_models(catalogue: Path = CATALOGUE) -> list[str]:
    """A line for each network of the catalogue, and one that says which further names `model_name` takes.

    Args:
        catalogue: models.yaml; where it is not there, the face networks are listed.

    Raises:
        FacelineError: where the catalogue does not do.
    """
    own = {name: Entry(constructor=constructor) for name, constructor in face_networks.CONSTRUCTORS.items()}
    rows = [_row(name, entry, catalogue) for name, entry in (read_catalogue(catalogue) or own).items()]
    widths = [max(len(row[column]) for row in [_TITLES, *rows] if len(row) > 2) for column in range(len(_TITLES))]
    return [
        *(_line(row, widths) for row in [_TITLES, *rows]),
        "",
        f"model_name also takes the {len(torchvision_networks.names())} classification networks of torchvision by "
        f"their names, timm/<name> for those of timm, and {', '.join(face_networks.names())}. "
        f"Names of your own: {catalogue}",
    ]


def _row(name: str, entry: Entry, catalogue: Path) -> tuple[str, ...]:
    try:
        family, network = family_of(entry.constructor)
        usual = family.usual_size(network)
        img_size = entry.img_size or usual
        backbone = find_backbone(name, img_size, catalogue)
        found = measures(name, lambda size: family.build(network, size), img_size, usual)
    except FacelineError as error:
        return (name, str(error))
    figures = (f"{found.parameters / 1e6:.2f}", f"{found.macs / 1e9:.2f}")
    return (name, str(img_size), str(found.dim), *figures, _weights(backbone))


def _weights(backbone: Backbone) -> str:
    if backbone.constructor == "facenet/inception_resnet_v1" and backbone.weights in FACENET_WEIGHTS.values():
        return "vggface2 (or weights: casia-webface)"
    if backbone.weights is None:
        return "-"
    return {"timm": "of timm's hub"}.get(backbone.weights, backbone.weights.rsplit("/", 1)[-1])


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    if len(row) == 2:  # a fault instead of figures
        return f"{row[0]:<{widths[0]}}  {row[1]}"
    name, *numbers, weights = row
    cells = [f"{name:<{widths[0]}}", *(f"{text:>{width}}" for text, width in zip(numbers, widths[1:-1], strict=True))]
    return "  ".join([*cells, weights])
