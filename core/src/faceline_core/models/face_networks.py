"""The families of networks made for faces: the IR nets, MobileFaceNet and FaceNet."""

from torch import nn

from faceline_core.errors import FacelineError
from faceline_core.models.facts import HALF, IMAGENET, Facts, Normalisation
from faceline_core.models.ir import UNITS, IRNet
from faceline_core.models.mobilefacenet import MobileFaceNet

CONSTRUCTORS = {
    **{name: f"ir/{name}" for name in UNITS},
    "mobilefacenet": "mobilefacenet",
    "inception_resnet_v1": "facenet/inception_resnet_v1",
}
"""Constructors by the names that they have outside models.yaml."""
_RELEASE = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"
FACENET_WEIGHTS = {
    "vggface2": f"{_RELEASE}20180402-114759-vggface2.pt",
    "casia-webface": f"{_RELEASE}20180408-102900-casia-webface.pt",
}
"""What facenet-pytorch publishes for inception_resnet_v1, by the faces that it was trained on."""
_FACENET = Normalisation((127.5 / 255,) * 3, (128 / 255,) * 3)
_FACENET_SMALLEST = 75  # px: below, the second reduction has no pixel to start from


def names() -> list[str]:
    return list(CONSTRUCTORS)


def usual_size(network: str) -> int:
    return 160 if network == "inception_resnet_v1" else 112


def facts(network: str, img_size: int) -> Facts:
    """What is known of a face network at a size.

    Raises:
        FacelineError: where it takes no faces of that size.
    """
    if network in UNITS:
        _check_size(network, img_size, img_size % 16 == 0, "faces whose side is a multiple of 16", 112)
        return Facts(IRNet.dim, HALF, None)
    if network == "mobilefacenet":
        _check_size(network, img_size, img_size == 112, "faces of 112 px", 112)
        return Facts(MobileFaceNet.dim, IMAGENET, None)
    from faceline_core.models.facenet import FaceNet

    smallest = _FACENET_SMALLEST
    _check_size(network, img_size, img_size >= smallest, f"faces of {smallest} px and more", 160)
    return Facts(FaceNet.dim, _FACENET, FACENET_WEIGHTS["vggface2"])


def build(network: str, img_size: int) -> nn.Module:
    if network in UNITS:
        return IRNet(UNITS[network], img_size)
    if network == "mobilefacenet":
        return MobileFaceNet()
    from faceline_core.models.facenet import FaceNet

    return FaceNet()


def _check_size(network: str, img_size: int, fits: bool, takes: str, usual: int) -> None:
    if not fits:
        raise FacelineError(
            f"model_name: {network} takes {takes}, img_size is {img_size}. "
            f"Set img_size: {usual} and run preprocess again"
        )
