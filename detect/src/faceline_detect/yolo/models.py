"""Which network `detect.yolo.model` means."""

import re
from pathlib import Path
from typing import Any

from faceline_core.errors import FacelineError, nearest
from faceline_core.parameters.detection import YoloSettings
from faceline_detect.yolo.checkpoint import gives_landmarks, read_yolo
from faceline_detect.yolo.importing import ultralytics_at_work


def check_model(settings: YoloSettings) -> str:
    """What ultralytics is given as `model`, once it is known to be what `detect.yolo.landmarks` asks for.

    A yaml of ultralytics' becomes its pose yaml where landmarks are to be learnt: yolo11n.yaml is yolo11n-pose.yaml.

    Raises:
        FacelineError: where there is no such yaml or file, or it is of another kind.
    """
    name = settings.model
    if name.endswith(".pt"):
        head = type(read_yolo(Path(name)).model[-1]).__name__  # type: ignore[index]
        return _fitting(settings, name, head)
    if not name.endswith((".yaml", ".yml")):
        raise FacelineError(
            f"detect.yolo.model: {name} is neither a .yaml nor a .pt file. Set yolo11n.yaml, or name one"
        )
    if Path(name).is_file():
        return _fitting(settings, name, _last_layer(Path(name)))
    return _of_ultralytics(settings)


def _of_ultralytics(settings: YoloSettings) -> str:
    with ultralytics_at_work() as ultralytics:
        folder = Path(ultralytics.__file__).parent / "cfg/models"
    known = {path.name: path for path in sorted(folder.rglob("*.yaml"))}
    stem = Path(settings.model).stem
    wanted = stem if stem.endswith("-pose") or not settings.landmarks else f"{stem}-pose"
    # sizes share a file: yolo11n.yaml is the n of yolo11.yaml
    shared = {name: re.sub(r"(\d+)[nslmx](?=-|$)", r"\1", name) for name in (stem, wanted)}
    if f"{shared[stem]}.yaml" not in known and f"{stem}.yaml" not in known:
        raise FacelineError(
            f"detect.yolo.model: {settings.model} is no file and none of ultralytics'; {nearest(settings.model, known)}"
        )
    path = known.get(f"{wanted}.yaml") or known.get(f"{shared[wanted]}.yaml")
    if path is None:
        raise FacelineError(
            f"detect.yolo.model: ultralytics has no {settings.model} for landmarks. Set another, or landmarks: false"
        )
    _fitting(settings, settings.model, _last_layer(path))
    return f"{wanted}.yaml"


def _last_layer(path: Path) -> str:
    with ultralytics_at_work():
        from ultralytics.utils import YAML

        try:
            content: Any = YAML.load(path)
        except ValueError as error:
            raise FacelineError(f"detect.yolo.model: {path}: {str(error).splitlines()[0]}") from None
    try:
        return str(content["head"][-1][2])
    except (KeyError, IndexError, TypeError):
        raise FacelineError(
            f"detect.yolo.model: {path} has no list `head` whose last row names a layer. Start from one of ultralytics'"
        ) from None


def _fitting(settings: YoloSettings, name: str, head: str) -> str:
    landmarks = gives_landmarks(head)
    if landmarks is None:
        raise FacelineError(
            f"detect.yolo.model: {name} is no detector: it ends in {head}. Name one that does in Detect or Pose"
        )
    if landmarks != settings.landmarks:
        what = "gives landmarks" if landmarks else "gives no landmarks"
        raise FacelineError(
            f"detect.yolo.model: {name} {what}, and detect.yolo.landmarks is {str(settings.landmarks).lower()}. "
            "Change one of them"
        )
    return name
