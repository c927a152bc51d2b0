"""Which picture trains, chooses or is measured on: shares, stability, and no picture in two splits."""

import numpy as np
import pytest

from faceline_core.errors import FacelineError
from faceline_detect.annotations.kinds import Annotation
from faceline_detect.splitting import split


def picture(path, faces=1, ignored=0):
    count = faces + ignored
    return Annotation(
        path, np.zeros((count, 4)), np.full((count, 5, 2), np.nan), np.arange(count) >= faces, np.zeros((count, 6), int)
    )


def pictures(count, faces=1):
    return [picture(f"{i // 50}--event/{i}.jpg", faces) for i in range(count)]


def placed(parts):
    return {each.path: name for name, part in zip(("train", "val", "test"), parts, strict=True) for each in part}


def test_every_picture_is_in_one_split_in_its_order():
    whole = pictures(500)
    parts = split(whole, 0.1, 0.2, 1)
    assert sorted(each.path for part in parts for each in part) == sorted(each.path for each in whole)
    order = {each.path: place for place, each in enumerate(whole)}
    assert all([order[each.path] for each in part] == sorted(order[each.path] for each in part) for part in parts)
    assert len(placed(parts)) == 500


def test_shares_are_met_on_average():
    sizes = np.array([[len(part) for part in split(pictures(200), 0.1, 0.2, seed)] for seed in range(60)])
    assert sizes.mean(axis=0) == pytest.approx(np.array([140, 20, 40]), abs=2)
    assert [len(part) for part in split(pictures(12_000), 0.1, 0.2, 1)] == pytest.approx([8400, 1200, 2400], abs=120)


def test_a_picture_more_moves_no_other_and_the_seed_does():
    whole = pictures(300)
    before = placed(split(whole[:299], 0.1, 0.2, 1))
    assert {path: name for path, name in placed(split(whole[::-1], 0.1, 0.2, 1)).items() if path in before} == before
    assert placed(split(whole[:299], 0.1, 0.2, 2)) != before


@pytest.mark.parametrize("count", [3, 4, 8])
def test_each_split_has_a_face_to_find(count):
    for seed in range(60):
        mixed = [picture(f"{i}.jpg", faces=0, ignored=2 * (i % 2)) for i in range(20)] + pictures(count)
        parts = split(mixed, 0.05, 0.05, seed)
        assert all(any((~each.ignore).any() for each in part) for part in parts)
        assert sum(map(len, parts)) == 20 + count
        held = [sum(bool((~each.ignore).any()) for each in part) for part in parts]
        assert count > 3 or held == [1, 1, 1]


def test_too_few_pictures():
    for few in (pictures(2), [], [*pictures(2), picture("a.jpg", faces=0), picture("b.jpg", faces=0, ignored=1)]):
        with pytest.raises(
            FacelineError, match=rf"of {len(few)} pictures show a face to find .* too few for test, val"
        ):
            split(few, 0.1, 0.2, 1)


def test_a_ratio_of_nothing_leaves_a_split_empty():
    train, val, test = split(pictures(40), 0, 0.5, 1)
    assert (val, len(train) + len(test)) == ([], 40)
    assert [len(part) for part in split(pictures(1), 0, 0, 1)] == [1, 0, 0]


def test_copies_stay_together(tmp_path):
    """Forty pictures, ten contents of one size: without a look at the files they would be torn apart."""
    copies = [picture(f"{name}{i}.jpg") for i in range(10) for name in "abcd"]
    for each in copies:
        (tmp_path / each.path).write_bytes(b"content " + each.path[1].encode())
    torn = placed(split(copies, 0.3, 0.3, 1))
    kept = placed(split(copies, 0.3, 0.3, 1, tmp_path))
    assert any(torn[f"a{i}.jpg"] != torn[f"{name}{i}.jpg"] for i in range(10) for name in "bcd")
    for i in range(10):
        assert {kept[f"{name}{i}.jpg"] for name in "abcd"} == {torn[f"a{i}.jpg"]}
    with pytest.raises(FacelineError, match="1 of 4 pictures show a face to find and are not the same file"):
        split(copies[:4], 0.3, 0.3, 1, tmp_path)


def test_files_of_different_bytes_are_no_copies_whatever_their_size(tmp_path):
    whole = pictures(30)
    for number, each in enumerate(whole):
        (tmp_path / each.path).parent.mkdir(exist_ok=True)
        (tmp_path / each.path).write_bytes(bytes([number]) * (1 + number % 3))
    assert placed(split(whole, 0.2, 0.2, 5, tmp_path)) == placed(split(whole, 0.2, 0.2, 5))


def test_a_missing_picture(tmp_path):
    with pytest.raises(FacelineError, match=r"0\.jpg: No such file or directory\. Put it there"):
        split(pictures(4), 0.1, 0.1, 1, tmp_path)
