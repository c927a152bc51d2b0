"""The folders that the detect stage leaves, one a detector: a description, and what it names."""

import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from faceline_core.errors import FacelineError
from faceline_core.parameters.detection import Detect, DetectSearch, Fusion
from faceline_core.stage.files import write_json

DESCRIPTION = "detector.json"
MODELS = {"retinaface": "model.pth", "yolo": "model.pt"}
"""What a trained network's file is called."""
_SEARCH = {
    "retinaface": ("confidence", "nms", *DetectSearch.model_fields),
    "yolo": ("confidence", "nms"),
    "fused": ("confidence",),
}
"""What a description says of how pictures are searched."""


def write_mtcnn(folder: Path) -> None:
    """Says which MTCNN it is: the same for every run, so that faces found by it need not be found again."""
    write_json(folder / DESCRIPTION, {"detector": "mtcnn", "weights": f"facenet-pytorch {version('facenet-pytorch')}"})


def write_trained(folder: Path, name: str, model: Path, settings: Detect) -> None:
    """Puts a trained network into a folder, and how pictures are to be searched with it.

    Args:
        folder: to write to.
        name: retinaface or yolo.
        model: its file, which is copied.
        settings: `detect`; others are given faces from `test.working_confidence` up, with RetinaFace as `search` says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model, folder / MODELS[name])
    write_json(folder / DESCRIPTION, {"detector": name, "model": MODELS[name], "search": _search(name, settings)})


def write_fused(folder: Path, members: Mapping[str, Path], settings: Detect) -> None:
    """Puts copies of several detectors' folders into one, and how what they find becomes one list.

    Args:
        folder: to write to.
        members: the folder of each that `fusion.weights` names.
        settings: `detect`.
    """
    for name, place in members.items():
        shutil.copytree(place, folder / name)
    fusion = settings.fusion.model_dump(mode="json")
    write_json(folder / DESCRIPTION, {"detector": "fused", "fusion": fusion, "search": _search("fused", settings)})


def write_not_trained(folder: Path, name: str) -> None:
    """Says that the detector was not asked for, in the place where it would be."""
    write_json(folder / DESCRIPTION, {"detector": name, "trained": False})


def read_description(folder: Path, name: str) -> dict[str, Any]:
    """What a detector's folder says of it.

    Raises:
        FacelineError: where the folder or its description is missing or broken, is of another detector, or says that
            the detector was not trained.
    """
    path = folder / DESCRIPTION
    damaged = FacelineError(f"detector: {path} is damaged. Write it anew: dvc repro --force detect")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FacelineError(f"detector: {path} is not there. Train the detector first: dvc repro detect") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise damaged from None
    if not isinstance(content, dict) or content.get("detector") != name:
        found = content.get("detector") if isinstance(content, dict) else None
        raise FacelineError(f"detector: {path} is of {found}, expected {name}. Give the folder of {name}")
    if content.get("trained") is False:
        cure = "name all of detect.fusion.weights" if name == "fused" else f"add {name}"
        raise FacelineError(
            f"detector: {name} was not trained ({path}). In detect.train {cure}, then: dvc repro detect"
        )
    if not _is_whole(content, name):
        raise damaged
    return content


def _is_whole(content: dict[str, Any], name: str) -> bool:
    expected = {"search": _SEARCH[name]} if name in _SEARCH else {}
    if name == "fused":
        expected["fusion"] = tuple(Fusion.model_fields)
    found = {section: content.get(section) for section in expected}
    return all(isinstance(each, dict) and set(expected[section]) == set(each) for section, each in found.items())


def _search(name: str, settings: Detect) -> dict[str, Any]:
    test = settings.test
    values = settings.search.model_dump(mode="json") | {"confidence": test.working_confidence, "nms": test.nms}
    return {key: values[key] for key in _SEARCH[name]}
