"""The stage, top to bottom: read labels, train detectors, measure each and their fusion, write all of it."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from faceline_core.errors import FacelineError
from faceline_core.faces import Face, read_photo
from faceline_core.parameters import StageParameters
from faceline_core.parameters.detection import Detect
from faceline_core.stage.files import replaced_folder, write_json
from faceline_core.stage.processes import is_first
from faceline_core.stage.progress import progress, say
from faceline_detect.detectors import Detector, load
from faceline_detect.detectors.folders import write_fused, write_mtcnn, write_not_trained, write_trained
from faceline_detect.detectors.retinaface import RetinaFaceDetector
from faceline_detect.fusion import combine
from faceline_detect.measuring import Measured, asked_for, gains, line, measure, write_report
from faceline_detect.scenes import STAGE, Part, Scenes, open_scenes
from faceline_detect.training.retinaface import TrainedRetinaFace, search_device, search_of, train_retinaface

Found = dict[str, list[list[Face]]]
"""By detector: the faces of each picture."""

_AT_A_TIME = 16


def detect(parameters: StageParameters, artifacts: Path = Path("artifacts")) -> Path:
    """Trains what `detect.train` names, and writes `detect/` below `artifacts`, whole or not at all.

    In it: `mtcnn/`, `retinaface/`, `yolo/` and `fused/`, for each detector a folder with all that it needs to search
    pictures (that of one which is not trained says so); `metrics.json`, the figures of each side by side; `report/`
    with curves, histories and pictures.

    Returns:
        The folder written.

    Raises:
        FacelineError: where labels, pictures, parameters or the machine do not do.
    """
    settings: Detect = parameters.detect
    target = artifacts / "detect"
    scenes = open_scenes(settings, parameters.seed)
    truths, counted = asked_for(scenes.test.pictures, settings.test.official_lists)  # before hours of training
    if "yolo" in settings.train:
        _check_yolo(settings, scenes.train)
    retinaface = None
    if "retinaface" in settings.train:
        retinaface = train_retinaface(settings, parameters.trainer, parameters.seed, scenes, artifacts)
    if parameters.trainer.fast_dev_run:
        trained = retinaface is not None and retinaface.history is not None
        what = "a batch of training and one of validation went through" if trained else "RetinaFace is not trained"
        say(STAGE, f"fast_dev_run: {what}; nothing was written to {target}")
        return target
    if not is_first():  # of the processes that trained together
        return target
    with replaced_folder(target) as folder:
        (folder / "report").mkdir()
        if retinaface is not None:
            _take(retinaface, folder, settings)
        if "yolo" in settings.train:
            _train_yolo(parameters, scenes, artifacts, folder)
        names, members = ["mtcnn", *settings.train], list(settings.fusion.weights)
        write_mtcnn(folder / "mtcnn")
        for name in ("retinaface", "yolo"):
            if name not in names:
                write_not_trained(folder / name, name)
        if fuses := set(members) <= set(names):
            write_fused(folder / "fused", {name: folder / name for name in members}, settings)
        else:
            write_not_trained(folder / "fused", "fused")
        found = _search(settings, scenes.test, names, folder, search_device(parameters.trainer))
        if fuses:
            found["fused"] = [
                combine(dict(zip(members, faces, strict=True)), settings.fusion)
                for faces in zip(*(found[name] for name in members), strict=True)
            ]
        measured = {
            name: measure(faces, truths, settings.test, parameters.seed, counted) for name, faces in found.items()
        }
        write_report(folder / "report", measured, found, *scenes.test)
        write_json(folder / "metrics.json", _metrics(measured, members))
    _say(measured, settings, target)
    return target


def _take(trained: TrainedRetinaFace, folder: Path, settings: Detect) -> None:
    """A run's files into the stage's folder."""
    write_trained(folder / "retinaface", "retinaface", trained.model, settings)
    report = folder / "report/retinaface"
    report.mkdir()
    for file in (trained.history, trained.sheet):
        if file is not None:
            shutil.copy(file, report)


def _train_yolo(parameters: StageParameters, scenes: Scenes, artifacts: Path, folder: Path) -> None:
    from faceline_detect.yolo.training import train_yolo

    model = folder / "yolo.pt"
    train_yolo(
        parameters.detect.yolo,
        scenes.train,
        scenes.val,
        model,
        folder / "report/yolo",
        seed=parameters.seed,
        trainer=parameters.trainer,
        artifacts=artifacts,
    )
    write_trained(folder / "yolo", "yolo", model, parameters.detect)
    model.unlink()


def _check_yolo(settings: Detect, train: Part) -> None:
    """Raises where ultralytics, the model, or the landmarks to learn are missing."""
    from faceline_detect.yolo.models import check_model

    check_model(settings.yolo)
    if settings.yolo.landmarks and settings.yolo.epochs and not train.with_landmarks:
        raise FacelineError(
            "detect.yolo.landmarks: true, but no face to train with has landmarks. Set detect.yolo.landmarks: false"
        )


def _search(settings: Detect, part: Part, names: Sequence[str], folder: Path, device: str) -> Found:
    """Everything that may be a face, from a score of `test.confidence`, with RetinaFace as `test` says."""
    detectors: dict[str, Detector] = {}
    for name in names:
        if name == "retinaface":
            detectors[name] = RetinaFaceDetector(folder / name, device, None, search_of(settings))
        else:
            detectors[name] = load(name, folder / name, device, settings.test.confidence)
    found: Found = {name: [] for name in names}
    chunks = [part.paths[start : start + _AT_A_TIME] for start in range(0, len(part.paths), _AT_A_TIME)]
    for chunk in progress(chunks, len(part.paths), STAGE, "scenes searched", count=len):
        pictures = [read_photo(path) for path in chunk]
        for name, detector in detectors.items():
            found[name] += detector.detect(pictures)
    return found


def _metrics(measured: Mapping[str, Measured], members: Sequence[str]) -> dict[str, Any]:
    """The figures of each detector, and what the fusion has over each that it is made of."""
    figures = {name: each.figures for name, each in measured.items()}
    if "fused" in measured:
        figures["fused"] = figures["fused"] | {
            "gain_over": {name: gains(measured[name], measured["fused"]) for name in members}
        }
    return figures


def _say(measured: Mapping[str, Measured], settings: Detect, target: Path) -> None:
    for name, each in measured.items():
        say(STAGE, line(name, each, by_height=settings.test.official_lists is None))
    if "fused" not in measured:
        say(STAGE, _fusion_left_out(settings))
    others, own = settings.search.model_dump(), settings.test.model_dump()
    differ = [name for name in others if others[name] != own[name]]
    if differ and "retinaface" in measured:
        here, there = (", ".join(f"{name} {json.dumps(at[name])}" for name in differ) for at in (own, others))
        say(STAGE, f"retinaface was measured at {here} (detect.test); others search with it at {there} (detect.search)")
    say(STAGE, f"figures: {target / 'metrics.json'}, curves and pictures: {target / 'report'}")


def _fusion_left_out(settings: Detect) -> str:
    names = " and ".join(name for name in settings.fusion.weights if name not in ["mtcnn", *settings.train])
    return f"the fusion is left out: detect.fusion.weights names {names}, which detect.train does not"
