"""Which anchor has which face, against loops, and the faults of public code by name."""

import pytest
import torch
from torchvision.ops import box_convert, box_iou

from faceline_detect.retinaface import anchors
from faceline_detect.training import matching
from faceline_detect.training.matching import match
from faceline_detect.training.targets import Target


def target(boxes, ignored=()):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    ignore = torch.zeros(len(boxes), dtype=torch.bool)
    ignore[list(ignored)] = True
    return Target(boxes, torch.full((len(boxes), 5, 2), torch.nan), ignore)


def around(x, y, width, height=None):
    return [x - width / 2, y - (height or width) / 2, x + width / 2, y + (height or width) / 2]


def takers(overlaps, faces):
    """Of each anchor, by the definition: the face of the highest IoU from 0.35 on; best anchors, from 0.2 on, first."""
    found = [-1] * overlaps.shape[1]
    for anchor in range(overlaps.shape[1]):
        best = max(faces, key=lambda face: overlaps[face, anchor], default=-1)
        if best >= 0 and overlaps[best, anchor] >= 0.35:
            found[anchor] = best
    forced = {}
    for face in faces:
        anchor = int(overlaps[face].argmax())
        value = float(overlaps[face, anchor])
        if value >= torch.tensor(0.2) and value > forced.get(anchor, (0, 0))[0]:
            forced[anchor] = (value, face)
    for anchor, (_, face) in forced.items():
        found[anchor] = face
    return found


def slowly(one, grid):
    squares = box_convert(grid, "cxcywh", "xyxy")
    overlaps = box_iou(one.boxes, squares)
    has = takers(overlaps, [i for i, out in enumerate(one.ignore) if not out])
    out = takers(overlaps, [i for i, out in enumerate(one.ignore) if out])
    for anchor, square in enumerate(squares):
        common = torch.minimum(square[2:], one.boxes[one.ignore, 2:]) - torch.maximum(
            square[:2], one.boxes[one.ignore, :2]
        )
        inside = (common.clamp(min=0).prod(1) >= 0.5 * (square[2:] - square[:2]).prod()).any()
        if has[anchor] == -1 and (out[anchor] >= 0 or inside):
            has[anchor] = -2
    return has


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("block", [200_000, 500])
def test_as_the_definition_reads(seed, block, monkeypatch):
    monkeypatch.setitem(matching._AT_A_TIME, "cpu", block)  # all faces at once, and one after the other
    random = torch.Generator().manual_seed(seed)
    corners = torch.rand(14, 2, generator=random) * 120 - 10
    sizes = torch.exp(torch.rand(14, 2, generator=random) * 4 + 1)
    sizes[:, 1] = sizes[:, 0] * (0.7 + 0.6 * torch.rand(14, generator=random))
    faces = target(torch.cat([corners, corners + sizes], 1).tolist(), ignored=(0, 5, 11))
    grid = anchors(128, 96)
    found = match(faces, grid)
    assert found.dtype == torch.int64
    assert found.tolist() == slowly(faces, grid)
    assert set(found.tolist()) > {-1, -2}


def test_a_tiny_face_does_not_take_the_anchor_of_a_larger_one():
    """Its best anchor is the larger face's, and their IoU is 16 / 256: below 0.2."""
    grid = anchors(64, 64)
    large, tiny = around(20, 20, 16), around(20, 20, 4)
    for order, index in (([large, tiny], 0), ([tiny, large], 1)):
        found = match(target(order), grid)
        assert set(found.tolist()) == {index, -1}
        assert found[((grid == torch.tensor([20.0, 20, 16, 16])).all(1)).nonzero()[0, 0]] == index


def test_a_face_takes_its_best_anchor_from_0_2_on():
    """12 px upright and 4.8 px wide: in the 16 px anchor at its centre 57.6 / 256 = 0.225, less in any other."""
    grid = anchors(64, 64)
    found = match(target([around(20, 20, 4.8, 12)]), grid)
    assert (found == 0).sum() == 1
    assert grid[found == 0].tolist() == [[20.0, 20, 16, 16]]
    assert (match(target([around(20, 20, 4, 12)]), grid) == -1).all()  # 0.1875


def test_of_two_faces_that_take_one_anchor_the_one_that_overlaps_it_more_has_it():
    grid = anchors(64, 64)
    place = (grid == torch.tensor([20.0, 20, 16, 16])).all(1)
    better, worse = around(20, 20, 14), around(20, 20, 9)
    assert match(target([better, worse]), grid)[place].item() == 0
    assert match(target([worse, better]), grid)[place].item() == 1
    assert match(target([better, better]), grid)[place].item() == 0  # of equal ones the first


def test_a_best_anchor_is_taken_also_from_a_face_that_overlaps_it_more():
    """The small face's best anchor, IoU 0.25, is covered better by the large face, whose best is another one."""
    grid = torch.tensor([[20.0, 20, 16, 16], [20, 20, 20, 20]])
    found = match(target([around(20, 20, 20), around(20, 20, 8)]), grid)
    assert found.tolist() == [1, 0]


def test_faces_of_no_size_or_less_take_nothing():
    grid = anchors(64, 64)
    found = match(target([[20, 20, 20, 20], [20, 20, 36, 20], [36, 36, 20, 20], around(44, 44, 32)]), grid)
    assert set(found.tolist()) == {3, -1}


def test_no_faces_and_none_that_count():
    grid = anchors(64, 64)
    assert (match(target([]), grid) == -1).all()
    found = match(target([around(32, 32, 64)], ignored=[0]), grid)
    assert set(found.tolist()) == {-1, -2}
    assert (found[(grid[:, 2] == 16) & ((grid[:, :2] - 32).abs() < 30).all(1)] == -2).all()  # in it, small as they are


def test_a_face_over_an_ignored_box_is_still_to_be_found():
    found = match(target([around(32, 32, 64), around(36, 36, 16)], ignored=[0]), anchors(64, 64))
    assert (found == 1).any()
