"""IoU and its relatives against torchvision's and by hand."""

import pytest
import torch
from torchvision.ops import box_iou, complete_box_iou_loss, generalized_box_iou_loss

from faceline_detect.training.ious import IOUS


def pairs(count=200):
    random = torch.Generator().manual_seed(0)
    corners = torch.rand(2, count, 2, generator=random) * 40
    sizes = 1 + torch.rand(2, count, 2, generator=random) * 60
    return torch.cat([corners, corners + sizes], -1).double()


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("iou", lambda a, b: box_iou(a, b).diagonal()),
        ("giou", lambda a, b: 1 - generalized_box_iou_loss(a, b)),
        ("ciou", lambda a, b: 1 - complete_box_iou_loss(a, b)),
    ],
)
def test_values_and_gradients_are_torchvisions(name, theirs):
    boxes, others = pairs()
    gradients = []
    for function in (IOUS[name], theirs):
        own = boxes.clone().requires_grad_()
        values = function(own, others)
        gradients.append((values.detach(), *torch.autograd.grad(values.sum(), own)))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-6, atol=1e-6)


def test_by_hand():
    """Two 2 x 2 squares, one px apart: nothing in common, 10 px^2 around both, of which 8 are filled."""
    boxes, others = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2]]), torch.tensor([[3.0, 0, 5, 2], [0, 0, 2, 2]])
    assert IOUS["iou"](boxes, others).tolist() == [0, 1]
    torch.testing.assert_close(IOUS["giou"](boxes, others), torch.tensor([-0.2, 1]))
    torch.testing.assert_close(IOUS["ciou"](boxes, others), torch.tensor([-9 / 29, 1]))


@pytest.mark.parametrize("name", IOUS)
def test_boxes_that_agree_have_a_finite_gradient(name):
    boxes = torch.tensor([[3.0, 4, 20, 31]], requires_grad=True)
    (gradient,) = torch.autograd.grad(1 - IOUS[name](boxes, boxes.detach()).sum(), boxes)
    assert gradient.isfinite().all()
