"""Our labels as ultralytics reads them."""

import dataclasses

import numpy as np
import pytest
import yaml
from PIL import Image

from faceline_core.errors import FacelineError
from faceline_core.faces import read_photo
from faceline_detect.annotations import Annotation
from faceline_detect.scenes import Part
from faceline_detect.yolo.dataset import write_dataset

POINTS = np.array([[20, 30], [40, 30], [30, 40], [22, 50], [38, 50]], float)


def label(path, boxes, landmarks=None, ignore=None):
    boxes = np.array(boxes, float).reshape(-1, 4)
    unknown = np.full((len(boxes), 5, 2), np.nan)
    return Annotation(
        path,
        boxes,
        unknown if landmarks is None else np.array(landmarks, float),
        np.zeros(len(boxes), bool) if ignore is None else np.array(ignore),
        np.zeros((len(boxes), 6), np.int64),
    )


@pytest.fixture
def picture(tmp_path, checkers):
    """A function that writes a picture of 100 x 80 px, and gives its path below the folder of pictures."""

    def write(name, image=None, **options):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (Image.fromarray(checkers(80, 100)) if image is None else image).save(path, **options)
        return name

    return write


def written(tmp_path, pictures, landmarks=True):
    """The folder, and of each training picture its path and its rows."""
    part = Part(pictures, tmp_path / "pictures")
    folder = write_dataset(part, part, tmp_path / "set", landmarks).parent
    rows = {}
    for path in sorted((folder / "images/train").iterdir()):
        text = (folder / f"labels/train/{path.stem}.txt").read_text()
        rows[path] = [[float(value) for value in line.split()] for line in text.splitlines()]
    return folder, rows


def test_rows_of_boxes_and_of_landmarks(tmp_path, picture):
    name = picture("a.jpg")
    known, unknown = POINTS, np.full((5, 2), np.nan)
    one = label(name, [[10, 20, 50, 60], [0, 0, 25, 40]], [known, unknown])
    folder, rows = written(tmp_path, [one])
    first, second = next(iter(rows.values()))
    assert first[:5] == pytest.approx([0, 0.3, 0.5, 0.4, 0.5])
    assert np.reshape(first[5:], (5, 3)) == pytest.approx(np.column_stack([known / [100, 80], np.full(5, 2)]))
    assert second[5:] == [0] * 15
    described = yaml.safe_load((folder / "dataset.yaml").read_text())
    assert (described["kpt_shape"], described["flip_idx"]) == ([5, 3], [1, 0, 2, 4, 3])
    assert described["kpt_oks_sigmas"] == [0.07] * 5
    assert described["names"] == {0: "face"}


def test_boxes_alone(tmp_path, picture):
    folder, rows = written(tmp_path, [label(picture("a.jpg"), [[10, 20, 50, 60]], [POINTS])], landmarks=False)
    assert next(iter(rows.values())) == [pytest.approx([0, 0.3, 0.5, 0.4, 0.5])]
    assert "kpt_shape" not in yaml.safe_load((folder / "dataset.yaml").read_text())


def test_what_lies_out_of_the_picture_is_cut_off_and_ignored_faces_are_left_out(tmp_path, picture):
    boxes = [[-20, 10, 30, 90], [10, 10, 30, 30], [110, 10, 130, 30], [10, 10, 40, 40]]
    points = np.stack([POINTS] * 4)
    points[0, 0] = -5, 20
    one = label(picture("a.jpg"), boxes, points, [False, True, False, False])
    none = label(picture("b.jpg"), [])
    _, rows = written(tmp_path, [one, none])
    (first, last), nothing = rows.values()
    assert first[:5] == pytest.approx([0, 0.15, 0.5625, 0.3, 0.875])
    assert first[5:8] == [0, 0, 0]
    assert first[8:11] == pytest.approx([0.4, 0.375, 2])
    assert last[:5] == pytest.approx([0, 0.25, 0.3125, 0.3, 0.375])
    assert nothing == []


def test_pictures_of_one_name_stay_apart_and_are_links(tmp_path, picture):
    names = picture("a/x.jpg"), picture("b/x.jpg", Image.new("RGB", (50, 40), "red"))
    _, rows = written(tmp_path, [label(name, [[5, 5, 20, 20]]) for name in names])
    for path, name in zip(rows, names, strict=True):
        assert path.samefile(tmp_path / "pictures" / name)


def test_pictures_that_are_read_otherwise_are_copied_upright(tmp_path, picture, checkers):
    exif = Image.Exif()
    exif[274] = 6
    deep = Image.fromarray(np.full((80, 100), 40_000, np.uint16))
    names = [
        picture("turned.jpg", exif=exif),
        picture("palette.png", Image.fromarray(checkers(80, 100)).convert("P")),
        picture("seen_through.png", Image.new("RGBA", (100, 80), (10, 20, 30, 90))),
        picture("deep.png", deep),
        picture("cmyk.jpg", Image.fromarray(checkers(80, 100)).convert("CMYK")),
        picture("named_otherwise.jpg", format="TIFF"),
    ]
    _, rows = written(tmp_path, [label(name, [[10, 20, 50, 60]]) for name in names])
    for path, name in zip(rows, names, strict=True):
        original = tmp_path / "pictures" / name
        assert not path.samefile(original)
        np.testing.assert_array_equal(read_photo(path), read_photo(original))
    turned = next(iter(rows))
    assert Image.open(turned).size == (80, 100)
    assert rows[turned][0][:5] == pytest.approx([0, 30 / 80, 0.4, 0.5, 0.4])


@pytest.mark.usefixtures("ultralytics_there")
def test_an_original_that_ultralytics_would_repair_is_left_as_it_is(tmp_path, picture):
    name = picture("a.jpg")
    path = tmp_path / "pictures" / name
    path.write_bytes(path.read_bytes() + b"more")
    before = path.read_bytes()
    _, rows = written(tmp_path, [label(name, [[10, 20, 50, 60]])])
    assert not next(iter(rows)).samefile(path)
    read_as_ultralytics(tmp_path / "set")
    assert path.read_bytes() == before


def read_as_ultralytics(folder):
    from faceline_detect.yolo.importing import ultralytics_at_work

    with ultralytics_at_work():
        from ultralytics.data.dataset import YOLODataset

        described = yaml.safe_load((folder / "dataset.yaml").read_text())
        return YOLODataset(img_path=str(folder / "images/train"), data=described, task="pose", augment=False).labels


@pytest.mark.usefixtures("ultralytics_there")
def test_ultralytics_reads_the_faces_that_were_labelled(tmp_path, scenes):
    from faceline_detect.annotations import read_annotations

    drawn = read_annotations(scenes / "label.txt")
    part = Part(drawn.pictures, drawn.folder)
    write_dataset(part, part, tmp_path / "set", landmarks=True)
    for picture, read in zip(drawn.pictures, read_as_ultralytics(tmp_path / "set"), strict=True):
        assert read["shape"] == (640, 640)
        centres, sizes = 640 * read["bboxes"][:, :2], 640 * read["bboxes"][:, 2:]
        boxes = np.hstack([centres - sizes / 2, centres + sizes / 2])
        order, expected = np.lexsort(boxes.T), np.lexsort(picture.boxes.T)
        np.testing.assert_allclose(boxes[order], picture.boxes[expected], atol=0.01)
        inside = (picture.landmarks >= 0).all(axis=2) & (picture.landmarks <= 640).all(axis=2)
        found = read["keypoints"][order]
        np.testing.assert_array_equal(found[..., 2] > 0, inside[expected])
        np.testing.assert_allclose(
            640 * found[..., :2][inside[expected]], picture.landmarks[expected][inside[expected]], atol=0.01
        )


def test_tiny_pictures_are_left_out_and_sets_without_a_face_refused(tmp_path, picture):
    tiny = picture("tiny.png", Image.new("RGB", (9, 40)))
    _, rows = written(tmp_path, [label(tiny, [[0, 0, 9, 9]]), label(picture("a.jpg"), [[10, 20, 50, 60]])])
    assert [path.name for path in rows] == ["000001.jpg"]
    ignored = label("a.jpg", [[10, 20, 50, 60]], ignore=[True])
    part = Part([ignored, dataclasses.replace(ignored)], tmp_path / "pictures")
    with pytest.raises(FacelineError, match="none of the scenes to train with has a face"):
        write_dataset(part, part, tmp_path / "other", landmarks=False)


def test_a_broken_picture_is_named(tmp_path, picture):
    name = picture("a.jpg")
    (tmp_path / "pictures" / name).write_bytes(b"no picture")
    with pytest.raises(FacelineError, match=r"a\.jpg: does not decode"):
        written(tmp_path, [label(name, [[10, 20, 50, 60]])])
