"""The stage from photos to files, in this process."""

import os
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from faceline_core.errors import FacelineError
from faceline_core.faces import TEMPLATE, read_photo
from faceline_preprocess.preprocessing import preprocess
from faceline_preprocess.writing import COLUMNS

pytestmark = pytest.mark.real


@pytest.fixture
def run(project, monkeypatch):
    """A function that runs the stage in the project's folder with values of its params changed."""
    monkeypatch.chdir(project.folder)

    def preprocess_with(**changes):
        return preprocess(project.set(num_workers=0, **changes))

    return preprocess_with


def test_odd_photos_copies_masks_and_broken_files_of_one_set(project, lfw, run, capsys):
    lfw(project, 7, 4)
    first, second = sorted(project.people.iterdir())[:2]
    photos = sorted(first.iterdir())
    picture = Image.open(photos[0])
    picture.convert("RGBA").save(first / f"{photos[0].stem}.png")  # near-duplicate, and the same stem
    picture.convert("CMYK").save(second / "cmyk.tif")  # near-duplicate of another person's
    shutil.copy(photos[1], second / "copy.jpg")
    (first / "broken.jpg").write_bytes(photos[2].read_bytes()[:3000])
    Image.fromarray(np.full((80, 80, 3), 90, np.uint8)).save(first / "wall.webp")
    (first / "Thumbs.db").write_text("")
    (first / ".hidden.jpg").write_text("")
    (project.people / "notes.txt").write_text("")
    masks = project.folder / "data/photos/recognition/masks" / first.name
    masks.mkdir(parents=True)
    mask = np.zeros((250, 250), np.uint8)
    mask[:, 125:] = 255
    cv2.imwrite(str(masks / f"{photos[2].stem}.png"), mask)
    cv2.imwrite(str(masks / f"{photos[3].stem}.png"), mask[:50])

    run(blur_levels=[0.0, 0.5, 2.0])
    rows = {row["path"].removeprefix("data/photos/recognition/people/"): row for row in project.manifest()}
    assert list(rows) == sorted(rows)
    assert tuple(project.manifest()[0]) == COLUMNS
    assert len(rows) == 7 * 4 + 5
    row_of = {path.name: rows[f"{path.parent.name}/{path.name}"] for path in (*first.iterdir(), *second.iterdir()) if
              f"{path.parent.name}/{path.name}" in rows}  # fmt: skip
    assert row_of["copy.jpg"]["reason"] == f"duplicate of data/photos/recognition/people/{first.name}/{photos[1].name}"
    assert row_of["cmyk.tif"]["reason"].startswith(f"near-duplicate of data/photos/recognition/people/{first.name}/")
    assert row_of["broken.jpg"]["reason"].startswith("does not decode: ")
    assert row_of["wall.webp"]["reason"] == "no face"
    assert row_of[photos[3].name]["reason"].endswith("is 250 x 50 px, its photo 250 x 250")
    twin = row_of[f"{photos[0].stem}.png"]
    assert twin["status"] == "used"
    assert twin["split"] == row_of[photos[0].name]["split"]
    assert twin["file"] == f"{twin['split']}/{first.name}/{photos[0].stem}.png.jpg"

    files = project.files()
    used = [row for row in rows.values() if row["status"] == "used"]
    expected = {"manifest.csv"} | {
        row["file"].removesuffix(".jpg") + end for row in used for end in (".jpg", "_blur0.5.jpg", "_blur2.0.jpg")
    }
    masked = row_of[photos[2].name]["file"].removesuffix(".jpg")
    expected |= {f"masks/{masked}{end}.png" for end in ("", "_blur0.5", "_blur2.0")}
    assert set(files) == expected
    for name in expected - {"manifest.csv"}:
        picture = cv2.imread(str(project.processed / name), cv2.IMREAD_UNCHANGED)
        assert picture.shape == ((112, 112) if name.startswith("masks/") else (112, 112, 3))
    visible = cv2.imread(str(project.processed / f"masks/{masked}.png"), cv2.IMREAD_UNCHANGED)
    assert 0.2 < (visible > 127).mean() < 0.8
    assert not (project.folder / "data/.scratch").exists() or not any((project.folder / "data/.scratch").iterdir())
    out = capsys.readouterr().out
    assert "skipped what is no photo of a person: " in out
    assert ".db 1" in out
    assert "rejected: does not decode" in out


def test_output_is_the_same_bytes_every_time_and_another_persons_photos_do_not_matter(project, lfw, run):
    lfw(project, 7, 3)
    run()
    before = project.files()
    run()
    assert project.files() == before
    for photo in sorted(project.people.iterdir())[0].iterdir():
        os.utime(photo)
    run(seed=43)
    assert {name.split("/", 1)[-1] for name in project.files()} == {name.split("/", 1)[-1] for name in before}
    assert project.files() != before


def test_faces_lie_on_the_template(project, lfw, run):
    from faceline_detect.detectors import load

    lfw(project, 2, 4)
    run(img_size=224, unseen_identities=0.0)
    faces = [read_photo(path) for path in sorted(project.processed.glob("*/*/*.jpg"))]
    found = [max(of_one, key=lambda face: face.score) for of_one in load("mtcnn").detect(faces) if of_one]
    assert len(found) >= 7
    errors = [np.abs(face.landmarks - 2 * TEMPLATE).mean() for face in found]
    assert np.median(errors) < 6  # px of 224


def test_all_faces_of_a_photo_are_kept_together(project, lfw, run, real_data):
    lfw(project, 1, 3)
    person = next(project.people.iterdir())
    group = sorted((real_data / "detection/images/dlib").glob("*.jpg"))[0]
    shutil.copy(group, person / "group.jpg")
    run(pick="all", unseen_identities=0.0, near_duplicate_bits=None)
    rows = [row for row in project.manifest() if row["path"].endswith("group.jpg")]
    used = [row for row in rows if row["status"] == "used"]
    assert len(rows) == int(rows[0]["faces_in_photo"]) > 1
    assert len({row["split"] for row in used}) == 1
    assert all("group_face" in row["file"] for row in used)
    assert {row["file"] for row in used} <= set(project.files())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda people: people.rmdir(), "recognition/people is not there"),
        (lambda people: people.touch(), "holds no folders"),
        (lambda people: (people / "a.jpg").write_bytes(b"x"), "holds no folders"),
        (lambda people: (people / "a").mkdir(), "holds no photos"),
        (lambda people: [(people / "a").mkdir(), (people / "a/b.txt").write_text("x")], r"only \.txt 1"),
        (lambda people: [(people / "a").mkdir(), (people / "a/b.jpg").write_text("x")], "nobody has 2 usable photos"),
    ],
)
def test_bad_input_is_one_clear_line_and_leaves_earlier_output(project, run, make, words):
    project.processed.mkdir()
    (project.processed / "manifest.csv").write_text("earlier")
    make(project.people)
    with pytest.raises(FacelineError, match=words):
        run()
    assert (project.processed / "manifest.csv").read_text() == "earlier"


def test_few_people_go_on_without_unknown_ones(project, lfw, run, capsys):
    lfw(project, 3, 2)
    run()
    assert {path.name for path in project.processed.iterdir()} == {"train", "test", "manifest.csv"}
    out = capsys.readouterr().out
    assert "fewer than 6 people" in out
    assert "three usable photos of a person give one" in out
    assert "val is empty" in out
