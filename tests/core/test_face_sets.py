"""The faces that training opens: folders, RecordIO, tables, holding out."""

import pickle

import cv2
import numpy as np
import pytest

from faceline_core.data.holdout import held_out
from faceline_core.data.packing import PackedFace, pack_split
from faceline_core.data.recordio import write_records
from faceline_core.errors import FacelineError

SIZE = 32


def picture(grey, size=SIZE):
    return np.full((size, size, 3), grey, np.uint8)


def png(grey, size=SIZE):
    return cv2.imencode(".png", picture(grey, size))[1].tobytes()


@pytest.fixture
def people():
    """Person to grey levels of faces: for training, for validation."""
    return {"10": [10, 11, 12], "7": [70, 71], "8": [80]}, {"10": [15], "7": [75], "99": [200]}


@pytest.fixture
def sets(tmp_path, people):
    """The same faces in each format: a function from its name to the folder."""
    for split, faces in zip(("train", "val"), people, strict=True):
        for person, greys in faces.items():
            (tmp_path / f"folder/{split}/{person}").mkdir(parents=True)
            for grey in greys:
                (tmp_path / f"folder/{split}/{person}/{grey}.png").write_bytes(png(grey))
        items = [(int(person), png(grey)) for person, greys in faces.items() for grey in greys]
        write_records(tmp_path / f"recordio/{split}.rec", items, SIZE)
        (tmp_path / "csv").mkdir(exist_ok=True)
        files = [
            (person, f"../folder/{split}/{person}/{grey}.png") for person, greys in faces.items() for grey in greys
        ]
        (tmp_path / f"csv/{split}.csv").write_text("label,path\n" + "".join(f"{p},{file}\n" for p, file in files))
    return tmp_path


@pytest.mark.parametrize("name", ["folder", "recordio", "csv"])
def test_every_format_gives_the_same_faces(sets, people, name, opened, contents):
    train, val = opened(sets / name, name)
    assert train.classes == val.classes == (["7", "8", "10"] if name == "recordio" else ["10", "7", "8"])
    assert sorted(contents(train)) == sorted((person, g) for person, greys in people[0].items() for g in greys)
    assert sorted(contents(val)) == [("10", 15), ("7", 75)], "person 99 was not trained on"
    assert all(len(faces) == len(faces.labels) for faces in (train, val))
    assert train.face(0).shape == (SIZE, SIZE, 3)
    assert (
        train.describe(0)
        == {
            "folder": f"{sets}/folder/train/10/10.png",
            "recordio": f"{sets}/recordio/train.rec record key 1",
            "csv": f"{sets}/csv/../folder/train/10/10.png",
        }[name]
    )
    copy = pickle.loads(pickle.dumps(train))  # noqa: S301
    assert contents(copy) == contents(train)


@pytest.mark.parametrize("name", ["folder", "recordio", "csv"])
def test_a_list_of_people_restricts_and_orders(sets, name, opened, contents):
    train, val = opened(sets / name, name, classes=["7", "10"])
    assert train.classes == val.classes == ["7", "10"]
    assert sorted(contents(train)) == [("10", 10), ("10", 11), ("10", 12), ("7", 70), ("7", 71)]
    assert sorted(contents(val)) == [("10", 15), ("7", 75)]
    assert len({train.sha256(), val.sha256(), opened(sets / name, name, classes=["10", "7"])[0].sha256()}) == 3
    with pytest.raises(FacelineError, match=r"train\S* has no faces of nobody, whom `classes` names\. Take them from"):
        opened(sets / name, name, classes=["7", "nobody"])
    with pytest.raises(FacelineError, match=r"train\S* has one person, 7: a classifier needs two"):
        opened(sets / name, name, classes=["7"])


@pytest.mark.parametrize("name", ["folder", "recordio", "csv"])
def test_people_with_few_faces_are_left_out(sets, name, opened, contents):
    """10 has three faces to train on and one to validate on, 7 two and one, 8 one."""
    train, val = opened(sets / name, name, min_images=2)
    assert train.classes == val.classes == (["7", "10"] if name == "recordio" else ["10", "7"])
    assert sorted(contents(train)) == [("10", 10), ("10", 11), ("10", 12), ("7", 70), ("7", 71)]
    assert sorted(contents(val)) == [("10", 15), ("7", 75)]
    assert train.describe(0) == opened(sets / name, name)[0].describe(0)
    with pytest.raises(
        FacelineError, match=r"min_images: 3, but in .*train\S* 1 of 3 people have so many faces.* Set it to 2 or less"
    ):
        opened(sets / name, name, min_images=3)
    with pytest.raises(
        FacelineError, match=r"min_images: 3, but .*train\S* has 2 of 7, whom `classes` names\. Lower it"
    ):
        opened(sets / name, name, min_images=3, classes=["10", "7"])
    with pytest.raises(FacelineError, match=r"has no faces of nobody, whom `classes` names"):
        opened(sets / name, name, min_images=3, classes=["10", "nobody"])
    for file in ("folder/val/10", "folder/val/7", "folder/val/99", "recordio/val.rec", "csv/val.csv"):
        (sets / file).rename(sets / file.replace("/", "_"))
    train, val = opened(sets / name, name, min_images=2, holdout=0.3)
    assert (len(train), len(val), len(train.classes)) == (3, 2, 2), "faces that are held out count"


@pytest.mark.parametrize("name", ["folder", "recordio", "csv"])
def test_the_hash_follows_the_faces(sets, name, opened):
    first = opened(sets / name, name)[0].sha256()
    assert opened(sets / name, name)[0].sha256() == first
    (sets / "folder/train/8/80.png").write_bytes(png(81))
    write_records(sets / "recordio/train.rec", [(8, png(81)), (7, png(70)), (10, png(10))])
    assert opened(sets / name, name)[0].sha256() != first


@pytest.mark.parametrize("name", ["folder", "recordio", "csv"])
def test_a_wrong_size_or_a_broken_picture_is_named_at_once(sets, name, opened):
    with pytest.raises(FacelineError, match=r"(10\.png|record key 1) is 32 x 32 px, expected 64 x 64"):
        opened(sets / name, name, size=64)
    (sets / "folder/train/10/10.png").write_bytes(b"no picture")
    write_records(sets / "recordio/train.rec", [(1, b"no picture"), (2, png(1))])
    with pytest.raises(FacelineError, match=r"(10\.png|record key 1) does not decode"):
        opened(sets / name, name)


def test_people_held_back_are_named(sets, opened):
    (sets / "folder/unseen/them [1]").mkdir(parents=True)
    with pytest.raises(FacelineError, match=r"no faces of them \[1\] \(them \[1\]: held back as unseen\), whom"):
        opened(sets / "folder", "folder", classes=["7", "them [1]"])
    (sets / "folder/train/empty").mkdir()
    with pytest.raises(FacelineError, match=r"has no faces of empty\. Take them out, or add photos and run preprocess"):
        opened(sets / "folder", "folder")


def test_records_that_preprocess_wrote_are_known_as_such(tmp_path, sets, opened):
    """By their names; of records of others nobody can run preprocess again."""
    for split, people in (("train", "ab"), ("unseen_val", "c"), ("unseen", "d")):
        faces = [PackedFace(f"{who}/{i}.png", sets / f"folder/train/10/{10 + i}.png") for who in people for i in (0, 1)]
        pack_split(tmp_path / "packed", split, faces, {who: place for place, who in enumerate("abcd")}, SIZE)
    with pytest.raises(
        FacelineError, match=r"to validate on\. .* or run preprocess with preprocess\.val_ratio above 0"
    ):
        opened(tmp_path / "packed", "recordio")
    with pytest.raises(
        FacelineError,
        match=r"train\.rec has no faces of c, d, e \(c, d: held back as unseen\).*photos and run preprocess again",
    ):
        opened(tmp_path / "packed", "recordio", classes=["a", "c", "d", "e"])
    (tmp_path / "packed/train.names").unlink()
    with pytest.raises(FacelineError, match=r"training faces, or add it"):
        opened(tmp_path / "packed", "recordio")


def test_records_by_a_list_of_keys(sets, opened, contents):
    keys = sets / "recordio/train.txt"
    keys.write_text("5\n1\n4\n\n2\n")
    train, _ = opened(sets / "recordio", "recordio")
    assert contents(train) == [("10", 10), ("10", 11), ("7", 70), ("7", 71)]
    assert (train.classes, train.labels) == (["7", "10"], [1, 1, 0, 0])
    keys.write_text("1\n2\n4\n6\n5\n")
    train, _ = opened(sets / "recordio", "recordio", min_images=2)
    assert (train.classes, train.labels) == (["7", "10"], [1, 1, 0, 0]), "of those that are listed, without gaps"
    for text, what in (
        ("1\n7\n", r"train\.txt: line 2: expected a record key from 1 to 6, found 7"),
        ("0\n", "line 1: expected a record key from 1 to 6, found 0"),
        ("one\n", "line 1: expected a record key"),
        ("3\n\n3\n", "line 3: key 3 stands in line 1 already"),
        ("", r"train\.txt holds no images"),
    ):
        keys.write_text(text)
        with pytest.raises(FacelineError, match=what):
            opened(sets / "recordio", "recordio")


def test_faults_of_a_table_name_the_line(sets, opened, contents):
    table = sets / "csv/train.csv"
    files = [f"../folder/train/10/{grey}.png" for grey in (10, 11)]
    for text, what in (
        ("", r"train\.csv: line 1 must name the columns path and label, found nothing"),
        ("file,label\na,b\n", "line 1 must name the columns path and label, found file, label"),
        ("path,label\n", r"train\.csv lists no faces"),
        (f"path,label\n{files[0]},a\n{files[1]},\n", "line 3: has no label"),
        (f"path,label\n{files[0]}\n", "line 2: has no label"),
        ("path,label\n,a\n", "line 2: has no path"),
        (f"path,label\n{files[0]},a\nnone.png,b\n", r"line 3: .*csv/none\.png is not there"),
        (f"path,label\n{files[0]},a\n{files[0]},b\n", r"line 3: .*10\.png shows b, but a in line 2"),
    ):
        table.write_text(text)
        with pytest.raises(FacelineError, match=what):
            opened(sets / "csv", "csv")
    table.write_bytes(b"path,label\n\xff,a\n")
    with pytest.raises(FacelineError, match=r"not UTF-8 text \(byte 11\)"):
        opened(sets / "csv", "csv")
    absolute = (sets / "folder/train/8/80.png").as_posix()
    table.write_text(f"\ufeffpath,other,label\n{absolute},1,a\n{files[0]},2, b \n", encoding="utf-8")
    (sets / "csv/val.csv").unlink()
    with pytest.raises(FacelineError, match=r"nobody in .* has two photos"):
        opened(sets / "csv", "csv", holdout=0.5)
    (sets / "csv/val.csv").write_text(f"path,label\n{absolute},a\n")
    assert contents(opened(sets / "csv", "csv")[0]) == [("a", 80), ("b", 10)]


def test_what_is_not_there(sets, tmp_path, opened):
    for name, file in (("recordio", r"train\.rec"), ("csv", r"train\.csv")):
        with pytest.raises(FacelineError, match=rf"none/{file} is not there\. dataset\.format: {name} looks for it"):
            opened(tmp_path / "none", name)
    with pytest.raises(FacelineError, match=r"none is not there\. Run the preprocess stage first"):
        opened(tmp_path / "none", "folder")
    with pytest.raises(FacelineError, match=r"dataset\.format: recordo is unknown; did you mean recordio\?"):
        opened(sets / "recordio", "recordo")
    with pytest.raises(FacelineError, match="is unknown; known are folder, recordio, csv"):
        opened(sets / "recordio", "zzz")


@pytest.mark.parametrize("name", ["folder", "recordio", "csv"])
def test_without_val_faces_are_held_out(sets, name, opened, contents):
    with pytest.raises(FacelineError, match=r"dataset\.holdout: 0\.3, but there is .*val\S* to validate on"):
        opened(sets / name, name, holdout=0.3)
    for file in ("folder/val/10", "folder/val/7", "folder/val/99", "recordio/val.rec", "csv/val.csv"):
        (sets / file).rename(sets / file.replace("/", "_"))
    with pytest.raises(FacelineError, match=r"val\S*: there is nothing to validate on\. Set dataset\.holdout to"):
        opened(sets / name, name)
    train, val = opened(sets / name, name, holdout=0.3)
    assert train.classes == val.classes
    assert sorted(person for person, _ in contents(train)) == ["10", "10", "7", "8"]
    assert sorted(person for person, _ in contents(val)) == ["10", "7"], "one of 3, one of 2, none of 1"
    assert {g for _, g in contents(train)} | {g for _, g in contents(val)} == {10, 11, 12, 70, 71, 80}
    assert contents(opened(sets / name, name, holdout=0.3)[1]) == contents(val)
    assert len({str(contents(opened(sets / name, name, holdout=0.3, seed=s)[1])) for s in range(20)}) > 2
    assert train.sha256() != val.sha256()


def test_val_of_other_people_does_not_do(sets, opened):
    (sets / "csv/val.csv").write_text("path,label\n../folder/val/99/200.png,99\n")
    with pytest.raises(FacelineError, match=r"val\.csv has no faces of the 3 people to train on"):
        opened(sets / "csv", "csv")


def test_a_holdout_keeps_copies_of_a_photo_together():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 400).tolist()
    sources = [f"{label}/{rng.integers(40)}" for label in labels]
    for fraction in (0.01, 0.2, 0.5, 0.99):
        drawn = held_out("abcde", labels, sources, fraction, seed=3)
        assert drawn == sorted(set(drawn))
        rest = set(range(400)).difference(drawn)
        assert {sources[i] for i in drawn}.isdisjoint(sources[i] for i in rest)
        largest = max(map(sources.count, sources))
        for label in range(5):
            count, mine = labels.count(label), sum(labels[i] == label for i in drawn)
            if fraction < 0.9:
                assert max(1, round(fraction * count)) <= mine < max(1, round(fraction * count)) + largest
            assert 0 < mine < count
    few = held_out("abcde", labels[:300], sources[:300], 0.2, seed=3)
    both = {sources[i] for i in few} & {sources[i] for i in held_out("abcde", labels, sources, 0.2, seed=3)}
    assert len(both) > 0.8 * len({sources[i] for i in few}), "photos that come in anew change little"
