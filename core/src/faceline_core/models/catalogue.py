"""models.yaml: names that people give to networks, each with its constructor and what differs from the usual."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from faceline_core.errors import FacelineError, nearest
from faceline_core.parameters.section import Positive, Section

FAMILIES = ("ir", "mobilefacenet", "facenet", "torchvision", "timm")


class Entry(Section):
    """A network by a name of one's own."""

    constructor: str
    """ir/<name>, mobilefacenet, facenet/inception_resnet_v1, torchvision/<name>, or timm/<name>."""
    img_size: Annotated[int, Field(ge=32, le=1024)] | None = None
    """Side in px of the faces that its weights were trained on; `img_size` of params.yaml decides."""
    weights: str | None = None
    """What `weights: pretrained` takes: a URL, a file, or `publisher`, which is the default."""
    mean: tuple[float, float, float] | None = None
    std: tuple[Positive, Positive, Positive] | None = None
    """Of (x / 255 - mean) / std; where they are left out, as the network's publisher has them."""
    channel_order: Literal["rgb", "bgr"] | None = None
    """Order in which the network sees the channels; left out: rgb, and what the weights' file says."""


def read_catalogue(path: Path) -> dict[str, Entry]:
    """The entries of models.yaml by name; none where the file is not there.

    Raises:
        FacelineError: where it is not YAML, names an entry or a key twice, or holds a key or a value that does not do;
            it names the file, the entry and the key.
    """
    if not path.is_file():
        return {}
    return {name: _entry(path, name, values) for name, values in _read_yaml(path).items()}


def _entry(path: Path, name: Any, values: Any) -> Entry:
    if not isinstance(name, str) or not isinstance(values, dict):
        raise FacelineError(f"{path}: {name}: expected a name with a constructor below it, found {values!r}. Mend it")
    try:
        entry = Entry.model_validate(values)
    except ValidationError as error:
        fault = next((one for one in error.errors() if one["type"] == "extra_forbidden"), error.errors()[0])
        where = ".".join(str(part) for part in (name, *fault["loc"]))
        if fault["type"] == "extra_forbidden":
            hint = nearest(str(fault["loc"][-1]), Entry.model_fields)
            raise FacelineError(f"{path}: {where}: unknown key; {hint}") from None
        if fault["type"] == "missing":
            raise FacelineError(
                f"{path}: {where} is missing: {Entry.model_fields['constructor'].description}"
            ) from None
        message = fault["msg"].removeprefix("Value error, ").replace("Input should", "should")
        raise FacelineError(f"{path}: {where}: {message}, found {fault['input']!r}") from None
    family = entry.constructor.partition("/")[0]
    if family not in FAMILIES:
        raise FacelineError(
            f"{path}: {name}.constructor: {entry.constructor} is of no known family; "
            f"it is {Entry.model_fields['constructor'].description}"
        )
    return entry


def _read_yaml(path: Path) -> dict[Any, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, yaml.SafeLoader)
        _check_each_once(path, root)
        values = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise FacelineError(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8") from None
    except yaml.YAMLError as error:
        raise FacelineError(f"{path} is not YAML: {' '.join(str(error).split())}. Mend it there") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise FacelineError(f"{path}: expected names of networks, found {type(values).__name__}. Mend it")
    return values


def _check_each_once(path: Path, node: yaml.Node | None) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        if key.value in seen:
            raise FacelineError(f"{path}: {key.value} stands there twice (line {key.start_mark.line + 1}). Remove one")
        seen.add(key.value)
        _check_each_once(path, value)
