"""WIDER FACE's lists of faces that count: small ones written here, and the real ones where they are at hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from faceline_core.errors import FacelineError
from faceline_core.faces import Face
from faceline_core.parameters.detection import DetectTest
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.average_precision import evaluate
from faceline_detect.measuring import by_height, faces_that_count, measure
from faceline_detect.measuring.official_lists import LEVELS

BOXES = {
    "0--Parade": {"0_Parade_1": [[10, 20, 60, 70], [90, 20, 30, 35], [5, 5, 8, 12]], "0_Parade_2": [[0, 0, 0, 0]]},
    "9--Press": {"9_Press_7": [[100, 100, 40, 50], [300, 100, -2, 7]]},
}
PLACES = {  # from 1
    "easy": [[[1], []], [[1]]],
    "medium": [[[1, 2], []], [[1]]],
    "hard": [[[1, 2, 3], []], [[1, 2]]],
}


def column(values: list) -> np.ndarray:
    """A MATLAB cell array (N, 1)."""
    cells = np.empty((len(values), 1), object)
    for place, value in enumerate(values):
        cells[place, 0] = value
    return cells


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """A folder with the three, as WIDER FACE's are."""
    for level, places in PLACES.items():
        content = {
            "event_list": column(list(BOXES)),
            "file_list": column([column(list(pictures)) for pictures in BOXES.values()]),
            "face_bbx_list": column(
                [column([np.array(boxes, np.int32) for boxes in pictures.values()]) for pictures in BOXES.values()]
            ),
            "gt_list": column(
                [column([np.array(p, np.uint8).reshape(-1, 1) for p in pictures]) for pictures in places]
            ),
        }
        savemat(tmp_path / f"wider_{level}_val.mat", content)
    return tmp_path


@pytest.fixture
def pictures(picture_of: Callable[..., Annotation]) -> list[Annotation]:
    """The same pictures as readers give them, in another order, from a folder above: the face of negative width is to
    ignore, over the area that it spans."""
    return [
        picture_of([100, 100, 140, 150], [298, 100, 300, 107], ignore=[1], path="val/9--Press/9_Press_7.jpg"),
        picture_of(path="val/0--Parade/0_Parade_2.jpg"),
        picture_of([10, 20, 70, 90], [90, 20, 120, 55], [5, 5, 13, 17], path="val/0--Parade/0_Parade_1.jpg"),
    ]


def test_faces_are_found_by_path(lists: Path, pictures: list[Annotation]) -> None:
    counted = faces_that_count(pictures, str(lists))
    assert {level: [mark.tolist() for mark in marks] for level, marks in counted.items()} == {
        "easy": [[True, False], [], [True, False, False]],
        "medium": [[True, False], [], [True, True, False]],
        "hard": [[True, True], [], [True, True, True]],  # by the list alone, whatever is to ignore
    }


def test_a_face_of_negative_width_counts_and_is_never_found(
    lists: Path,
    pictures: list[Annotation],
    face_of: Callable[..., Face],
    settings_with: Callable[..., DetectTest],
) -> None:
    """As the published evaluation has it, which takes the lists' own boxes."""
    found = [
        [face_of(box, 0.9 - 0.1 * place) for place, box in enumerate(picture.boxes.tolist())] for picture in pictures
    ]
    figures = measure(found, pictures, settings_with(official_lists=lists), seed=0, resamples=0).figures
    truths = [np.array(boxes, float) for boxes in (BOXES["9--Press"]["9_Press_7"], *BOXES["0--Parade"].values())]
    for boxes in truths:
        boxes[:, 2:] += boxes[:, :2]
    predictions = [np.array([[*face.box, face.score] for face in faces]).reshape(-1, 5) for faces in found]
    in_order = [truths[0], truths[2], truths[1]]
    expected = evaluate(predictions, in_order, [[True, True], [False], [True, True, True]])[0]
    assert figures["ap_hard"] == expected
    assert (figures["faces_hard"], figures["wrong"], figures["missed"]) == (5, 1, 1)
    assert expected < 0.8


def test_a_listed_face_that_labels_ignore_for_a_fault_can_be_found(
    lists: Path,
    pictures: list[Annotation],
    face_of: Callable[..., Face],
    settings_with: Callable[..., DetectTest],
) -> None:
    """With skip_bad labels ignore more than the lists: they alone say what counts."""
    ignored = replace(pictures[2], ignore=np.array([True, False, False]))
    pictures = [*pictures[:2], ignored]
    found: list[list[Face]] = [[], [], [face_of(box, 0.9) for box in ignored.boxes.tolist()]]
    figures = measure(found, pictures, settings_with(official_lists=lists), seed=0, resamples=0).figures
    assert (figures["faces_hard"], figures["wrong"], figures["missed"]) == (5, 0, 2)


def changed(pictures: list[Annotation], kind: str) -> Annotation:
    first = pictures[2]
    if kind == "another name":
        return replace(first, path="0--Parade/0_Parade_3.jpg")
    if kind == "a face less":
        return replace(first, boxes=first.boxes[:2], landmarks=first.landmarks[:2], ignore=first.ignore[:2])
    if kind == "no face":
        return replace(first, boxes=first.boxes[:0], landmarks=first.landmarks[:0], ignore=first.ignore[:0])
    return replace(first, boxes=first.boxes[[1, 0, 2]])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("another name", "wider_easy_val.mat: has no picture 0--Parade/0_Parade_3. .*official_lists: null"),
        ("a face less", "0--Parade/0_Parade_1 has 3 faces there, 2 in the labels"),
        ("no face", "0--Parade/0_Parade_1 has 3 faces there, 0 in the labels"),
        ("another order", r"face 1 of 0--Parade/0_Parade_1 is \[10, 20, 70, 90\] there .*, \[90, 20, 120, 55\] in"),
    ],
)
def test_other_pictures_are_refused(lists: Path, pictures: list[Annotation], kind: str, message: str) -> None:
    with pytest.raises(FacelineError, match=message):
        faces_that_count([changed(pictures, kind)], str(lists))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "wider_medium_val.mat is not there"),
        (b"", "wider_medium_val.mat: does not read as a MATLAB file"),
        (b"no list" * 99, "wider_medium_val.mat: does not read as a MATLAB file"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM", "wider_medium_val.mat: does not read as a MATLAB file"),
        ("wider_face_val", "wider_medium_val.mat: has no gt_list"),
    ],
)
def test_files_that_are_no_lists(
    lists: Path, pictures: list[Annotation], content: bytes | str | None, message: str
) -> None:
    file = lists / "wider_medium_val.mat"
    if content is None:
        file.unlink()
    elif isinstance(content, bytes):
        file.write_bytes(content)
    else:
        savemat(file, {part: column(["x"]) for part in ("event_list", "file_list", "face_bbx_list")})
    with pytest.raises(FacelineError, match=message):
        faces_that_count(pictures, str(lists))


def test_by_height(picture_of: Callable[..., Annotation]) -> None:
    heights = [9.9, 10, 29.9, 30, 49.9, 50, 80]
    boxes = [[100 * place, 0, 100 * place + 20, height] for place, height in enumerate(heights)]
    counted = by_height([picture_of(*boxes, ignore=[6]), picture_of()])
    assert [counted[level][0].astype(int).tolist() for level in LEVELS] == [
        [0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 1, 1, 1, 0],
        [0, 1, 1, 1, 1, 1, 0],
    ]
    assert counted["easy"][1].shape == (0,)
    assert faces_that_count([picture_of(*boxes)], None)["easy"][0].tolist() == [False] * 5 + [True] * 2


def test_the_real_lists(real_data: Path) -> None:
    """3,226 pictures with 39,704 faces, of which as many count as the lists' authors say."""
    folder = real_data / "wider_gt"
    content = loadmat(folder / "wider_face_val.mat")
    pictures = []
    parts = ("event_list", "file_list", "face_bbx_list", "invalid_label_list")
    for event, names, boxes, invalid in zip(*(content[part].flat for part in parts), strict=True):
        for name, of_picture, marks in zip(names.flat, boxes.flat, invalid.flat, strict=True):
            edges = of_picture.astype(float)
            edges[:, 2:] += edges[:, :2]
            kept = np.array([box.any() for box in of_picture])  # four pictures without a face have a box of zeros
            no_size = (of_picture[:, 2:] <= 0).any(axis=1)
            pictures.append(
                Annotation(
                    f"{event.item()}/{name.item()}.jpg",
                    edges[kept],
                    np.full((kept.sum(), 5, 2), np.nan),
                    ((marks.reshape(-1) == 1) | no_size)[kept],
                    np.zeros((kept.sum(), 6), np.int64),
                )
            )
    assert (len(pictures), sum(len(picture.boxes) for picture in pictures)) == (3226, 39704)
    counted = faces_that_count(pictures, str(folder))
    found = [sum(int(mark.sum()) for mark in counted[level]) for level in LEVELS]
    assert found == [7211, 13319, 31958]  # of which the last counts one of negative width
    heights = np.concatenate([p.heights[m] for p, m in zip(pictures, counted["medium"], strict=True)])
    assert np.mean(heights >= 30) > 0.98  # which is why height stands in where there are no lists
