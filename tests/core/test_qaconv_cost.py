"""What matching costs: memory, gradients that nobody asked for, and what bfloat16 takes from its precision."""

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from faceline_core.models.qaconv import QAConv

HEIGHT, WIDTH = 3, 2


class _Largest(TorchDispatchMode):
    """Notes the most bytes that one result has."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (tuple, list)) else [made]:
            if isinstance(tensor, torch.Tensor):
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return made


@pytest.mark.parametrize("visibility", ["scaling", "masked"])
def test_memory_is_bounded(visibility, some_maps):
    """Of 40 x 50 maps of 6 x 6 all similarities are 10 MB; the best matches of training 288 kB a side."""
    matcher = QAConv(4, 6, 6, visibility=visibility, max_bytes=100_000)
    probes, galleries = (some_maps(n, n, 4, 6, 6).float().requires_grad_() for n in (40, 50))
    for training, bound in ((True, 2 * 300_000), (False, 100_000)):
        with _Largest() as largest, torch.set_grad_enabled(training):
            scores = matcher.train(training)(probes, galleries, torch.rand(40, 1, 6, 6), torch.rand(50, 1, 6, 6))
            if training:
                scores.square().sum().backward()
        assert bound / 4 < largest.bytes <= bound


@pytest.mark.parametrize("visibility", ["scaling", "masked"])
def test_bfloat16_is_near_and_sums_in_float32(visibility, some_maps, some_visibility):
    """As maps, and under autocast, which leaves float64 alone; best matches here lie between 0 and 1."""
    maps, others, shown = some_maps(40, 1, 32).float(), some_maps(70, 2, 32).float(), some_visibility(40, 3).float()
    matcher = QAConv(32, HEIGHT, WIDTH, visibility=visibility, max_bytes=50_000).eval()
    exact = matcher(maps, others, shown)
    rounded = matcher(maps.bfloat16(), others.bfloat16(), shown.bfloat16())
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        mixed = matcher(maps, others, shown)
        assert matcher(maps.double(), others.double(), shown.double()).dtype == torch.float64
    for scores in (rounded, mixed):
        assert scores.dtype == torch.float32
        assert 1e-4 < (scores - exact).abs().max() < 0.01  # the products were taken in bfloat16
    gradients = []
    for enabled in (False, True):
        leaf = maps.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            matcher.train()(leaf, others, shown).square().sum().backward()
        gradients.append(leaf.grad.flatten())
    assert gradients[1].dtype == torch.float32
    assert F.cosine_similarity(*gradients, dim=0) > 0.99


class _Products(TorchDispatchMode):
    """Counts matrix products."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten.bmm.default
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("probes", [4, 1])
def test_a_side_that_does_not_learn_costs_no_gradient(probes, some_matcher, some_maps):
    matcher = some_matcher().train()
    sides = [some_maps(probes, 1).requires_grad_(), some_maps(4, 2).requires_grad_()]

    def gradients(*maps):
        scores = matcher(*maps).square().sum()
        with _Products() as products:
            scores.backward()
        found = [side.grad for side in sides]
        for side in sides:
            side.grad = None
        return found, products.count

    both, products = gradients(*sides)
    for place in (0, 1):
        (mine, others), fewer = gradients(*(side if i == place else side.detach() for i, side in enumerate(sides)))
        mine, others = (mine, others) if place == 0 else (others, mine)
        torch.testing.assert_close(mine, both[place])
        assert others is None
        assert fewer < products
