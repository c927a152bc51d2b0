import math

import pytest
import torch

from faceline_train.losses.occlusion import area_averaged, occlusion_loss
from faceline_train.losses.pairwise import pairwise_matching_loss
from faceline_train.losses.triplet import hardest_triplet_loss

DTYPES = [torch.float32, torch.float64, torch.bfloat16]
LABELS = [
    pytest.param([0, 0, 1, 1, 1, 2, 2, 0], id="all complete"),
    pytest.param([3, 3, 5, 3, 9, 9, 7], id="some alone"),
    pytest.param([4, 4, 4], id="one person"),
    pytest.param([1, 2, 3], id="all alone"),
    pytest.param([1], id="one image"),
]


def slow_gradient(loss, values, step=1e-6):
    """Central differences of a function of a tensor (..., ) float64, by each of its numbers."""
    gradient = torch.zeros_like(values)
    for index in range(values.numel()):
        moved = torch.zeros_like(values).flatten()
        moved[index] = step
        moved = moved.view_as(values)
        gradient.view(-1)[index] = (loss(values + moved) - loss(values - moved)) / (2 * step)
    return gradient


def slow_pairwise(scores, labels):
    """Row by row, in Python's 64-bit floats: -log of the probability that each answer gets."""
    losses = []
    for i, row in enumerate(scores.tolist()):
        for j, score in enumerate(row):
            if i != j:
                right = score if labels[i] == labels[j] else -score
                losses.append(math.log1p(math.exp(-abs(right))) + max(-right, 0.0))
    return sum(losses) / len(losses) if losses else 0.0


def slow_triplet(scores, labels, margin):
    """Row by row; the loss, and how many rows were left out."""
    hinges = []
    for i, row in enumerate(scores.tolist()):
        positives = [score for j, score in enumerate(row) if j != i and labels[j] == labels[i]]
        negatives = [score for j, score in enumerate(row) if labels[j] != labels[i]]
        if positives and negatives:
            hinges.append(max(0.0, margin - min(positives) + max(negatives)))
    return (sum(hinges) / len(hinges) if hinges else 0.0), len(labels) - len(hinges)


def scores_of(labels, dtype=torch.float64, spread=1.5):
    """(B, B) of `dtype`, not symmetric, and the same numbers as float64."""
    random = torch.Generator().manual_seed(len(labels))
    scores = (spread * torch.randn(len(labels), len(labels), generator=random, dtype=torch.float64)).to(dtype)
    return scores.clone().requires_grad_(), scores.double()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("labels", LABELS)
def test_pairwise_values_and_gradients_are_the_definitions(labels, dtype):
    scores, plain = scores_of(labels, dtype)
    loss = pairwise_matching_loss(scores, torch.tensor(labels))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(slow_pairwise(plain, labels), rel=1e-6)
    expected = slow_gradient(lambda values: slow_pairwise(values, labels), plain)
    close = {"rtol": 1e-2, "atol": 1e-4} if dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-7}
    torch.testing.assert_close(scores.grad.double(), expected, **close)


def test_pairwise_of_scores_far_out():
    """A probability would be 0 or 1, and its logarithm infinite."""
    scores = torch.tensor([[0.0, 900.0, -900.0], [900.0, 0.0, 900.0], [-900.0, -900.0, 0.0]], requires_grad=True)
    loss = pairwise_matching_loss(scores, torch.tensor([0, 0, 1]))
    loss.backward()
    assert loss.item() == pytest.approx(150)
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("margin", [1.0, 0.2])
@pytest.mark.parametrize("labels", LABELS)
def test_triplet_values_and_gradients_are_the_definitions(labels, margin, dtype):
    scores, plain = scores_of(labels, dtype)
    loss, left_out = hardest_triplet_loss(scores, torch.tensor(labels), margin)
    loss.backward()
    slow, slow_left_out = slow_triplet(plain, labels, margin)
    assert (loss.dtype, left_out.dtype, loss.shape) == (torch.float32, torch.int64, ())
    assert loss.item() == pytest.approx(slow, rel=1e-6)
    assert left_out.item() == slow_left_out
    expected = slow_gradient(lambda values: slow_triplet(values, labels, margin)[0], plain)
    close = {"rtol": 1e-2, "atol": 1e-4} if dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-7}
    torch.testing.assert_close(scores.grad.double(), expected, **close)


def test_a_triplet_that_is_far_enough_apart_counts_in_the_mean():
    scores = torch.tensor([[9.0, 5.0, 1.0], [5.0, 9.0, 5.5], [1.0, 5.5, 9.0]])
    loss, left_out = hardest_triplet_loss(scores, torch.tensor([0, 0, 1]))
    assert loss.item() == pytest.approx((0 + 1.5) / 2)
    assert left_out.item() == 1


@pytest.mark.parametrize("labels", [[], [1], [1, 2, 3], [4, 4]])
def test_losses_without_anything_to_learn_from_are_zero_and_can_be_gone_back_through(labels):
    scores, labels = scores_of(labels)[0], torch.tensor(labels, dtype=torch.long)
    few = [hardest_triplet_loss(scores, labels)[0]] + ([pairwise_matching_loss(scores, labels)] * (len(labels) < 2))
    for loss in few:
        assert loss.item() == 0
        loss.backward()
    assert not scores.grad.any()


def slow_area_average(mask, height, width):
    """Each position's mean, over pixels that lie in it wholly or in part: nested lists (H, W) to (height, width)."""
    tall, wide = len(mask) / height, len(mask[0]) / width

    def parts(cell, length, pixels):
        """The pixels that lie in a cell, and by how much of them."""
        start, end = cell * length, (cell + 1) * length
        return [(i, min(i + 1, end) - max(i, start)) for i in range(int(start), min(pixels, math.ceil(end)))]

    def mean(y, x):
        rows, columns = parts(y, tall, len(mask)), parts(x, wide, len(mask[0]))
        return sum(mask[i][j] * a * b for i, a in rows for j, b in columns) / (255 * tall * wide)

    return [[mean(y, x) for x in range(width)] for y in range(height)]


def slow_occlusion(visibility, masks, known):
    """Face by face, mean of the squared error over the positions; visibility (N, h, w) float64."""
    faces = []
    for predicted, mask, counts in zip(visibility.tolist(), masks.tolist(), known, strict=True):
        true = slow_area_average(mask, len(predicted), len(predicted[0]))
        pairs = [pair for lines in zip(predicted, true, strict=True) for pair in zip(*lines, strict=True)]
        errors = [(p - t) ** 2 for p, t in pairs]
        faces += [sum(errors) / len(errors)] if counts else []
    return sum(faces) / len(faces) if faces else 0.0


def masks_of(faces, size):
    """(N, size, size) uint8: black, white and all between, in blobs."""
    noise = torch.rand(faces, 1, 5, 5, generator=torch.Generator().manual_seed(size))
    smooth = torch.nn.functional.interpolate(noise, (size, size), mode="bicubic").squeeze(1)
    return (400 * smooth - 70).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize(("size", "cells"), [(112, 7), (112, 14), (56, 7), (113, 7), (45, 14), (17, 5), (5, 7), (7, 7)])
def test_masks_are_averaged_over_the_area(size, cells):
    masks = masks_of(2, size)
    found = area_averaged(masks, cells, cells)
    torch.testing.assert_close(
        found, torch.tensor([slow_area_average(mask, cells, cells) for mask in masks.tolist()]), rtol=0, atol=1e-6
    )
    assert found.mean().item() == pytest.approx(masks.double().mean().item() / 255, abs=1e-6)


def test_whole_pixels_are_averaged_as_pooling_does():
    """Under autocast too: eight bits would be off by 0.004."""
    masks = masks_of(3, 112)
    with torch.autocast("cpu", torch.bfloat16):
        found = area_averaged(masks, 14, 7)
    pooled = torch.nn.functional.avg_pool2d(masks.double().unsqueeze(1) / 255, (8, 16)).squeeze(1)
    torch.testing.assert_close(found.double(), pooled, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("known", [[True, False, True], [True, True, True], [False, False, False]])
def test_occlusion_values_and_gradients_are_the_definitions(known, dtype):
    masks, random = masks_of(3, 9), torch.Generator().manual_seed(1)
    plain = torch.rand(3, 2, 4, generator=random, dtype=torch.float64).to(dtype).double()
    visibility = plain.to(dtype).unsqueeze(1).requires_grad_()
    loss = occlusion_loss(visibility, masks, torch.tensor(known))
    loss.backward()
    assert (loss.dtype, loss.shape) == (torch.float32, ())
    assert loss.item() == pytest.approx(slow_occlusion(plain, masks, known), rel=1e-5)
    expected = slow_gradient(lambda values: slow_occlusion(values, masks, known), plain)
    close = {"rtol": 1e-2, "atol": 1e-4} if dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-7}
    torch.testing.assert_close(visibility.grad.squeeze(1).double(), expected, **close)


def test_the_mask_of_a_face_that_is_not_known_is_not_looked_at():
    visibility, masks, known = torch.rand(2, 1, 7, 7), masks_of(2, 112), torch.tensor([True, False])
    before = occlusion_loss(visibility, masks, known)
    masks[1] = 255 - masks[1]
    assert torch.equal(occlusion_loss(visibility, masks, known), before)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_comes_out(bad):
    labels, (scores, _) = torch.tensor([0, 0, 1, 1]), scores_of([0, 0, 1, 1])
    scores = scores.detach()
    scores[1, 3] = bad  # of two people: a triplet's negative
    visibility = torch.rand(2, 1, 7, 7)
    visibility[0, 0, 3, 3] = bad
    for loss in (
        pairwise_matching_loss(scores, labels),
        hardest_triplet_loss(scores, labels)[0],
        occlusion_loss(visibility, masks_of(2, 112), torch.tensor([True, True])),
    ):
        assert not loss.isfinite()


def test_a_nan_of_two_images_of_a_person_comes_out():
    scores = torch.zeros(4, 4)
    scores[0, 1] = math.nan
    assert hardest_triplet_loss(scores, torch.tensor([0, 0, 1, 1]))[0].isnan()
