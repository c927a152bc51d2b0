import pytest
import torch

from faceline_detect.training.contact_sheet import contact_sheet
from faceline_detect.training.targets import Target

SIDE = 160
POINTS = torch.tensor([[60.0, 50], [100, 50], [80, 70], [65, 90], [95, 90]])
RED, BLUE, WHITE, ORANGE, CYAN = (255, 60, 60), (70, 130, 255), (255, 255, 255), (255, 150, 0), (0, 230, 230)


def sample(shade=0, faces=()):
    boxes = torch.tensor([[40.0, 30, 120, 110]] * len(faces)).reshape(-1, 4)
    landmarks = torch.stack([points for points, _ in faces]) if faces else torch.empty(0, 5, 2)
    ignore = torch.tensor([ignored for _, ignored in faces], dtype=torch.bool)
    return torch.full((3, SIDE, SIDE), shade, dtype=torch.uint8), Target(boxes, landmarks, ignore)


def test_landmarks_are_coloured_by_side_and_boxes_by_whether_they_are_learnt():
    sheet = contact_sheet([sample(faces=[(POINTS, False)])], 1)
    square = sheet[6:-6, 6:-6]
    assert square.shape == (3 * SIDE, 3 * SIDE, 3)
    for (x, y), colour in zip(POINTS.int().tolist(), (RED, BLUE, WHITE, ORANGE, CYAN), strict=True):
        ys, xs = (square == colour).all(axis=2).nonzero()
        assert (xs.mean(), ys.mean()) == (3 * x + 1, 3 * y + 1)
    assert square[90, 240].tolist() == square[329, 240].tolist() == [64, 220, 96]
    unknown = contact_sheet([sample(faces=[(torch.full((5, 2), torch.nan), True)])], 1)[6:-6, 6:-6]
    assert unknown[90, 240].tolist() == [160, 160, 160]
    assert {tuple(colour) for colour in unknown.reshape(-1, 3).tolist()} == {(0, 0, 0), (160, 160, 160)}


@pytest.mark.parametrize(("count", "columns", "shape"), [(16, 4, (4, 4)), (5, 4, (2, 4)), (1, 4, (1, 4))])
def test_squares_stand_in_rows(count, columns, shape):
    sheet = contact_sheet([sample(10 * number) for number in range(count)], columns)
    pitch = 3 * SIDE + 6
    assert sheet.shape == (shape[0] * pitch + 6, shape[1] * pitch + 6, 3)
    for number in range(count):
        row, column = divmod(number, columns)
        assert (
            sheet[row * pitch + 6 : (row + 1) * pitch, column * pitch + 6 : (column + 1) * pitch] == 10 * number
        ).all()
    assert (sheet[: pitch + 6][:, (min(count, columns)) * pitch + 6 :] == 255).all()


def test_the_samples_stay_as_they_are():
    image, target = sample(faces=[(POINTS, False)])
    large = torch.zeros(3, 640, 640, dtype=torch.uint8)
    contact_sheet([(image, target)], 1)
    assert contact_sheet([(large, target)], 1).shape == (652, 652, 3)
    assert not image.any()
    assert not large.any()
