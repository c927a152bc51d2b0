"""The network: its size, its names, what it gives, and its input."""

import numpy as np
import pytest
import torch

from faceline_core.errors import FacelineError
from faceline_core.tensors.tensor_file import read_tensor_file
from faceline_detect.retinaface import RetinaFace, anchors, normalised


@pytest.mark.parametrize(("backbone", "count"), [("mobilenet0.25", 426_608), ("resnet50", 27_293_600)])
def test_parameters(backbone, count):
    assert sum(parameter.numel() for parameter in RetinaFace(backbone).parameters()) == count


@pytest.mark.real
def test_names_and_shapes_of_the_published_weights(real_data):
    published = read_tensor_file(real_data / "weights/retinaface_mobilenet0.25.pth")
    own = RetinaFace("mobilenet0.25").state_dict()
    assert {name: tensor.shape for name, tensor in own.items()} == {n: t.shape for n, t in published.items()}


def test_the_body_of_resnet50_has_the_names_of_torchvisions():
    from torchvision.models import resnet50

    own = {name for name in RetinaFace("resnet50").state_dict() if name.startswith("body.")}
    assert own == {f"body.{name}" for name in resnet50().state_dict() if not name.startswith("fc.")}


@pytest.mark.parametrize("backbone", ["mobilenet0.25", "resnet50"])
@pytest.mark.parametrize("size", [(64, 96), (45, 70)])
def test_outputs_of_each_anchor(lively, backbone, size):
    with torch.inference_mode():
        outputs = lively(backbone)(torch.randn(2, 3, *size))
    count = len(anchors(*size))
    assert [tuple(one.shape) for one in outputs] == [(2, count, 2), (2, count, 4), (2, count, 10)]
    torch.testing.assert_close(outputs.scores(), outputs.logits.softmax(-1)[..., 1])


def test_outputs_lie_where_their_anchors_do(lively):
    """A change of one pixel is felt most by the anchors of each level that are centred nearest to it."""
    network, size = lively(), (320, 320)
    pictures = torch.zeros(2, 3, *size)
    pictures[1, :, 44, 212] = 200
    with torch.inference_mode():
        change = network(pictures).boxes.diff(dim=0)[0].abs().sum(1)
    grid, start = anchors(*size), 0
    for count, reach in ((3200, 40), (800, 80), (200, 160)):
        felt = change[start : start + count]
        x, y = grid[start : start + count][felt.argmax(), :2]
        assert felt.max() > 0
        assert max(abs(x - 212.5), abs(y - 44.5)) < reach
        start += count


def test_input_is_bgr_less_its_mean():
    pixels = np.zeros((1, 3, 2, 4), np.uint8)
    pixels[:, 0], pixels[:, 1], pixels[:, 2] = 255, 117, 10  # red, green, blue
    found = normalised(torch.from_numpy(pixels))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert found[0, :, 1, 2].tolist() == [10 - 104, 0, 255 - 123]


def test_an_untrained_network_sees_a_face_in_one_anchor_of_a_hundred():
    torch.manual_seed(0)
    with torch.no_grad():
        scores = RetinaFace("mobilenet0.25")(torch.randn(4, 3, 64, 64)).scores()
    assert 0.005 < scores.mean() < 0.02


def test_outputs_are_float32_whatever_the_body_computes_in():
    network = RetinaFace("mobilenet0.25")
    with torch.autocast("cpu", torch.bfloat16):
        outputs = network(torch.randn(1, 3, 64, 64))
    assert {one.dtype for one in outputs} == {torch.float32}


def test_an_unknown_backbone():
    with pytest.raises(FacelineError, match=r"no 'resnet' here; did you mean resnet50\?"):
        RetinaFace("resnet")
