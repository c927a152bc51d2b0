"""Drawn scenes, and a YOLO trained on them where nothing can be reached."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceline_core.parameters.detection import YoloSettings

TRAINING = """
import json, os, random, socket, sys
from pathlib import Path

attempts = []
def refused(*arguments, **_):
    attempts.append(repr(arguments[1:] if isinstance(arguments[0], socket.socket) else arguments))
    raise OSError("no network in this test")
for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refused)
for name in ("getaddrinfo", "gethostbyname", "create_connection"):
    setattr(socket, name, refused)

import cv2, numpy, torch
from PIL import Image
from faceline_core.parameters.detection import YoloSettings
from faceline_core.parameters.training import Trainer
from faceline_detect.annotations import read_annotations
from faceline_detect.scenes import Part
from faceline_detect.yolo.searching import YoloSearch
from faceline_detect.yolo.training import train_yolo

def state():
    return {
        "environment": dict(os.environ),
        "threads": [torch.get_num_threads(), cv2.getNumThreads()],
        "random": [random.random(), numpy.random.rand(), torch.rand(1).item()],
        "deterministic": [torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic],
        "functions": [torch.save.__module__, Image.open.__module__],
    }

root = Path(sys.argv[1])
settings = YoloSettings.model_validate_json(sys.argv[2])
trainer = Trainer.model_validate_json(sys.argv[3])
torch.set_num_threads(1)
cv2.setNumThreads(3)
def seeded():
    random.seed(1), numpy.random.seed(1), torch.manual_seed(1)
seeded()
before = state()
seeded()
labels = read_annotations(root / "scenes/label.txt")
parts = Part(labels.pictures[:4], labels.folder), Part(labels.pictures[4:], labels.folder)
train_yolo(settings, *parts, root / "model.pt", root / "report", seed=3, trainer=trainer, artifacts=root / "artifacts")
faces = YoloSearch(root / "model.pt", 0.001).detect([numpy.zeros((96, 96, 3), numpy.uint8)])
after = state()
print(json.dumps({"attempts": attempts, "before": before, "after": after, "faces": len(faces[0])}))
"""


@dataclass(frozen=True)
class Trained:
    """What a process of its own left: it trained a YOLO and searched with it."""

    folder: Path
    home: Path
    settings: YoloSettings
    said: str
    told: dict

    @property
    def history(self):
        with (self.folder / "report/history.csv").open() as file:
            return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def ultralytics_there():
    """A test that asks for it is skipped where ultralytics is not installed; to import it here would change things."""
    if find_spec("ultralytics") is None:
        pytest.skip("ultralytics is not installed")


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """Six drawn scenes of 640 px with RetinaFace labels: `label.txt` and `images`."""
    from faceline_sample.labels import retinaface_text
    from faceline_sample.scene import draw_scene

    folder = tmp_path_factory.mktemp("drawn") / "scenes"
    (folder / "images").mkdir(parents=True)
    texts = []
    for index in range(6):
        scene = draw_scene(11, index)
        Image.fromarray(scene.image).save(folder / f"images/{index}.jpg", quality=scene.quality)
        texts.append(retinaface_text(f"{index}.jpg", scene))
    (folder / "label.txt").write_text("".join(texts))
    return folder


@pytest.fixture(scope="session")
def yolo_settings():
    """Settings that cost the least: two epochs at 64 px."""
    return YoloSettings(
        model="yolo11n.yaml", landmarks=True, side=64, epochs=2, batch_size=2, lr=0.001, patience=0, mosaic=0.5
    )


@pytest.fixture(scope="session")
def on_cpu(parameters_with):
    """The trainer of params.yaml, on the CPU."""
    return parameters_with(("trainer",), {"trainer.accelerator": "cpu"}).trainer


@pytest.fixture(scope="session")
def trained(ultralytics_there, scenes, yolo_settings, on_cpu, tmp_path_factory):  # noqa: ARG001
    """A YOLO trained in a process that reaches no network and has an empty home and working folder."""
    root, home = scenes.parent, tmp_path_factory.mktemp("home")
    # where it sees tests run, ultralytics keeps to itself of its own accord
    shown = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "GITHUB"))}
    environment = shown | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "TMPDIR": str(home),
        "ULTRALYTICS_API_KEY": "ul_" + 40 * "0",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-c", TRAINING, str(root), yolo_settings.model_dump_json(), on_cpu.model_dump_json()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=home, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return Trained(root, home, yolo_settings, done.stdout, json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def checkers():
    """A function that draws a picture whose every pixel tells where it is: (H, W, 3) uint8."""

    def draw(height, width):
        rows, columns = np.mgrid[:height, :width]
        return np.stack([columns % 256, rows % 256, np.full_like(rows, 40)], axis=2).astype(np.uint8)

    return draw
