import copy
import itertools
import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from faceline_core.models.qaconv import QAConv

CHANNELS, HEIGHT, WIDTH = 5, 3, 2
POSITIONS = HEIGHT * WIDTH


def normalised(bn, values, those, training):
    those = torch.cat(those)
    mean, variance = (those.mean(), those.var(correction=0)) if training else (bn.running_mean, bn.running_var)
    return [bn.weight * (v - mean) / (variance + bn.eps).sqrt() + bn.bias for v in values]


def slow_scores(matcher, probes, galleries, seen_by=(None, None), left_out=()):
    """Pair by pair from the definition (arXiv 1904.10424): (P, G) scores, and the values that train bn and logit_bn."""
    both, weights, counted = [], [], []
    pairs = list(itertools.product(range(len(probes)), range(len(galleries))))
    for p, g in pairs:
        products = galleries[g].flatten(1).T @ probes[p].flatten(1)
        shown = [torch.ones(POSITIONS) if s is None else s[i].flatten() for s, i in zip(seen_by, (p, g), strict=True)]
        if matcher.visibility == "scaling":
            products = products * shown[1][:, None] * shown[0][None, :]
            shown = [torch.ones(POSITIONS)] * 2
        q, r = (s > 0.5 for s in shown)
        some = bool(q.any() and r.any())
        both.append(torch.cat([products[r].amax(0)[q], products[:, q].amax(1)[r]]) if some else products.new_empty(0))
        share = [matcher.fc.weight[0, s] * POSITIONS / s.sum() for s in (q, r)]
        weights.append(torch.cat(share) if some else products.new_empty(0))
        counted.append(some and (p, g) not in left_out)
    for_bn = [a for a, counts in zip(both, counted, strict=True) if counts]
    matches = normalised(matcher.bn, both, for_bn, matcher.bn.training)
    sums = torch.stack([(w * m).sum() for w, m in zip(weights, matches, strict=True)]) + 2 * matcher.fc.bias
    for_logit = [sums[torch.tensor(counted)]]
    scores = torch.stack(normalised(matcher.logit_bn, sums.unbind(), for_logit, matcher.logit_bn.training))
    return scores.view(len(probes), len(galleries)), torch.cat(for_bn), for_logit[0]


CASES = [
    pytest.param(visibility, given, id=f"{visibility}-{'shown' if given else 'all'}")
    for visibility in ("scaling", "masked")
    for given in (True, False)
]


@pytest.mark.parametrize("max_bytes", [1, 3000, 1 << 28])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("visibility", "given"), CASES)
def test_scores_gradients_and_statistics_are_the_definitions(
    visibility, given, training, max_bytes, some_matcher, some_maps, some_visibility
):
    matcher = some_matcher(visibility, max_bytes=max_bytes).train(training)
    slow_matcher = copy.deepcopy(matcher)
    inputs = [some_maps(4, 1).requires_grad_(), some_maps(5, 2).requires_grad_()]
    shown = [some_visibility(4, 3).requires_grad_(), some_visibility(5, 4).requires_grad_()] if given else [None] * 2
    differentiable = inputs + (shown if given and visibility == "scaling" else [])
    pull = torch.randn(4, 5, generator=torch.Generator().manual_seed(6)).double()
    found = matcher(*inputs, *shown)
    slow, for_bn, for_logit = slow_scores(slow_matcher, *inputs, shown)
    torch.testing.assert_close(found, slow)
    torch.testing.assert_close(
        torch.autograd.grad((found * pull).sum(), differentiable + list(matcher.parameters())),
        torch.autograd.grad((slow * pull).sum(), differentiable + list(slow_matcher.parameters())),
    )
    for name, values in (("bn", for_bn), ("logit_bn", for_logit)):
        expected = getattr(slow_matcher, name)
        if training:
            expected(values.detach()[:, None])  # torch's own
        torch.testing.assert_close(getattr(matcher, name).state_dict(), expected.state_dict())


@pytest.mark.parametrize("visibility", ["scaling", "masked"])
def test_an_image_with_itself_trains_no_statistics(visibility, some_matcher, some_maps, some_visibility):
    """By default the diagonal where both sides are one tensor; as told where the gallery has them elsewhere."""
    matcher, maps, shown = some_matcher(visibility), some_maps(5, 1), some_visibility(5, 2)
    own = torch.zeros(5, 5, dtype=torch.bool)
    own[torch.arange(5), [2, 3, 4, 0, 1]] = True
    cases = [
        ((maps, maps, shown, shown), {}, {(i, i) for i in range(5)}),
        ((maps, maps.clone(), shown, shown), {}, set()),
        ((maps, maps.roll(2, 0), shown, shown.roll(2, 0)), {"left_out": own}, {(i, (i + 2) % 5) for i in range(5)}),
        ((maps[:3], maps, shown[:3], shown), {"left_out": own.roll(3, 1)[:3]}, {(i, i) for i in range(3)}),
    ]
    for (probes, galleries, *seen_by), options, left_out in cases:
        here = copy.deepcopy(matcher).train()
        found = here(probes, galleries, *seen_by, **options)
        slow, for_bn, _ = slow_scores(copy.deepcopy(matcher), probes, galleries, seen_by, left_out)
        torch.testing.assert_close(found, slow)
        torch.testing.assert_close(here.bn.running_mean, 0.9 * matcher.bn.running_mean + 0.1 * for_bn.mean())


@pytest.mark.parametrize(("visibility", "given"), CASES)
def test_gradients_are_those_of_the_values(visibility, given, some_matcher, some_maps, some_visibility):
    matcher = some_matcher(visibility, max_bytes=1)
    shown = [some_visibility(2, 3), some_visibility(3, 4)] if given else []
    learnt = [v.requires_grad_(visibility == "scaling") for v in shown]
    inputs = (some_maps(2, 1).requires_grad_(), some_maps(3, 2).requires_grad_(), *learnt)
    assert torch.autograd.gradcheck(matcher, inputs)
    assert torch.autograd.gradcheck(
        lambda a, b, *v: matcher.pairs(a, b[:2], *(shown[:2] for shown in v)), inputs, check_batched_grad=False
    )


@pytest.mark.parametrize(("visibility", "given"), CASES)
@pytest.mark.parametrize("count", [1, 3, 70])
def test_symmetric_and_pairs_are_the_diagonal(visibility, given, count, some_matcher, some_maps, some_visibility):
    matcher = some_matcher(visibility, max_bytes=20_000).eval()
    sides = some_maps(count, 1), some_maps(70, 2)
    shown = (some_visibility(count, 3), some_visibility(70, 4)) if given else (None, None)
    with torch.inference_mode():
        scores = matcher(*sides, *shown)
        torch.testing.assert_close(matcher(*sides[::-1], *shown[::-1]), scores.T)
        aligned = [side[:count] for side in (*sides, *(shown if given else ()))]
        torch.testing.assert_close(matcher.pairs(*aligned), scores.diagonal())
    with_gradients = matcher(*sides, *shown)
    assert with_gradients.requires_grad
    torch.testing.assert_close(with_gradients, scores)
    assert scores.std() > 0.01


def test_pairs_train_on_their_own_statistics(some_matcher, some_maps):
    matcher = some_matcher().train()
    slow_matcher = copy.deepcopy(matcher)
    a, b = some_maps(6, 1), some_maps(6, 2)
    others = {(i, j) for i in range(6) for j in range(6) if i != j}
    slow, for_bn, _ = slow_scores(slow_matcher, a, b, left_out=others)
    torch.testing.assert_close(matcher.pairs(a, b), slow.diagonal())
    slow_matcher.bn(for_bn.detach()[:, None])
    torch.testing.assert_close(matcher.bn.state_dict(), slow_matcher.bn.state_dict())


@pytest.mark.parametrize("training", [True, False])
def test_a_face_of_which_nothing_is_visible_gets_the_average_score(training, some_matcher, some_maps, some_visibility):
    matcher = some_matcher("masked").train(training)
    maps, shown = some_maps(4, 1).requires_grad_(), some_visibility(4, 2)
    hidden = torch.zeros(3, 1, HEIGHT, WIDTH).double()
    matcher(maps, some_maps(3, 3), shown, hidden).sum().backward()
    assert (maps.grad == 0).all()
    assert all(parameter.grad.isfinite().all() for parameter in matcher.parameters())
    assert matcher.bn.running_mean.item() == 0.4
    average = matcher.eval().logit_bn(2 * matcher.fc.bias.view(1, 1)).item()
    assert matcher(maps, some_maps(3, 3), shown, hidden).flatten().tolist() == pytest.approx([average] * 12)
    assert matcher(maps, some_maps(3, 3), shown)[1].tolist() == pytest.approx([average] * 3)  # some_visibility's second


def test_masked_ignores_what_is_occluded(some_matcher, some_maps, some_visibility):
    """Whatever lies there, NaN included; scaled by 0 it would be a match of 0, above a negative one."""
    matcher, maps, others = some_matcher("masked").eval(), some_maps(3, 1), some_maps(4, 2)
    shown = some_visibility(3, 3)
    painted = torch.where(shown > 0.5, maps, torch.nan)
    assert torch.equal(matcher(painted, others, shown), matcher(maps, others, shown))
    flat, half = torch.ones(1, CHANNELS, HEIGHT, WIDTH).double(), torch.ones(1, 1, HEIGHT, WIDTH).double()
    half[..., 0] = 0
    masked, scaled = QAConv(CHANNELS, HEIGHT, WIDTH, visibility="masked"), QAConv(CHANNELS, HEIGHT, WIDTH)
    alone = masked.double().eval()(flat, -flat).item()
    assert masked(flat, -flat, half).item() == pytest.approx(alone)
    assert scaled.double().eval()(flat, -flat, half).item() > alone + 0.1


@pytest.mark.parametrize("faces", [0, 1])
def test_a_batch_without_a_pair_leaves_the_running_statistics(faces, some_matcher, some_maps):
    matcher = some_matcher().train()
    before = copy.deepcopy(matcher.state_dict())
    maps = some_maps(faces, 1).requires_grad_()
    scores = matcher(maps, maps)
    scores.sum().backward()
    assert scores.isfinite().all()
    assert maps.grad.isfinite().all()
    torch.testing.assert_close(matcher.state_dict(), before, rtol=0, atol=0)
    torch.testing.assert_close(matcher.eval()(maps, maps), scores)
    assert matcher(maps, some_maps(4, 2)).shape == (faces, 4)
    matcher.train()(some_maps(3, 1) * torch.nan, some_maps(3, 2))
    torch.testing.assert_close(matcher.state_dict(), before, rtol=0, atol=0)


def test_one_score_is_normalised_by_the_running_statistics(some_matcher, some_maps):
    matcher, a, b = some_matcher().eval(), some_maps(1, 1), some_maps(1, 2)
    expected = matcher.pairs(a, b)
    matcher.logit_bn.train()
    torch.testing.assert_close(matcher.pairs(a, b), expected)
    assert matcher.logit_bn.running_mean.item() == -1


ONE_OF_TWO = """
import sys, torch
from faceline_core.models.qaconv import QAConv
rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
matcher = QAConv(5, 3, 2).train()
for maps in torch.load(f"{folder}/maps.pt")[rank]:
    matcher(maps, maps)
torch.save(matcher.state_dict(), f"{folder}/{rank}.pt")
torch.distributed.destroy_process_group()
"""


def test_two_processes_have_the_running_statistics_of_all_their_pairs(tmp_path, some_maps):
    """In the second batch one process has no pair at all, in the third neither has."""
    batches = [some_maps(5, 1), some_maps(4, 2), some_maps(1, 3)], [some_maps(3, 4), some_maps(1, 5), some_maps(1, 6)]
    batches = [[scale * maps.float() for maps in of_one] for scale, of_one in zip((1, 3), batches, strict=True)]
    torch.save(batches, tmp_path / "maps.pt")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    both = [
        subprocess.Popen([sys.executable, "-c", ONE_OF_TWO, str(rank), str(tmp_path)], env=environment)
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)
    expected = QAConv(CHANNELS, HEIGHT, WIDTH).train()
    for step in range(2):
        each = [
            slow_scores(expected, of_one[step], of_one[step], left_out={(i, i) for i in range(5)})[1:]
            for of_one in batches
            if len(of_one[step]) > 1
        ]
        for bn, values in zip((expected.bn, expected.logit_bn), zip(*each, strict=True), strict=True):
            bn(torch.cat(values).detach()[:, None])
    torch.testing.assert_close(found[0], expected.state_dict(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("side", "count"), [(7, 54), (14, 201)])
def test_published_weights_load(side, count):
    """49 or 196 weights and a bias of fc, a weight and a bias of either BatchNorm; names as in the papers' code."""
    published = nn.ModuleDict({"bn": nn.BatchNorm1d(1), "fc": nn.Linear(side**2, 1), "logit_bn": nn.BatchNorm1d(1)})
    matcher = QAConv(512, side, side)
    assert sum(parameter.numel() for parameter in matcher.parameters()) == count
    assert torch.equal(matcher.fc.weight, torch.full((1, side**2), 1 / side**2))
    assert matcher.fc.bias.item() == 0
    matcher.load_state_dict(published.state_dict(), strict=True)
    assert torch.equal(matcher.fc.weight, published["fc"].weight)


def test_a_local_loss_trains_what_made_the_maps():
    torch.manual_seed(0)
    conv, matcher = nn.Conv2d(3, CHANNELS, 1), QAConv(CHANNELS, HEIGHT, WIDTH)
    maps = F.normalize(conv(torch.randn(4, 3, HEIGHT, WIDTH)).to(memory_format=torch.channels_last), dim=1)
    matcher(maps, maps)[0, 1].backward()
    assert (conv.weight.grad != 0).any()


@pytest.mark.parametrize(
    ("probes", "galleries"),
    [((2, 5, 3, 2), (4, 5, 2, 3)), ((2, 5, 6, 4), (4, 5, 6, 4)), ((2, 6, 3, 2), (4, 6, 3, 2)), ((5, 3, 2), (5, 3, 2))],
)
def test_maps_of_another_shape_are_refused_with_both_shapes(probes, galleries):
    matcher = QAConv(CHANNELS, HEIGHT, WIDTH)
    for compare in (matcher, matcher.pairs):
        with pytest.raises(ValueError, match=r"compares maps \(N, 5, 3, 2\), found probe maps") as refused:
            compare(torch.zeros(probes), torch.zeros(galleries))
        assert str(probes) in str(refused.value)
        assert str(galleries) in str(refused.value)


def test_what_else_does_not_fit_is_refused():
    matcher, maps = QAConv(CHANNELS, HEIGHT, WIDTH), torch.zeros(2, 5, 3, 2)
    with pytest.raises(ValueError, match=r"visibility \(2, 1, 3, 2\) expected beside its maps, found \(2, 3, 2\)"):
        matcher(maps, maps, None, torch.ones(2, 3, 2))
    with pytest.raises(ValueError, match="as many maps on both sides expected, found 2 and 1"):
        matcher.pairs(maps, maps[:1])
    with pytest.raises(ValueError, match="visibility must be scaling or masked, found 'mask'"):
        QAConv(CHANNELS, HEIGHT, WIDTH, visibility="mask")
