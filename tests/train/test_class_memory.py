import math
import os
import subprocess
import sys
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from faceline_core.errors import FacelineError
from faceline_core.models.qaconv import QAConv
from faceline_train.losses import class_memory
from faceline_train.losses.class_memory import ClassMemory, free_bytes

CHANNELS, SIDE, DIM = 6, 4, 5


@pytest.fixture
def matcher():
    """With weights and statistics away from where they start, and scores far enough apart."""
    torch.manual_seed(3)
    matcher = QAConv(CHANNELS, SIDE, SIDE)
    nn.init.uniform_(matcher.fc.weight, 0.1, 0.6)
    matcher.bn.running_mean.fill_(0.3), matcher.logit_bn.weight.data.fill_(2.0)
    return matcher.eval()


def unit_maps(faces, seed, side=SIDE):
    return F.normalize(torch.randn(faces, CHANNELS, side, side, generator=torch.Generator().manual_seed(seed)), dim=1)


def columns_of(classes):
    """(D, C) of lengths that differ, so that the nearest by cosine are not those of the greatest products."""
    random = torch.Generator().manual_seed(classes)
    return torch.randn(DIM, classes, generator=random) * torch.logspace(-1, 1, classes)


def memory_of(classes=12, seen=(0, 1, 2, 3, 4, 6, 7, 9, 10), **arguments):
    """In which some classes were seen, twice: their averages are shorter than 1."""
    memory = ClassMemory(classes, CHANNELS, SIDE, SIDE, **arguments)
    for seed in (0, 8):
        memory.update(unit_maps(len(seen), seed), torch.tensor(seen, dtype=torch.long))
    return memory


def slow_update(kept, maps, labels, momentum):
    """Class by class, {class: (channels, h, w) float64}, as the definition has it."""
    for label in set(labels):
        faces = [face.double() for face, of in zip(maps, labels, strict=True) if of == label]
        mean = sum(faces) / len(faces)
        kept[label] = momentum * kept[label] + (1 - momentum) * mean if label in kept else mean
    return kept


def slow_loss(memory, matcher, maps, labels, columns, visibility=None):
    """Face by face, from one list of all pairs: the loss (), and how many faces were left out."""
    pairs, unit = [], F.normalize(columns.detach().double(), dim=0)
    for row, label in enumerate(labels):
        others = [other for other in range(columns.shape[1]) if other != label and memory.seen[other]]
        others.sort(key=lambda other, label=label: -float(unit[:, label] @ unit[:, other]))
        if memory.seen[label]:
            pairs += [(row, other) for other in [label, *others[: memory.k_nearest]]]
    rows, of = (list(side) for side in zip(*pairs, strict=True))
    kept = memory.maps[of] / memory.maps[of].norm(dim=1, keepdim=True)
    scores = matcher.pairs(maps[rows], kept, None if visibility is None else visibility[rows])
    losses = []
    for row in sorted(set(rows)):
        own, *others = (score for score, (at, _) in zip(scores, pairs, strict=True) if at == row)
        losses.append(torch.stack([own, *others]).exp().sum().log() - own)
    return torch.stack(losses).mean(), len(labels) - len(losses)


BATCHES = [[0, 3, 3, 0, 7], [3, 3, 3], [1, 7, 0, 9], [], [5]]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_running_average_of_each_class(momentum):
    memory, kept = ClassMemory(10, CHANNELS, SIDE, SIDE, momentum=momentum), {}
    for seed, labels in enumerate(BATCHES):
        maps = unit_maps(len(labels), seed)
        memory.update(maps, torch.tensor(labels, dtype=torch.long))
        slow_update(kept, maps, labels, momentum)
    assert memory.seen.nonzero().flatten().tolist() == sorted(kept) == [0, 1, 3, 5, 7, 9]
    for label, slow in kept.items():
        torch.testing.assert_close(memory.maps[label].double(), slow, rtol=0, atol=1e-6)
    assert not memory.maps[~memory.seen].any()


@pytest.fixture(params=["all at once", "by pairs"])
def way_of_scoring(request, monkeypatch):
    monkeypatch.setattr(class_memory, "_COPYING", 1e9 if request.param == "all at once" else -1e9)


@pytest.mark.usefixtures("way_of_scoring")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("k", [1, 3, 32])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loss_and_gradients_are_the_definitions(matcher, k, training, dtype):
    memory, columns = memory_of(k_nearest=k).to(dtype), columns_of(12).to(dtype).requires_grad_()
    maps, labels = unit_maps(6, 1).to(dtype).requires_grad_(), [4, 0, 4, 5, 10, 11]
    visibility = torch.rand(6, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(2)).to(dtype)
    matcher.to(dtype).train(training)
    for visible in (None, visibility):
        other = deepcopy(matcher)
        found, left_out = memory.loss(matcher, maps, torch.tensor(labels), columns, visible)
        slow, slow_left_out = slow_loss(memory, other, maps, labels, columns, visible)
        assert (found.dtype, left_out.dtype, left_out.item()) == (torch.float32, torch.int64, slow_left_out)
        assert slow_left_out == 2
        torch.testing.assert_close(found, slow.float(), rtol=1e-5, atol=1e-6)
        ours = torch.autograd.grad(found, [maps, matcher.fc.weight, matcher.logit_bn.weight])
        theirs = torch.autograd.grad(slow, [maps, other.fc.weight, other.logit_bn.weight])
        for gradient, expected in zip(ours, theirs, strict=True):
            assert expected.abs().max() > 1e-3
            torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(matcher.state_dict(), other.state_dict())
    assert columns.grad is None


@pytest.mark.usefixtures("way_of_scoring")
def test_under_autocast_the_sums_are_in_float32(matcher):
    """And the nearest classes are the same: products in bfloat16 would order them otherwise."""
    memory, columns, labels = memory_of(200, range(200), k_nearest=9), columns_of(200), torch.arange(8)
    plain, _ = memory.loss(matcher, unit_maps(8, 1), labels, columns)
    nearest = memory._candidates(labels, columns)[0]
    before = ClassMemory(200, CHANNELS, SIDE, SIDE), ClassMemory(200, CHANNELS, SIDE, SIDE)
    before[0].update(unit_maps(8, 1), labels // 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(memory._candidates(labels, columns)[0], nearest)
        loss, _ = memory.loss(matcher, unit_maps(8, 1), labels, columns)
        before[1].update(unit_maps(8, 1), labels // 2)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, plain, rtol=0.02, atol=0.02)
    assert torch.equal(before[0].maps, before[1].maps)


def test_only_classes_that_were_seen_are_scored(matcher):
    memory, maps, labels = memory_of(k_nearest=4), unit_maps(3, 1), torch.tensor([4, 0, 10])
    before, _ = memory.loss(matcher, maps, labels, columns_of(12))
    memory.maps[~memory.seen] = unit_maps(3, 9)
    assert torch.equal(memory.loss(matcher, maps, labels, columns_of(12))[0], before)


@pytest.mark.usefixtures("way_of_scoring")
def test_the_memory_may_move_before_the_gradients_are_asked_for(matcher):
    gradients, labels = [], torch.tensor([4, 0, 10])
    for moved in (False, True):
        memory, maps = memory_of(), unit_maps(3, 1).requires_grad_()
        loss, _ = memory.loss(matcher, maps, labels, columns_of(12))
        if moved:
            memory.update(maps, labels)
        loss.backward()
        gradients.append(maps.grad)
        assert not memory.maps.requires_grad
    assert gradients[0].any()
    assert torch.equal(*gradients)


def test_before_any_class_was_seen_the_loss_is_zero_and_can_be_gone_back_through(matcher):
    memory, maps = ClassMemory(12, CHANNELS, SIDE, SIDE), unit_maps(3, 1).requires_grad_()
    loss, left_out = memory.loss(matcher, maps, torch.tensor([4, 0, 4]), columns_of(12))
    loss.backward()
    assert (loss.item(), left_out.item()) == (0, 3)
    assert not maps.grad.any()


def test_the_only_class_that_was_seen_has_nobody_to_be_told_from(matcher):
    memory = memory_of(12, (4,))
    loss, left_out = memory.loss(matcher, unit_maps(3, 1), torch.tensor([4, 0, 4]), columns_of(12))
    assert (loss.item(), left_out.item()) == (0, 1)


def test_a_nan_comes_out_and_does_not_stay(matcher):
    memory = memory_of()
    before = {name: buffer.clone() for name, buffer in memory.named_buffers()}
    for bad in (math.nan, math.inf):
        maps, labels = unit_maps(4, 1), torch.tensor([4, 0, 4, 10])
        maps[2, 1, 0, 3] = bad
        assert memory.loss(matcher, maps, labels, columns_of(12))[0].isnan()
        memory.update(maps, labels)
        for name, buffer in memory.named_buffers():
            assert torch.equal(buffer, before[name])


class _Largest(TorchDispatchMode):
    """Notes the most numbers that a tensor had which an operator made."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, torch.Tensor) and not func.is_view:
                self.numbers = max(self.numbers, tensor.numel())
        return made


def test_no_tensor_grows_with_the_square_of_the_classes(matcher):
    classes, labels = 10_000, torch.tensor([50, 50, 700, 3000])
    memory, columns = memory_of(classes, range(0, classes, 50), k_nearest=8), columns_of(classes)
    with _Largest() as largest:
        memory.loss(matcher, unit_maps(4, 1).requires_grad_(), labels, columns)[0].backward()
    assert largest.numbers <= 3 * classes, "three classes in the batch"


def test_pooled_maps_stand_for_four_positions(matcher):
    whole, pooled = memory_of(12, (), k_nearest=3), memory_of(12, (), k_nearest=3, pooled=True)
    maps, labels = unit_maps(8, 4), torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])
    pooled.update(maps, labels)
    means = torch.stack([maps[:, :, y : y + 2, x : x + 2].mean((2, 3)) for y in (0, 2) for x in (0, 2)], dim=2)
    means = means.view(8, CHANNELS, 2, 2)
    whole.update(means.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3), labels)
    assert pooled.maps.shape == (12, CHANNELS, SIDE // 2, SIDE // 2)
    faces = unit_maps(5, 5)
    for ours, theirs in zip(
        pooled.loss(matcher, faces, labels[:5], columns_of(12)),
        whole.loss(matcher, faces, labels[:5], columns_of(12)),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_maps_of_odd_sides_are_not_pooled():
    with pytest.raises(FacelineError, match=r"local.memory_pooled: true: maps of 7 x 7 .* feature_map: 14"):
        ClassMemory(10, CHANNELS, 7, 7, pooled=True)


@pytest.mark.parametrize(
    ("arguments", "needed", "message"),
    [
        (
            {},
            2_007_040,
            r"256 x 14 x 14 of 10 people are 2\.0 MB, and 2\.5 MB are free on cpu, of which they may take 80%\. "
            "Set local.memory_pooled: true",
        ),
        (
            {"pooled": True},
            501_760,
            r"256 x 7 x 7 of 10 people are 0\.5 MB, and 0\.6 MB .* 80%\. Set local.class_memory: f",
        ),
        ({"dtype": torch.bfloat16}, 1_003_520, r"256 x 14 x 14 of 10 people are 1\.0 MB, and 1\.3 MB"),
    ],
)
def test_a_memory_that_would_leave_a_step_no_room_is_refused(monkeypatch, arguments, needed, message):
    monkeypatch.setattr(class_memory, "free_bytes", lambda _device: needed * 5 // 4 - 1)
    with pytest.raises(FacelineError, match=f"^local.class_memory: true: maps of {message}"):
        ClassMemory(10, 256, 14, 14, **arguments)
    monkeypatch.setattr(class_memory, "free_bytes", lambda _device: needed * 5 // 4)
    memory = ClassMemory(10, 256, 14, 14, **arguments)
    assert memory.maps.numel() * memory.maps.element_size() == needed


def test_what_is_free_is_less_than_there_is(monkeypatch):
    assert 1 << 20 < free_bytes(torch.device("cpu")) < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: {"cuda:1": (7, 9)}[str(device)])
    assert free_bytes(torch.device("cuda:1")) == 7


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_kept_in_half_precision_averaged_in_whole(matcher, dtype):
    half, whole = memory_of(dtype=dtype), memory_of()
    for seed, labels in enumerate(([0, 1, 1], [0, 2, 0])):
        half.update(unit_maps(3, seed).to(dtype), torch.tensor(labels))
        whole.update(unit_maps(3, seed), torch.tensor(labels))
    assert half.maps.dtype == dtype
    torch.testing.assert_close(half.maps.float(), whole.maps, rtol=0, atol=0.01)
    ours, theirs = (m.loss(matcher, unit_maps(2, 7), torch.tensor([0, 1]), columns_of(12))[0] for m in (half, whole))
    torch.testing.assert_close(ours, theirs, rtol=0.01, atol=0.01)


def test_a_run_that_goes_on_has_the_memory_that_it_had():
    memory, again = memory_of(), ClassMemory(12, CHANNELS, SIDE, SIDE)
    again.load_state_dict(memory.state_dict())
    for one in (memory, again):
        one.update(unit_maps(4, 3), torch.tensor([4, 5, 5, 1]))
    for name in ("maps", "seen"):
        assert torch.equal(memory.state_dict()[name], again.state_dict()[name])


BATCHES_OF_TWO = (([0, 3, 3], [3, 7]), ([5], []), ([], [0, 0, 1, 3]), ([1, 2, 7], [7, 4, 1]))
ONE_OF_TWO = """
import sys, torch
from faceline_core.models.qaconv import QAConv
from faceline_train.losses.class_memory import ClassMemory
rank, folder, batches = int(sys.argv[1]), sys.argv[2], eval(sys.argv[3])
torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
memory, matcher, counts = ClassMemory(9, 6, 4, 4), QAConv(6, 4, 4), []
columns = torch.randn(5, 9, generator=torch.Generator().manual_seed(1))
for number, labels in enumerate(batches):
    maps = torch.load(f"{folder}/maps-{number}.pt")
    first = 0 if rank == 0 else len(labels[0])
    maps = maps[first : first + len(labels[rank])].contiguous(memory_format=torch.channels_last)
    own = torch.tensor(labels[rank], dtype=torch.long)
    loss, left_out = memory.loss(matcher, maps, own, columns)
    loss.backward()
    counts.append((left_out.item(), loss.item() > 0))
    memory.update(maps, own)
torch.save((memory.state_dict(), matcher.state_dict(), counts), f"{folder}/{rank}.pt")
torch.distributed.destroy_process_group()
"""


def test_two_processes_have_the_memory_of_one(tmp_path):
    """Of batches of unequal sizes, with a person in both, and with nobody in one; and where one of them knows nobody of
    its batch, they do not wait for each other in the matcher."""
    alone = ClassMemory(9, CHANNELS, SIDE, SIDE)
    for number, labels in enumerate(BATCHES_OF_TWO):
        maps = unit_maps(len(labels[0]) + len(labels[1]), number)
        torch.save(maps, tmp_path / f"maps-{number}.pt")
        alone.update(maps, torch.tensor(labels[0] + labels[1]))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", ONE_OF_TWO, str(rank), str(tmp_path), repr(BATCHES_OF_TWO)], env=environment
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    (found, matcher, counts), (other, other_matcher, other_counts) = (
        torch.load(tmp_path / f"{rank}.pt") for rank in range(2)
    )
    for name, expected in alone.state_dict().items():
        assert torch.equal(found[name], other[name])
        torch.testing.assert_close(found[name], expected, rtol=0, atol=1e-6)
    assert counts == [(3, False), (1, False), (0, False), (1, True)]
    assert other_counts == [(2, False), (0, False), (1, True), (1, True)]
    for name in ("bn.running_mean", "logit_bn.running_var"):
        assert torch.equal(matcher[name], other_matcher[name])
        assert matcher[name].item() != QAConv(1, 1, 1).state_dict()[name].item()
