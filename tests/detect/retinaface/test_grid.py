"""Anchors against the definition, written as loops."""

import math

import pytest
import torch

from faceline_detect import retinaface


def slowly(height, width):
    rows = []
    for stride, sizes in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512))):
        for row in range(math.ceil(height / stride)):
            for column in range(math.ceil(width / stride)):
                rows += [[(column + 0.5) * stride, (row + 0.5) * stride, size, size] for size in sizes]
    return torch.tensor(rows, dtype=torch.float32)


@pytest.mark.parametrize("size", [(64, 96), (33, 70), (1, 1), (8, 200), (129, 31)])
def test_as_the_definition_reads(size):
    found = retinaface.anchors(*size)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, slowly(*size), rtol=0, atol=0)


def test_as_many_as_the_paper_counts():
    assert retinaface.anchors(640, 640).shape == (16_800, 4)
