import cv2
import numpy as np
import pytest

from faceline_core.data.faces import decode_face, read_face
from faceline_core.data.masks import decode_mask
from faceline_core.data.split import read_split
from faceline_core.errors import FacelineError


@pytest.fixture
def processed(tmp_path):
    for person, count in (("b", 2), ("a", 3)):
        (tmp_path / "train" / person).mkdir(parents=True)
        for index in range(count):
            cv2.imwrite(
                str(tmp_path / f"train/{person}/{index}.png"), np.full((32, 32, 3), (10, 20, 30 + index), np.uint8)
            )
    (tmp_path / "train/a/notes.txt").write_text("")
    return tmp_path


def test_a_split_is_sorted_by_person_and_file(processed):
    split = read_split(processed, "train")
    assert split.classes == ["a", "b"]
    assert [f"{p.parent.name}/{p.stem}" for p in split.paths] == ["a/0", "a/1", "a/2", "b/0", "b/1"]
    assert split.labels == [0, 0, 0, 1, 1]


def test_a_list_of_people_restricts_and_orders(processed):
    split = read_split(processed, "train", ["b", "absent", "a"])
    assert (split.classes, split.labels) == (["b", "absent", "a"], [0, 0, 2, 2, 2])


def test_blurred_copies_share_their_source(processed):
    (processed / "train/a/0.png").rename(processed / "train/a/1_blur0.5.png")
    (processed / "train/a/2.png").rename(processed / "train/a/1_face1_blur2.png")
    assert read_split(processed, "train").sources == ["a/1", "a/1", "a/1", "b/0", "b/1"]


def test_the_hash_follows_names_and_bytes(processed):
    first = read_split(processed, "train").sha256()
    assert read_split(processed, "train").sha256() == first
    (processed / "train/a/0.png").rename(processed / "train/a/5.png")
    second = read_split(processed, "train").sha256()
    (processed / "train/a/5.png").write_bytes((processed / "train/a/1.png").read_bytes())
    assert len({first, second, read_split(processed, "train").sha256()}) == 3


def test_a_split_that_is_not_there_or_empty_names_the_next_step(processed):
    with pytest.raises(FacelineError, match=r"none is not there\. Run the preprocess stage first"):
        read_split(processed / "none", "test")
    with pytest.raises(FacelineError, match=r"preprocess\.test_ratio"):
        read_split(processed, "test")
    (processed / "test").mkdir()
    with pytest.raises(FacelineError, match=r"preprocess\.test_ratio"):
        read_split(processed, "test")


def test_faces_are_rgb(processed):
    assert read_face(processed / "train/a/1.png", 32)[0, 0].tolist() == [31, 20, 10]


def test_a_face_that_does_not_do_is_named(processed):
    with pytest.raises(FacelineError, match=r"0\.png is 32 x 32 px, expected 64 x 64"):
        read_face(processed / "train/a/0.png", 64)
    (processed / "train/a/0.png").write_bytes(b"")
    with pytest.raises(FacelineError, match=r"0\.png does not decode"):
        read_face(processed / "train/a/0.png", 32)


def test_a_picture_of_too_many_pixels_is_refused(huge_picture):
    with pytest.raises(FacelineError, match=r"record key 7 does not decode\. Replace it, or leave it out"):
        decode_face(huge_picture, 112, "a.rec record key 7", preprocessed=False)
    with pytest.raises(FacelineError, match=r"a\.png is no picture that can be read\. Run preprocess again"):
        decode_mask(huge_picture, 112, "a.png")
