import math

import pytest
import torch

from faceline_core.models.occlusion_head import OcclusionHead


def slow_visibility(head, maps):
    """Position by position as the definition has it: nested lists (C, h, w) of one face to (h, w)."""
    weight, bn = head.conv.weight.tolist(), head.bn
    norms = list(zip(*(t.tolist() for t in (bn.running_mean, bn.running_var, bn.weight, bn.bias)), strict=True))
    last, bias = head.out.weight.flatten().tolist(), head.out.bias.item()
    height, width = len(maps[0]), len(maps[0][0])

    def at(channel, y, x):
        return maps[channel][y][x] if 0 <= y < height and 0 <= x < width else 0.0

    def visible(y, x):
        logit = bias
        for kernel, (mean, var, gain, shift), share in zip(weight, norms, last, strict=True):
            near = [(c, i, j) for c in range(len(maps)) for i in range(3) for j in range(3)]
            found = sum(kernel[c][i][j] * at(c, y + i - 1, x + j - 1) for c, i, j in near)
            logit += share * max(0.0, (found - mean) / math.sqrt(var + bn.eps) * gain + shift)
        return 1 / (1 + math.exp(-logit))

    return [[visible(y, x) for x in range(width)] for y in range(height)]


def varied_head(channels):
    """With every parameter and statistic away from where it starts."""
    random = torch.Generator().manual_seed(0)
    head = OcclusionHead(channels).eval()
    with torch.no_grad():
        for tensor in (head.bn.weight, head.bn.bias, head.bn.running_mean, head.bn.running_var):
            tensor.copy_(torch.rand(tensor.shape, generator=random) + 0.2)
        for tensor in (head.conv.weight, head.out.weight, head.out.bias):
            tensor.copy_(torch.randn(tensor.shape, generator=random) * 0.3)
    return head


def test_visibility_is_the_definitions():
    maps = torch.randn(2, 3, 3, 4, generator=torch.Generator().manual_seed(1))
    found = varied_head(3)(maps)
    assert found.shape == (2, 1, 3, 4)
    slow = torch.tensor([slow_visibility(varied_head(3), face) for face in maps.tolist()])
    assert slow.std() > 0.1, "else anything would do"
    torch.testing.assert_close(found.squeeze(1), slow, rtol=0, atol=1e-5)


def test_the_parts_are_those_of_the_definition():
    shapes = {name: tuple(parameter.shape) for name, parameter in OcclusionHead(512).named_parameters()}
    assert shapes == {
        "conv.weight": (128, 512, 3, 3),
        "bn.weight": (128,),
        "bn.bias": (128,),
        "out.weight": (1, 128, 1, 1),
        "out.bias": (1,),
    }


def test_autocast_leaves_the_sigmoid_in_float32():
    """In bfloat16 a logit of 8 is a visibility of 1, and no gradient would bring it down."""
    head = OcclusionHead(4).eval()
    with torch.no_grad():
        head.out.weight.zero_()
        head.out.bias.fill_(8.0)
    maps = torch.randn(2, 4, 7, 7)
    with torch.autocast("cpu", torch.bfloat16):
        found = head(maps)
    found.mean().backward()
    assert found.dtype == torch.float32
    assert found.mean().item() == pytest.approx(1 / (1 + math.exp(-8)), abs=1e-7)
    assert head.out.bias.grad.item() == pytest.approx(math.exp(-8) / (1 + math.exp(-8)) ** 2, rel=1e-2)


def test_traces_as_the_export_does():
    head, maps = varied_head(4), torch.randn(3, 4, 7, 7)
    traced = torch.jit.trace(head, torch.rand(2, 4, 7, 7))
    torch.testing.assert_close(traced(maps), head(maps))


def test_a_nan_stays_one():
    maps = torch.randn(2, 4, 7, 7)
    maps[1, 2, 3, 3] = math.nan
    found = varied_head(4)(maps)
    assert found[1, 0, 3, 3].isnan()
    assert found[0].isfinite().all()
