"""RecordIO files with names and masks beside them, and subsets of them."""

import pickle
import shutil

import cv2
import numpy as np
import pytest

from faceline_core.data.folder import FolderFaces
from faceline_core.data.packing import PackedFace, pack_split
from faceline_core.data.part import of_people, sources_of
from faceline_core.data.processed import has_split, open_processed
from faceline_core.data.recorded import RecordFaces, open_recordio
from faceline_core.data.recordio import RecordFile, write_records
from faceline_core.data.split import read_split
from faceline_core.errors import FacelineError

SIZE = 16
NAMES = ["ada/1.jpg", "ada/1_blur0.5.jpg", "ada/2.jpg", "bob é/1.jpg", "cleo/a_face2.jpg", "cleo/b.jpg"]
LABELS = {"ada": 0, "bob é": 2, "cleo": 3, "nobody": 1}
MASKED = {0: 255, 1: 255, 4: 0}
"""Of the faces, by their places: the grey level of their masks."""


def picture(grey, channels=3):
    return cv2.imencode(".png", np.full((SIZE, SIZE, channels), grey, np.uint8))[1].tobytes()


@pytest.fixture
def folder(tmp_path):
    """The faces as preprocess lays them out in folders; face i is of grey level 10 i."""
    for index, name in enumerate(NAMES):
        file = tmp_path / "folder/train" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture(10 * index))
        mask = tmp_path / "folder/masks/train" / name
        mask.parent.mkdir(parents=True, exist_ok=True)
        if index in MASKED:
            mask.with_suffix(".png").write_bytes(picture(MASKED[index], 1))
    return tmp_path / "folder"


@pytest.fixture
def packed(folder, tmp_path):
    faces = [
        PackedFace(name, folder / "train" / name, folder / "masks/train" / f"{name[:-4]}.png" if i in MASKED else None)
        for i, name in enumerate(NAMES)
    ]
    pack_split(tmp_path / "packed", "train", faces, LABELS, SIZE)
    return tmp_path / "packed"


def test_packed_faces_are_those_of_the_folder(folder, packed):
    plain, records = open_processed(folder, "train", SIZE), open_processed(packed, "train", SIZE)
    assert (records.classes, records.labels) == (plain.classes, plain.labels)
    assert list(records.sources) == list(plain.sources)
    assert sources_of(records)[:3] == ["ada/1", "ada/1", "ada/2"]
    assert [records.face(index).tolist() for index in range(6)] == [plain.face(index).tolist() for index in range(6)]
    assert records.has_masks == plain.has_masks is True
    for index in range(6):
        mine, theirs = records.mask(index), plain.mask(index)
        assert (mine is None) == (theirs is None) == (index not in MASKED)
        assert mine is None or (mine == theirs).all()
    assert records.describe(3) == f"{packed}/train.rec record key 4 (bob é/1.jpg)"
    copy = pickle.loads(pickle.dumps(records))  # noqa: S301
    assert (copy.classes, copy.face(5)[0, 0, 0], copy.mask(4)[0, 0]) == (records.classes, 50, 0)


def test_files_are_of_the_field(packed):
    assert {path.name for path in packed.iterdir()} == {
        *("train.rec", "train.idx", "train.names", "train_masks.rec", "train_masks.idx", "property")
    }
    assert RecordFile(packed / "train.rec").labels().tolist() == [0, 0, 0, 2, 3, 3]
    assert (packed / "property").read_text() == f"3,{SIZE},{SIZE}\n"
    assert (packed / "train.names").read_text(encoding="utf-8").splitlines() == NAMES
    assert [mask for _, mask in RecordFile(packed / "train_masks.rec")].count(b"\0") == 3


def test_without_masks_or_for_another_split_fewer_files(folder, tmp_path):
    pack_split(tmp_path / "new", "val", [PackedFace(NAMES[0], folder / "train" / NAMES[0])], LABELS, SIZE)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"val.rec", "val.idx", "val.names"}
    faces = open_recordio(tmp_path / "new", "val", SIZE)
    assert (faces.has_masks, faces.mask(0), faces.classes) == (False, None, ["ada"])
    with pytest.raises(FacelineError, match=r"'a\\nb/1\.jpg' holds a line break"):
        pack_split(tmp_path / "new", "val", [PackedFace("a\nb/1.jpg", folder)], {"a\nb": 0}, SIZE)


def test_people_of_a_list_and_splits_that_are_not_there(folder, packed):
    for place in (folder, packed):
        faces = open_processed(place, "train", SIZE, ["cleo", "gone", "ada"])
        assert (faces.classes, sorted(faces.labels)) == (["cleo", "gone", "ada"], [0, 0, 2, 2, 2])
        assert (has_split(place, "train"), has_split(place, "unseen")) == (True, False)
        with pytest.raises(FacelineError, match="holds no faces"):
            open_processed(place, "test", SIZE)
    assert isinstance(open_processed(folder, "train", SIZE), FolderFaces)


def test_names_are_part_of_the_hash_and_go_with_the_records(packed):
    before = open_recordio(packed, "train", SIZE).sha256()
    assert open_recordio(packed, "train", SIZE).sha256() == before
    names = packed / "train.names"
    text = names.read_text(encoding="utf-8")
    names.write_text(text.replace("cleo/b", "cleo/c"), encoding="utf-8")
    assert open_recordio(packed, "train", SIZE).sha256() != before
    for changed, what in (
        (text.replace("cleo/b", "bob é/b"), r"train\.names: line 6 names bob é, but its label, 3, is cleo's"),
        (text.replace("cleo", "ada"), r"train\.names: ada has two labels"),
        (text.replace("cleo/b.jpg\n", ""), r"train\.names has 5 lines, expected one for each of 6 faces"),
        (text.replace("cleo/b.jpg", "cleo"), r"train\.names: line 6: expected <person>/<photo>, found 'cleo'"),
        (text.replace("ada/2.jpg", "/2.jpg"), "line 3: expected <person>/<photo>"),
    ):
        names.write_text(changed, encoding="utf-8")
        with pytest.raises(FacelineError, match=what):
            open_recordio(packed, "train", SIZE)
    names.write_bytes(b"\xff\n" * 6)
    with pytest.raises(FacelineError, match=r"not UTF-8 text \(byte 0\)"):
        open_recordio(packed, "train", SIZE)
    names.unlink()
    plain = open_recordio(packed, "train", SIZE)
    assert plain.classes == ["0", "2", "3"]
    assert type(plain) is RecordFaces
    assert not hasattr(plain, "sources")


def test_masks_that_do_not_fit(packed):
    masks = packed / "train_masks.rec"
    whole = list(RecordFile(masks))
    write_records(masks, whole[:5])
    with pytest.raises(
        FacelineError, match=r"train_masks\.rec has 5 masks, which are not those of the 6 faces of train"
    ):
        open_recordio(packed, "train", SIZE)
    small = cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes()
    write_records(masks, [*whole[:4], (3, small), (3, b"no picture")])
    faces = open_recordio(packed, "train", SIZE)
    with pytest.raises(
        FacelineError, match=r"train_masks\.rec record key 5 is a mask of 8 x 8 px, its face has 16 x 16"
    ):
        faces.mask(4)
    with pytest.raises(FacelineError, match=r"train_masks\.rec record key 6 is no picture"):
        faces.mask(5)


def test_a_subset_keeps_names_and_masks(packed):
    (packed / "train.txt").write_text("6\n2\n4\n1\n5\n")
    faces = open_recordio(packed, "train", SIZE)
    assert (faces.classes, faces.labels) == (["ada", "bob é", "cleo"], [0, 0, 1, 2, 2])
    assert faces.names == [NAMES[place] for place in (0, 1, 3, 4, 5)]
    assert faces.mask(3)[0, 0] == 0
    kept = of_people(faces, ["ada", "cleo"])
    assert [kept.face(index)[0, 0, 0] for index in range(4)] == [0, 10, 40, 50]
    assert kept.mask(2)[0, 0] == 0


def test_what_reads_folders_says_what_lies_there_instead(packed, folder):
    with pytest.raises(FacelineError, match=r"packed holds train\.rec, where a folder train was expected"):
        read_split(packed, "train")
    shutil.copy(packed / "train.rec", folder / "train.rec")
    assert len(read_split(folder, "train").paths) == 6
