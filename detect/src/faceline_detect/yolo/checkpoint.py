"""The .pt file of a YOLO, which ultralytics alone reads.

Such a file is a pickle of the network itself, classes and all, and a pickle can hold code. It is read by torch's
restricted unpickler with the classes that ultralytics says its networks are made of; a file that asks for any other is
refused. Nothing else in this project reads one.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from faceline_core.errors import FacelineError
from faceline_core.stage.files import written_beside
from faceline_detect.yolo.importing import ultralytics_at_work

_HEADS = {"Detect": False, "v10Detect": False, "Pose": True, "Pose26": True}
"""The last layers of networks that find boxes, and whether landmarks as well."""
_SEVERAL = 3  # classes that a message names


def gives_landmarks(head: str) -> bool | None:
    """Whether networks with this last layer give landmarks; None where they are no detectors."""
    return _HEADS.get(head)


def read_yolo(path: Path) -> nn.Module:
    """A detector's network, in float32 on the CPU and in evaluation mode.

    Raises:
        FacelineError: where the file is missing, broken, holds something else, or ultralytics is not installed.
    """
    if not path.is_file():
        raise FacelineError(f"{path} is not there. Name a YOLO's .pt file; none is downloaded")
    if path.suffix != ".pt":
        raise FacelineError(f"{path} is no .pt file. Name a YOLO's, which ultralytics wrote")
    with ultralytics_at_work():
        from ultralytics.nn.tasks import load_checkpoint, torch_safe_load

        try:
            torch_safe_load(path, safe_only=True)  # whatever it was told at its import, if that was not ours
            network: nn.Module = load_checkpoint(path)[0]
        except (TypeError, RuntimeError, ImportError, KeyError, AttributeError) as error:
            # what it raises on files that are not its own; its messages have several lines, of which one is kept
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise FacelineError(
                f"{path}: ultralytics reads no YOLO from it ({reason}). Name a .pt file that it wrote, in version "
                "8.1 or later"
            ) from None
    head = type(network.model[-1]).__name__  # type: ignore[index]
    if head not in _HEADS:
        raise FacelineError(f"{path} is no detector: it ends in {head}. Name one for boxes, or for boxes and keypoints")
    return network


def face_class(network: nn.Module, path: Path) -> int:
    """Which of its classes is a face: its only one, or the one of that name."""
    names: dict[int, str] = network.names  # type: ignore[assignment]
    faces = [place for place, name in names.items() if len(names) == 1 or name.lower() in ("face", "human face")]
    if len(faces) != 1:
        some = ", ".join(list(names.values())[:_SEVERAL])
        raise FacelineError(f"{path} finds {len(names)} kinds of things ({some}, ...), and none is called face")
    return faces[0]


def write_yolo(network: nn.Module, path: Path, side: int) -> None:
    """Writes a .pt file that `ultralytics.YOLO(path)` takes, with nothing in it of this machine, user or moment.

    Args:
        network: trained; it is written in half precision, as ultralytics does.
        path: the file.
        side: of the pictures that it was trained with, px.
    """
    task = "pose" if gives_landmarks(type(network.model[-1]).__name__) else "detect"  # type: ignore[index]
    settings: dict[str, Any] = {"task": task, "imgsz": side, "single_cls": False}
    network.args = settings  # type: ignore[assignment]
    for name in ("criterion", "pt_path"):
        network.__dict__.pop(name, None)
    network.yaml["yaml_file"] = Path(network.yaml["yaml_file"]).name  # type: ignore[index]
    content = {
        "epoch": -1,
        "model": network.half().requires_grad_(False),
        "train_args": settings,
        "license": "AGPL-3.0 (https://ultralytics.com/license)",
    }
    with written_beside(path) as beside, beside.open("wb") as file:
        torch.save(content, file)
