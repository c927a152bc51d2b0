"""What the sample stage writes, read back without its own code."""

import csv
import hashlib

import cv2
import numpy as np
import pytest

from faceline_sample.dataset import TRUTH_COLUMNS, draw_dataset
from faceline_sample.names import MOST, names

PEOPLE, PHOTOS, SCENES, SEED = 8, 8, 6, 5
POINTS = [
    f"{point}_{axis}" for point in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth") for axis in "xy"
]


def digests(folder):
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def truth(folder):
    with (folder / "recognition/truth.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def labels(folder):
    """label.txt as path -> rows (N, 20)."""
    found, path = {}, None
    for line in (folder / "detection/label.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            path = line[2:]
            found[path] = []
        else:
            found[path].append([float(word) for word in line.split(" ")])
    return {path: np.array(rows).reshape(-1, 20) for path, rows in found.items()}


def wider(folder):
    """wider.txt as path -> rows (N, 10); an image without faces has one row of zeros."""
    lines = (folder / "detection/wider.txt").read_text(encoding="utf-8").splitlines()
    found, at = {}, 0
    while at < len(lines):
        count = int(lines[at + 1])
        rows = [[int(word) for word in line.split(" ")] for line in lines[at + 2 : at + 2 + max(count, 1)]]
        if count == 0:
            assert rows == [[0] * 10]
        found[lines[at]] = np.array(rows[:count]).reshape(-1, 10)
        at += 2 + max(count, 1)
    return found


def test_the_same_bytes_from_one_process_and_with_fewer_people(drawn, tmp_path):
    draw_dataset(2, 3, 2, SEED, tmp_path / "one", processes=1)
    whole, part = digests(drawn), digests(tmp_path / "one")
    pictures = [name for name in part if name.endswith((".jpg", ".png"))]
    assert len(pictures) == 2 * 3 * 2 + 2
    assert [name for name in pictures if part[name] != whole[name]] == []


def test_another_seed_draws_other_pictures(drawn, tmp_path):
    draw_dataset(1, 1, 1, SEED + 1, tmp_path / "other", processes=1)
    whole, other = digests(drawn), digests(tmp_path / "other")
    assert [name for name in other if name.endswith(".jpg") and other[name] == whole[name]] == []


def test_layout_and_sizes(drawn):
    people = sorted((drawn / "recognition/people").iterdir())
    assert [folder.name for folder in people] == sorted(names(PEOPLE))
    for folder in people:
        photos = sorted(folder.glob("*.jpg"))
        assert len(photos) == PHOTOS
        for file in photos:
            photo = cv2.imread(str(file))
            assert 320 <= min(photo.shape[:2]) <= max(photo.shape[:2]) <= 480
            mask = cv2.imread(str(drawn / "recognition/masks" / folder.name / f"{file.stem}.png"), cv2.IMREAD_UNCHANGED)
            assert mask.dtype == np.uint8
            assert mask.shape == photo.shape[:2]
            assert set(np.unique(mask)) <= {0, 255}
    scenes = sorted((drawn / "detection/images").iterdir())
    assert len(scenes) == SCENES
    assert all(cv2.imread(str(file)).shape == (640, 640, 3) for file in scenes)


def test_truth_names_every_photo(drawn):
    rows = truth(drawn)
    assert tuple(rows[0]) == TRUTH_COLUMNS
    assert len({row["path"] for row in rows}) == PEOPLE * PHOTOS
    for row in rows:
        photo = cv2.imread(str(drawn / "recognition" / row["path"]))
        assert row["path"].split("/")[1] == row["identity"]
        points = np.array([float(row[name]) for name in POINTS]).reshape(5, 2)
        assert (points > 0).all()
        assert (points < photo.shape[1::-1]).all()
        x1, y1, x2, y2 = (float(row[name]) for name in ("x1", "y1", "x2", "y2"))
        assert y2 - y1 == pytest.approx(float(row["face_height"]), abs=0.02)
        assert 39 <= y2 - y1 <= 201
        assert x1 < points[:, 0].mean() < x2
        assert y1 < points[:, 1].mean() < y2


def test_masks_are_white_for_clear_faces_and_dark_on_the_occluder(drawn):
    rows = truth(drawn)
    occluded = [row for row in rows if row["occluder"] != "none"]
    assert 0.05 < len(occluded) / len(rows) < 0.4
    for row in rows:
        mask = cv2.imread(str(drawn / "recognition/masks" / row["path"][len("people/") :].replace(".jpg", ".png")), 0)
        points = np.round([float(row[name]) for name in POINTS]).astype(int).reshape(5, 2)
        dark = mask[points[:, 1], points[:, 0]] == 0
        if row["occluder"] == "none":
            assert mask.min() == 255
        elif row["occluder"] in ("medical_mask", "scarf"):
            assert dark.tolist()[3:] == [True, True]
            assert not dark[:2].any()
        elif row["occluder"] == "sunglasses":
            assert dark[:2].all()
            assert not dark[3:].any()
        else:
            assert 0.002 < (mask == 0).mean() < 0.5


def test_both_label_texts_tell_of_the_same_faces(drawn):
    one, two = labels(drawn), wider(drawn)
    assert list(one) == list(two) == sorted(file.name for file in (drawn / "detection/images").iterdir())
    for path, rows in one.items():
        assert len(rows) <= 12
        assert np.abs(rows[:, :4] - two[path][:, :4]).max(initial=0) <= 0.51
        assert (rows[:, 3] >= 7.5).all()
        assert (rows[:, 3] <= 201).all()
        assert (rows[:, :2] >= 0).all()
        assert (rows[:, :2] + rows[:, 2:4] <= 640).all()
        points = rows[:, 4:19].reshape(-1, 5, 3)
        assert (points[..., 2] == 0).all()
        assert (rows[:, 19] == 1).all()
        middle = points[:, :, :2].mean(1)
        assert (middle > rows[:, :2]).all()
        assert (middle < rows[:, :2] + rows[:, 2:4]).all()
    assert sum(map(len, one.values())) > SCENES


def test_a_scene_without_faces_has_a_row_of_zeros():
    from faceline_sample.labels import retinaface_text, wider_text
    from faceline_sample.scene import draw_scene

    empty = next(scene for scene in (draw_scene(SEED, i) for i in range(200)) if len(scene.boxes) == 0)
    assert retinaface_text("a.jpg", empty) == "# a.jpg\n"
    assert wider_text("a.jpg", empty) == "a.jpg\n0\n0 0 0 0 0 0 0 0 0 0\n"


def test_names_are_unique_and_stable():
    assert len(set(names(MOST))) == MOST
    assert names(60) == names(200)[:60]
