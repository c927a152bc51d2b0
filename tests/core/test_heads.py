import math
import os
import statistics
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from faceline_core.errors import FacelineError
from faceline_core.models.heads import AdaFace, ArcFace, CosFace, Margin, Softmax, head_for

COSINES = (1.0, 0.9995, 0.99, 0.3, -0.2, -0.95, -0.9995, -1.0)
"""To the own class: beyond the clamp, and where a margin takes the angle below 0 or above pi."""
NORMS = (0.0005, 5.0, 19.0, 20.0, 24.0, 35.0, 80.0, 250.0)
LABELS = (0, 1, 2, 3, 0, 1, 2, 3)
MEAN, STD = 20.0, 10.0


def clip(value, low, high):
    return min(max(value, low), high)


def slow_logits(kind, faces, weight, labels, norms, m, s, h=0.0, mean=MEAN, std=STD):
    """Row by row as the papers have it, in Python's 64-bit floats: lists (N, D), (D, C), (N,), (N,) to (N, C)."""
    e = 1e-3 if kind is AdaFace else 1e-4
    rows = []
    for face, label, norm in zip(faces, labels, norms, strict=True):
        row = []
        for k, column in enumerate(zip(*weight, strict=True)):
            dot = sum(x * w for x, w in zip(face, column, strict=True))
            c = clip(dot / math.sqrt(sum(w * w for w in column)), -1 + e, 1 - e)
            zhat = clip(h * (clip(norm, 1e-3, 100) - mean) / (std + 1e-3), -1, 1)
            if k == label and kind is CosFace:
                c = c - m
            if k == label and kind is ArcFace:
                c = math.cos(clip(math.acos(c) + m, e, math.pi - e))
            if k == label and kind is AdaFace:
                c = math.cos(clip(math.acos(c) - m * zhat, e, math.pi - e)) - m - m * zhat
            row.append(s * c)
        rows.append(row)
    return rows


def slow_gradient(loss, values, step=1e-6):
    """Central differences of a function of nested lists, by each number of them."""
    gradient = [[0.0] * len(row) for row in values]
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            row[j] = value + step
            above = loss()
            row[j] = value - step
            gradient[i][j] = (above - loss()) / (2 * step)
            row[j] = value
    return gradient


def faces_at(cosines, labels, dim=5, classes=4):
    """Unit embeddings (N, D) float64 with these cosines to the columns of a weight (D, C), both as nested lists."""
    random = torch.Generator().manual_seed(3)
    weight = torch.randn(dim, classes, generator=random, dtype=torch.float64) * torch.tensor([0.1, 1.0, 3.0, 20.0])
    faces = []
    for cosine, label in zip(cosines, labels, strict=True):
        along = F.normalize(weight[:, label], dim=0)
        across = torch.randn(dim, generator=random, dtype=torch.float64)
        across = F.normalize(across - (across @ along) * along, dim=0)
        faces.append((cosine * along + math.sqrt(1 - cosine**2) * across).tolist())
    return faces, weight.tolist()


KINDS = [
    (CosFace, {"m": 0.35}),
    (ArcFace, {"m": 0.5}),
    (AdaFace, {"m": 0.4, "h": 0.333}),
    (AdaFace, {"m": 0.5, "h": 0.0}),
]


@pytest.mark.parametrize(("kind", "margin"), KINDS)
def test_values_and_gradients_are_the_papers(kind, margin):
    faces, weight = faces_at(COSINES, LABELS)
    head = kind(5, 4, s=64.0, **margin).eval()
    if kind is AdaFace:
        head.batch_mean.fill_(MEAN), head.batch_std.fill_(STD)
    head.weight.data = torch.tensor(weight, dtype=torch.float32)
    unit = torch.tensor(faces, dtype=torch.float32, requires_grad=True)
    norms = torch.tensor(NORMS).unsqueeze(1).requires_grad_()
    logits = head(unit, norms, torch.tensor(LABELS))
    pull = torch.randn(len(LABELS), 4, generator=torch.Generator().manual_seed(1))
    (logits * pull).sum().backward()

    def slow():
        return slow_logits(kind, faces, weight, LABELS, NORMS, s=64.0, **margin)

    def loss():
        return sum(a * b for x, y in zip(slow(), pull.tolist(), strict=True) for a, b in zip(x, y, strict=True))

    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, torch.tensor(slow()), rtol=0, atol=3e-4)
    for found, values in ((unit.grad, faces), (head.weight.grad, weight)):
        torch.testing.assert_close(found, torch.tensor(slow_gradient(loss, values)), rtol=2e-3, atol=2e-3)
    assert norms.grad is None  # quality is a measure, not something to be trained


def test_clamped_regions_have_the_gradient_of_a_constant():
    """Only the own class's column is pulled at: beyond the clamp, and where the angle would pass pi, nothing moves."""
    faces, weight = faces_at((1.0, -1.0, -0.95, 0.3), (0, 1, 2, 3))
    head = ArcFace(5, 4, m=0.5)
    head.weight.data = torch.tensor(weight, dtype=torch.float32)
    unit = torch.tensor(faces, dtype=torch.float32, requires_grad=True)
    head(unit, torch.ones(4, 1), torch.arange(4)).diagonal().sum().backward()
    moved = unit.grad.abs().sum(1) > 0
    assert moved.tolist() == [False, False, False, True]


@pytest.mark.parametrize(("kind", "margin"), KINDS)
def test_without_labels_no_margin(kind, margin):
    faces, weight = faces_at(COSINES, LABELS)
    head = kind(5, 4, s=30.0, **margin)
    head.weight.data = torch.tensor(weight, dtype=torch.float32)
    logits = head(torch.tensor(faces, dtype=torch.float32), torch.ones(len(faces), 1))
    nobody = slow_logits(kind, faces, weight, [None] * len(faces), NORMS, m=0.4, s=30.0)
    torch.testing.assert_close(logits, torch.tensor(nobody), rtol=0, atol=1e-4)


def norms_of(*values):
    return torch.tensor(values).unsqueeze(1)


def follow(head, norms):
    """One call in training as it stands, on faces of these norms."""
    return head(F.normalize(torch.randn(len(norms), 8), dim=1), norms, torch.zeros(len(norms), dtype=torch.long))


def test_running_statistics_are_those_of_the_paper():
    head = AdaFace(8, 3, t_alpha=0.1).train()
    assert head.batch_mean.tolist() == [20.0]
    assert head.batch_std.tolist() == [100.0]
    mean, std = 20.0, 100.0
    for batch in ([12.0, 30.0, 7.0], [400.0, 0.0], [21.0, 22.0, 21.5, 23.0]):
        follow(head, norms_of(*batch))
        clipped = [clip(norm, 1e-3, 100) for norm in batch]
        mean = 0.1 * statistics.mean(clipped) + 0.9 * mean
        std = 0.1 * statistics.stdev(clipped) + 0.9 * std
        assert head.batch_mean.tolist() == pytest.approx([mean], rel=1e-5)
        assert head.batch_std.tolist() == pytest.approx([std], rel=1e-5)


def test_the_batch_counts_in_its_own_margin():
    """As in the paper's code: the statistics move first, and are then used."""
    head = AdaFace(8, 3, t_alpha=1.0).train()
    unit, labels = F.normalize(torch.randn(3, 8), dim=1), torch.tensor([0, 1, 2])
    norms = [10.0, 20.0, 60.0]
    found = head(unit, norms_of(*norms), labels)
    mean, std = statistics.mean(norms), statistics.stdev(norms)
    slow = slow_logits(
        AdaFace, unit.tolist(), head.weight.tolist(), labels.tolist(), norms, 0.4, 64.0, 0.333, mean, std
    )
    torch.testing.assert_close(found, torch.tensor(slow), rtol=0, atol=3e-4)


@pytest.mark.parametrize("norms", [[33.0], [], [20.0, math.nan]])
def test_a_batch_without_a_deviation_leaves_the_statistics(norms):
    head = AdaFace(8, 3).train()
    logits = follow(head, torch.tensor(norms).reshape(-1, 1))
    assert (head.batch_mean.item(), head.batch_std.item()) == (20.0, 100.0)
    assert logits[:1].isfinite().all()


def test_only_training_with_labels_moves_the_statistics():
    head = AdaFace(8, 3).eval()
    follow(head, norms_of(1.0, 90.0))
    head.train()(torch.eye(8)[:2], norms_of(1.0, 90.0))
    assert (head.batch_mean.item(), head.batch_std.item()) == (20.0, 100.0)
    follow(head, norms_of(1.0, 90.0))
    assert head.batch_mean.item() == pytest.approx(0.99 * 20 + 0.01 * 45.5)


def test_the_statistics_are_kept_with_the_weights():
    head = AdaFace(8, 3).train()
    follow(head, norms_of(1.0, 90.0))
    again = AdaFace(8, 3)
    again.load_state_dict(head.state_dict())
    assert set(head.state_dict()) == {"weight", "batch_mean", "batch_std"}
    assert again.batch_std.item() == head.batch_std.item() != 100.0


ONE_OF_TWO = """
import sys, torch
from faceline_core.models.heads import AdaFace
rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
head = AdaFace(8, 3, t_alpha=0.5).train()
for batches in (([12.0, 30.0, 7.0], [80.0, 25.0]), ([9.0], [])):
    norms = torch.tensor(batches[rank]).reshape(-1, 1)
    head(torch.eye(8)[: len(norms)], norms, torch.zeros(len(norms), dtype=torch.long))
torch.save(head.state_dict(), f"{folder}/{rank}.pt")
torch.distributed.destroy_process_group()
"""


def test_two_processes_have_the_statistics_of_one(tmp_path):
    """Of the norms of both, three and two; in the second batch they hold one face in all, which has no deviation."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    both = [
        subprocess.Popen([sys.executable, "-c", ONE_OF_TWO, str(rank), str(tmp_path)], env=environment)
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    alone = AdaFace(8, 3, t_alpha=0.5).train()
    follow(alone, norms_of(12.0, 30.0, 7.0, 80.0, 25.0))
    for name in ("batch_mean", "batch_std"):
        assert torch.equal(found[0][name], found[1][name])
        torch.testing.assert_close(found[0][name], getattr(alone, name), rtol=1e-6, atol=0)


class _Sizes(TorchDispatchMode):
    """Notes how many numbers each call of some operators is given."""

    def __init__(self, *names):
        super().__init__()
        self.seen = {name: [] for name in names}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in self.seen:
            self.seen[name].append(args[0].numel())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", [ArcFace, AdaFace])
def test_only_the_own_class_pays_for_the_margin(kind):
    head = kind(8, 5000)
    unit = F.normalize(torch.randn(6, 8), dim=1).requires_grad_()
    with _Sizes("acos", "cos", "sin") as sizes:
        head(unit, torch.ones(6, 1), torch.arange(6)).sum().backward()
    assert sizes.seen == {"acos": [6], "cos": [6], "sin": [6]}


@pytest.mark.parametrize("name", ["softmax", "cosface", "arcface", "adaface"])
def test_float32_under_autocast_and_any_layout_in_memory(name):
    head = head_for(name, 8, 30)
    unit, norms, labels = F.normalize(torch.randn(16, 8), dim=1), torch.rand(16, 1) * 40, torch.arange(16)
    plain = head.eval()(unit, norms, labels)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = head(unit, norms, labels)
        torch.testing.assert_close(head(unit.bfloat16(), norms, labels), plain, rtol=0.05, atol=1.0)
    transposed = head(unit.t().contiguous().t(), norms.expand(16, 2)[:, :1], labels)
    assert mixed.dtype == plain.dtype == torch.float32
    assert torch.equal(mixed, plain)
    assert transposed.is_contiguous()
    torch.testing.assert_close(transposed, plain, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("name", ["softmax", "cosface", "arcface", "adaface"])
def test_traces_as_the_export_does(name):
    head = head_for(name, 8, 5).eval()
    unit, norms = F.normalize(torch.randn(3, 8), dim=1), torch.rand(3, 1) * 40
    traced = torch.jit.trace(head, (torch.rand(2, 8), torch.rand(2, 1)))
    torch.testing.assert_close(traced(unit, norms), head(unit, norms))


def test_softmax_is_the_linear_layer_that_it_was():
    linear = torch.nn.Linear(8, 5)
    head = Softmax(8, 5)
    assert head.weight.std().item() == pytest.approx(0.01, rel=0.5)
    assert not head.bias.any()
    head.load_state_dict(linear.state_dict())
    features = torch.randn(4, 8) * 10
    norms = features.norm(dim=1, keepdim=True)
    torch.testing.assert_close(head(features / norms, norms, torch.arange(4)), linear(features))


def test_head_for_hands_each_head_its_numbers():
    margin = Margin(m=0.2, h=0.5, s=16.0, t_alpha=0.3)
    ada = head_for("adaface", 8, 5, margin)
    assert (ada.m, ada.h, ada.s, ada.t_alpha) == (0.2, 0.5, 16.0, 0.3)
    assert [(head.m, head.s) for head in (head_for("arcface", 8, 5, margin), head_for("cosface", 8, 5, margin))] == [
        (0.2, 16.0)
    ] * 2
    assert [head_for(name, 8, 5).m for name in ("arcface", "cosface", "adaface")] == [0.5, 0.35, 0.4]
    for name in ("softmax", "arcface"):
        head = head_for(name, 8, 5, margin)
        assert (head.embedding_dim, head.classes) == (8, 5)
        assert head.weight.shape == ((5, 8) if name == "softmax" else (8, 5))


def test_an_unknown_head_is_told_the_nearest():
    with pytest.raises(FacelineError, match="head: unknown head arkface: did you mean arcface"):
        head_for("arkface", 8, 5)
