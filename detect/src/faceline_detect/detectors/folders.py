"""The folders that the detect stage leaves, one a detector: a description, and what it names."""

import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from faceline_core.errors import FacelineError
from faceline_core.parameters.detection import DetectTest, Fusion
from faceline_core.stage.files import write_json

DESCRIPTION = "detector.json"
MODELS = {"retinaface": "model.pth", "yolo": "model.pt"}
"""What a trained network's file is called."""
_SEARCH = ("confidence", "nms", "short_side", "long_side", "scales", "flip")


def write_mtcnn(folder: Path) -> None:
    """Says which MTCNN it is: the same for every run, so that faces found by it need not be found again."""
    write_json(folder / DESCRIPTION, {"detector": "mtcnn", "weights": f"facenet-pytorch {version('facenet-pytorch')}"})


def write_trained(folder: Path, name: str, model: Path, test: DetectTest) -> None:
    """Puts a trained network into a folder, and how pictures are to be searched with it.

    Args:
        folder: to write to.
        name: retinaface or yolo.
        model: its file, which is copied.
        test: `detect.test`; faces from `working_confidence` up are what others are given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model, folder / MODELS[name])
    write_json(folder / DESCRIPTION, {"detector": name, "model": MODELS[name], "search": _search(test)})


def write_fused(folder: Path, members: Mapping[str, Path], fusion: Fusion, test: DetectTest) -> None:
    """Puts copies of several detectors' folders into one, and how what they find becomes one list.

    Args:
        folder: to write to.
        members: the folder of each that `fusion.weights` names.
        fusion: `detect.fusion`.
        test: `detect.test`.
    """
    for name, place in members.items():
        shutil.copytree(place, folder / name)
    write_json(
        folder / DESCRIPTION,
        {"detector": "fused", "fusion": fusion.model_dump(mode="json"), "search": _search(test)},
    )


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
    sections = {"retinaface": {"search": _SEARCH}, "yolo": {"search": _SEARCH}}
    sections["fused"] = {"search": _SEARCH, "fusion": tuple(Fusion.model_fields)}
    found = {section: content.get(section) for section in sections.get(name, {})}
    return all(isinstance(each, dict) and set(sections[name][section]) == set(each) for section, each in found.items())


def _search(test: DetectTest) -> dict[str, Any]:
    return {name: getattr(test, name) for name in _SEARCH} | {"confidence": test.working_confidence}
