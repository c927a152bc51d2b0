"""Whatever labels say comes back from every format."""

import numpy as np
import pytest

from faceline_detect.annotations import read_annotations, write_annotations

KINDS = ("wider", "retinaface", "coco", "yolo")


@pytest.mark.parametrize("order", [KINDS, KINDS[::-1], ("coco", "wider", "yolo", "retinaface")], ids="-".join)
def test_real_labels_come_back_from_all_four(real_data, tmp_path, same, order):
    source = real_data / "detection"
    first = last = read_annotations(source)
    assert (len(first.pictures), sum(len(picture.boxes) for picture in first.pictures)) == (51, 218)
    for kind in order:
        write_annotations(last, tmp_path / kind, kind)
        last = read_annotations(tmp_path / kind, images=source / "images")
        same(first, last, px=0)
    write_annotations(last, tmp_path / "again.txt", "wider")
    rows = [line.split() for line in (source / "bbx_gt.txt").read_text().splitlines()]
    assert [line.split() for line in (tmp_path / "again.txt").read_text().splitlines()] == rows


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("then", KINDS)
def test_all_that_labels_can_say_comes_back(label_set, tmp_path, same, kind, then):
    write_annotations(label_set, tmp_path / "one", kind, link="hard")
    between = read_annotations(tmp_path / "one")
    same(label_set, between, px=0)
    write_annotations(between, tmp_path / "two", then, link="symbolic")
    same(label_set, read_annotations(tmp_path / "two"), px=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_random_annotations_come_back(random_set, tmp_path, same, kind, seed):
    drawn = random_set(seed)
    write_annotations(drawn, tmp_path / "labels", kind, link="hard")
    same(drawn, read_annotations(tmp_path / "labels"))


@pytest.mark.parametrize("kind", ["wider", "retinaface", "coco"])
def test_a_file_is_read_from_beside_its_pictures(label_set, same, kind):
    file = label_set.folder.parent / f"pictures/labels.{'json' if kind == 'coco' else 'txt'}"
    write_annotations(label_set, file, kind)
    same(label_set, read_annotations(file), px=0)


def test_hidden_points_and_scores_may_be_unknown_to_all(label_set, tmp_path):
    from dataclasses import replace

    plain = [replace(picture, hidden=None, scores=None, size=None) for picture in label_set.pictures]
    for kind in KINDS:
        write_annotations(replace(label_set, pictures=plain), tmp_path / kind, kind)
        back = read_annotations(tmp_path / kind, images=label_set.folder)
        assert [picture.size for picture in back.pictures] == [picture.size for picture in label_set.pictures]
        assert not any(picture.hidden.any() for picture in back.pictures)
        assert all(np.isnan(picture.scores).all() for picture in back.pictures)
