"""Photos to a table: the same faces, cut out and judged alike, as preprocess writes."""

import csv
import os
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from faceline_core.data.faces import read_face
from faceline_core.data.split import read_split
from faceline_core.faces import read_photo
from faceline_core.models.checkpoint import save_checkpoint
from faceline_core.models.recogniser import Recogniser
from faceline_core.parameters import read_parameters
from faceline_evaluate import PREDICT_KEYS
from faceline_evaluate.prediction.candidates import _in_order, faces_of_photos
from faceline_evaluate.prediction.predicting import predict
from faceline_preprocess import KEYS
from faceline_preprocess.finding import Found
from faceline_preprocess.preprocessing import preprocess

SIZE, PEOPLE, PHOTOS = 112, 5, 2
TRAINED = {"epoch": 1, "monitor": "val_acc", "best": 0.5, "data_sha256": "x", "parameters": {}}


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read(project, keys, **changes):
    values = yaml.safe_load((project / "params.yaml").read_text())
    values["preprocess"] |= changes
    (project / "changed.yaml").write_text(yaml.safe_dump(values))
    return read_parameters(project / "changed.yaml", keys)


def write_recogniser(path, train, weights):
    """Published weights, a random head, and the embeddings of one training photo of each person."""
    torch.manual_seed(0)
    split = read_split(train.parent, train.name)
    recogniser = Recogniser("mobilefacenet", SIZE, split.classes).eval()
    recogniser.backbone.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    with torch.no_grad():
        recogniser.head.weight.normal_()
        faces = np.stack([read_face(path, SIZE) for path in split.paths])
        unit, _ = recogniser.embed(torch.from_numpy(faces).permute(0, 3, 1, 2))
    assert split.labels == list(range(PEOPLE))
    save_checkpoint(path, recogniser, person_embeddings=unit, **TRAINED)


@pytest.fixture(scope="module")
def project(tmp_path_factory, real_data):
    """Photos of real people, data/processed as preprocess writes it from them, and a recogniser of them."""
    root = tmp_path_factory.mktemp("photos")
    people = sorted((real_data / "recognition/people").iterdir())[:PEOPLE]
    for person in people:
        (root / "data/photos/recognition/people" / person.name).mkdir(parents=True)
        for photo in sorted(person.iterdir())[:PHOTOS]:
            shutil.copy(photo, root / "data/photos/recognition/people" / person.name / photo.name)
    values = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())
    values |= {"data": "data/photos", "img_size": SIZE}
    values["preprocess"] |= {"num_workers": 0, "unseen_identities": 0.0}
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        preprocess(read_parameters(root / "params.yaml", KEYS))
    write_recogniser(root / "model.pth", root / "data/processed/train", real_data / "weights/mobilefacenet_foamliu.pt")
    return root


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.chdir(project)
    return project


@pytest.mark.real
def test_photos_and_the_faces_that_preprocess_cut_from_them_give_the_same(here, tmp_path):
    photos = here / "data/photos/recognition/people"
    predict(photos, here / "model.pth", tmp_path / "photos.csv", read(here, PREDICT_KEYS))
    predict(here / "data/processed", here / "model.pth", tmp_path / "aligned.csv")
    by_photo, by_face = rows_of(tmp_path / "photos.csv"), rows_of(tmp_path / "aligned.csv")
    assert [row["file"] for row in by_photo] == sorted(row["file"] for row in by_photo)
    manifest = rows_of(here / "data/processed/manifest.csv")
    assert len(manifest) == len(by_face) == PEOPLE * PHOTOS
    crops = {}
    for candidate in faces_of_photos(
        sorted(photos.rglob("*.jpg")), read(here, PREDICT_KEYS), SIZE, torch.device("cpu")
    ):
        crops[candidate.file.name, candidate.number] = candidate.crop
    for line in manifest:
        (row,) = [
            row for row in by_photo if row["file"].endswith(line["path"]) and row["box_x1"] == line["box_x1"]
        ]  # of several faces the one that preprocess picked
        (aligned,) = [row for row in by_face if row["file"].endswith(line["file"])]
        assert [row[f"box_{edge}"] for edge in ("x1", "y1", "x2", "y2")] == [
            line[f"box_{edge}"] for edge in ("x1", "y1", "x2", "y2")
        ]
        assert row["score"] == line["score"]
        written = read_photo(here / "data/processed" / line["file"])
        assert np.array_equal(crops[row["file"].rsplit("/", 1)[1], int(row["face"])], written)
        assert row["nearest_person"] == aligned["nearest_person"] == line["identity"], "one photo of each is known"
        assert float(row["similarity"]) == pytest.approx(float(aligned["similarity"]), abs=1e-4)
        for rank in ("", "_2", "_3", "_4", "_5"):
            assert row[f"person{rank}"] == aligned[f"person{rank}"]
            assert float(row[f"probability{rank}"]) == pytest.approx(float(aligned[f"probability{rank}"]), abs=1e-4)
    assert len({row["person"] for row in by_photo}) > 1, "or it shows little"


@pytest.mark.real
def test_what_gives_no_face_is_a_row_with_its_reason(here, tmp_path):
    folder = tmp_path / "photos"
    (folder / "deep/er").mkdir(parents=True)
    photo = next((here / "data/photos").rglob("*.jpg"))
    face = read_photo(photo)
    two = np.concatenate([face, cv2.resize(face, None, fx=0.4, fy=0.4)[np.arange(250) % 100]], axis=1)
    cv2.imwrite(str(folder / "deep/er/two sizes.png"), cv2.cvtColor(two, cv2.COLOR_RGB2BGR))
    (folder / "a.jpg").write_bytes(b"")
    (folder / "b.jpg").write_text("no photo")
    cv2.imwrite(str(folder / "c.png"), np.full((200, 200, 3), 120, np.uint8))
    cv2.imwrite(str(folder / "d.png"), np.zeros((4, 4, 3), np.uint8))
    (folder / "e.jpg").write_bytes(photo.read_bytes()[:5000])
    shutil.copy(photo, folder / "f.JPEG")
    parameters = read(here, PREDICT_KEYS, min_face_height=80)
    counts = predict(folder, here / "model.pth", tmp_path / "out.csv", parameters)
    rows = rows_of(tmp_path / "out.csv")
    assert list(dict.fromkeys(row["file"].removeprefix(f"{folder}/") for row in rows)) == [
        *("a.jpg", "b.jpg", "c.png", "d.png", "deep/er/two sizes.png", "e.jpg", "f.JPEG")
    ]
    reasons = [row["reason"] for row in rows if "deep" not in row["file"]]
    assert reasons[0] == "does not decode: the file is empty"
    assert reasons[1].startswith("does not decode: it is no JPEG")
    assert reasons[2:4] == ["no face", "no face"]
    assert reasons[4].startswith("does not decode: ")
    assert reasons[5] == ""
    several = [row for row in rows if "deep" in row["file"]]
    assert [row["face"] for row in several] == [str(number) for number in range(1, len(several) + 1)]
    assert [float(row["box_x1"]) for row in several] == sorted(float(row["box_x1"]) for row in several)
    small = [row for row in several if row["status"] == "rejected"]
    assert small
    for row in small:
        assert row["reason"].startswith(("too small: face height", "low confidence"))
        assert float(row["box_y2"]) - float(row["box_y1"]) < 80 or float(row["score"]) < 0.9
        assert row["person"] == row["probability"] == row["nearest_person"] == ""
    assert counts["used"] == sum(row["status"] == "used" for row in rows) >= 2
    assert sum(counts.values()) == len(rows)


@pytest.mark.real
def test_worker_processes_keep_the_order(here, tmp_path):
    predict(here / "data/photos", here / "model.pth", tmp_path / "two.csv", read(here, PREDICT_KEYS, num_workers=2))
    predict(here / "data/photos", here / "model.pth", tmp_path / "none.csv", read(here, PREDICT_KEYS))
    by_two, by_none = rows_of(tmp_path / "two.csv"), rows_of(tmp_path / "none.csv")
    files = [path.as_posix() for path in sorted((here / "data/photos").rglob("*.jpg"))]
    assert list(dict.fromkeys(row["file"] for row in by_two)) == files
    assert [(row["box_x1"], row["person"]) for row in by_two] == [(row["box_x1"], row["person"]) for row in by_none]


@pytest.mark.real
def test_a_photo_that_may_not_be_read_is_a_row(here, tmp_path, monkeypatch):
    folder = here / "data/photos"
    locked = sorted(folder.rglob("*.jpg"))[1]
    monkeypatch.setattr(os, "access", lambda path, _mode: path != locked)  # whoever runs as root may read all
    counts = predict(folder, here / "model.pth", tmp_path / "out.csv", read(here, PREDICT_KEYS))
    assert counts["does not decode"] == 1
    row = next(row for row in rows_of(tmp_path / "out.csv") if row["file"] == locked.as_posix())
    assert row["reason"] == "cannot be read: permission denied"


def test_early_results_wait_until_they_are_due():
    keys = [3, 4, 0, 2, 1, 5]
    drawn = Counter()

    def found():
        for key in keys:
            drawn[key] += 1
            yield Found({"key": str(key)}, {})

    order = []
    for item in _in_order(found()):
        order.append(int(item.row["key"]))
        if order == [0]:
            assert set(drawn) == {3, 4, 0}, "handed on as soon as it is due"
    assert order == [0, 1, 2, 3, 4, 5]
