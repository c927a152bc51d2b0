"""albumentations transforms by name, as params.yaml lists them, checked before the first face.

albumentations only warns of an argument that it does not know, and of a value that it puts right by itself; here both
are errors. A transform that needs more than a face, or gives something else back, shows at once: each is tried.
"""

import warnings
from collections.abc import Sequence
from inspect import signature
from typing import Any

import albumentations
import cv2
import numpy as np
from albumentations.augmentations.crops.transforms import CropSizeError
from pydantic import ValidationError

from faceline_core.errors import FacelineError, nearest
from faceline_train.low_quality import LowResolution, PastedCrop

Transform = albumentations.BasicTransform | albumentations.BaseCompose

_ALTERNATIVES = (albumentations.OneOf, albumentations.OneOrOther, albumentations.RandomOrder, albumentations.SomeOf)
_SEQUENCES = (albumentations.Sequential, albumentations.SelectiveChannelTransform)
_NO_TRANSFORMS = (albumentations.BasicTransform, albumentations.DualTransform, albumentations.ImageOnlyTransform)
_NOT_IN_YAML = ("self", "strict", "first", "second")
_ADVICE = ".*(special case|specialized version|is an alias|very slow)"
"""albumentations recommends another transform: of its warnings the only ones that say nothing against this one."""
_TRIALS = 4
_REFUSALS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    UserWarning,
    ValueError,
    CropSizeError,
    cv2.error,
)
"""What albumentations, numpy and cv2 raise where a value makes no sense to them."""


def transforms_by_name(listed: Sequence[dict[str, Any]], place: str, img_size: int) -> list[Transform]:
    """The transforms of a list.

    Args:
        listed: each {name: <class of albumentations, PastedCrop or LowResolution>, <argument>: <value>, ...}. OneOf,
            OneOrOther, RandomOrder, SomeOf, Sequential and SelectiveChannelTransform hold a list of their own in
            `transforms`.
        place: where the list stands, for messages.
        img_size: side of the faces in px.

    Raises:
        FacelineError: where a name or an argument is unknown (the nearest are given), where albumentations refuses a
            value or warns of it, and where a transform needs more than a face or does not keep its size and uint8.
    """
    return [_built(entry, f"{place}[{i}]", img_size, tried=True) for i, entry in enumerate(listed)]


def _built(entry: Any, place: str, img_size: int, tried: bool) -> Transform:
    """One transform; `tried` where it must keep the face's size by itself: steps of a Sequential need not."""
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str):
        raise FacelineError(f"{place} should be {{name: <a transform>, <its argument>: <value>, ...}}, found {entry!r}")
    known = _known()
    if name not in known:
        raise FacelineError(f"{place}: unknown transform {name}: {nearest(name, known)}")
    kind, whole = known[name], f"{place} ({name})"
    arguments = {argument: _tuples(value) for argument, value in entry.items() if argument != "name"}
    taken = [argument for argument in signature(kind).parameters if argument not in _NOT_IN_YAML]
    for argument in arguments:
        if argument not in taken:
            raise FacelineError(f"{whole}: unknown argument {argument}: {nearest(argument, taken)}")
    if issubclass(kind, albumentations.BaseCompose):
        each = tried and kind in _ALTERNATIVES
        inner = _inner(entry, whole)
        arguments["transforms"] = [_built(it, f"{place}.transforms[{i}]", img_size, each) for i, it in enumerate(inner)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", _ADVICE, UserWarning)
        try:
            transform = kind(**arguments)
            results = _draws(transform, img_size) if tried else []
        except _REFUSALS as refusal:
            raise FacelineError(f"{whole}: {_reason(refusal, entry)}") from None
    for result in results:
        if (str(result.dtype), tuple(result.shape)) != ("uint8", (img_size, img_size, 3)):
            raise FacelineError(
                f"{whole}: a face ({img_size}, {img_size}, 3) uint8 should stay so, and becomes {tuple(result.shape)} "
                f"{result.dtype}. Leave it out: the size is img_size's, and the network normalises by itself"
            )
    return transform


def _inner(entry: dict[str, Any], whole: str) -> list[Any]:
    """The list within a transform; albumentations checks neither it nor the p beside it."""
    inner, p = entry.get("transforms"), entry.get("p", 1)
    if not isinstance(inner, list) or not inner:
        raise FacelineError(f"{whole}: `transforms` should be a list of one transform or more, found {inner!r}")
    if not isinstance(p, int | float) or not 0 <= p <= 1:
        raise FacelineError(f"{whole}: p should be a probability from 0 to 1, found {p!r}")
    return inner


def _known() -> dict[str, type[Transform]]:
    """What can be named. Volumes are no faces; Compose brings a seed and targets of its own, Sequential does not."""
    single = {
        name: kind
        for name, kind in vars(albumentations).items()
        if isinstance(kind, type)
        and issubclass(kind, albumentations.BasicTransform)
        and not issubclass(kind, albumentations.Transform3D)
        and kind not in _NO_TRANSFORMS
    }
    return single | {kind.__name__: kind for kind in (*_ALTERNATIVES, *_SEQUENCES, PastedCrop, LowResolution)}


def _tuples(value: Any) -> Any:
    """YAML knows lists only; albumentations wants tuples."""
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return value


def _draws(transform: Transform, img_size: int) -> list[Any]:
    """What a few draws make of a face of noise."""
    face = np.random.default_rng(0).integers(0, 256, (img_size, img_size, 3), np.uint8)
    results = []
    for seed in range(_TRIALS):
        transform.set_random_seed(seed)
        results.append(transform(image=face, force_apply=True)["image"])
    return results


def _reason(refusal: Exception, entry: dict[str, Any]) -> str:
    """An exception of albumentations in one line; where a pydantic schema speaks, field by field."""
    said = " ".join(str(refusal).split()) or type(refusal).__name__
    if isinstance(refusal, KeyError):
        return f"it needs {said}, and a face comes alone. Leave it out"
    if not isinstance(refusal.__cause__, ValidationError):
        spoken = isinstance(refusal, UserWarning | ValueError | CropSizeError)
        return said if spoken else f"it does not work with these arguments: {said}"
    faults: dict[str, list[str]] = {}
    for fault in refusal.__cause__.errors():
        field = str(fault["loc"][0]) if fault["loc"] else ""
        if fault["type"] == "missing":
            faults[field] = ["is missing"]
            continue
        message = fault["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
        faults.setdefault(field, []).append(" ".join(message.split()))
    lines = []
    for field, messages in faults.items():
        found = f", found {entry[field]!r}" if field in entry else ""
        lines.append(f"{field} {' or '.join(dict.fromkeys(messages))}{found}".strip())
    return "; ".join(lines)
