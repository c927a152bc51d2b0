"""Boxes and landmarks against an anchor, by hand and there and back."""

import math

import torch

from faceline_detect.retinaface.coding import decode_boxes, decode_landmarks, encode_boxes, encode_landmarks

ANCHOR = torch.tensor([100.0, 60.0, 32.0, 16.0])


def test_boxes_by_hand():
    coded = encode_boxes(torch.tensor([90.0, 40.0, 154.0, 88.0]), ANCHOR)  # centre 122, 64, size 64, 48
    torch.testing.assert_close(coded, torch.tensor([22 / 3.2, 4 / 1.6, math.log(2) / 0.2, math.log(3) / 0.2]))
    found = decode_boxes(torch.tensor([1.0, -2.0, 0.0, math.log(2) / 0.2]), ANCHOR)  # centre 103.2, 56.8, size 32, 32
    torch.testing.assert_close(found, torch.tensor([87.2, 40.8, 119.2, 72.8]))


def test_landmarks_by_hand():
    landmarks = torch.tensor([[100.0, 60.0], [103.2, 60.0], [100.0, 58.4], [68.0, 76.0], [float("nan"), 0.0]])
    coded = encode_landmarks(landmarks, ANCHOR)
    torch.testing.assert_close(coded[:8], torch.tensor([0.0, 0, 1, 0, 0, -1, -10, 10]), atol=1e-5, rtol=0)
    assert coded[8].isnan()
    torch.testing.assert_close(decode_landmarks(coded, ANCHOR)[:4], landmarks[:4])


def test_there_and_back():
    random = torch.Generator().manual_seed(0)
    corners = torch.rand(7, 50, 2, generator=random) * 300
    boxes = torch.cat([corners, corners + 1 + torch.rand(7, 50, 2, generator=random) * 200], -1)
    anchors = torch.cat([corners + 20, 16 + torch.rand(7, 50, 2, generator=random) * 100], -1)
    torch.testing.assert_close(decode_boxes(encode_boxes(boxes, anchors), anchors), boxes, rtol=1e-4, atol=1e-3)
    landmarks = torch.rand(7, 50, 5, 2, generator=random) * 300
    coded = encode_landmarks(landmarks, anchors)
    assert coded.shape == (7, 50, 10)
    torch.testing.assert_close(decode_landmarks(coded, anchors), landmarks, rtol=1e-4, atol=1e-3)


def test_an_untrained_network_reaches_no_infinity():
    assert decode_boxes(torch.full((1, 4), 1e6), ANCHOR).isfinite().all()
