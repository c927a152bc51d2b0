"""Parameter groups, schedules and the running mean of the weights, against their definitions."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from faceline_core.parameters.training import Optimizer, Scheduler
from faceline_core.training.ema import RunningMean
from faceline_core.training.optimisation import build_optimizer, rate_of_head
from faceline_core.training.schedule import Schedule, cosine_factor

OPTIMIZER = {
    "name": "adam",
    "weight_decay": 0.1,
    "decay_norms_and_biases": False,
    "betas": (0.8, 0.9),
    "eps": 1e-6,
    "amsgrad": True,
    "momentum": 0.7,
    "nesterov": True,
    "backbone_lr_factor": 0.1,
    "ema_decay": 0.0,
}
SCHEDULER = {
    "name": "cosine",
    "warmup_steps": 0.1,
    "max_lr_factor": 2.0,
    "total_steps": 0,
    "min_lr": 0.001,
    "milestones": [2, 3],
    "gamma": 0.5,
    "factor": 0.5,
    "patience": 1,
}


def network():
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU(4), nn.Conv2d(4, 4, 1, bias=False))
    backbone[3].weight.requires_grad_(False)
    return backbone, nn.Linear(4, 2)


def groups_of(**changes):
    backbone, head = network()
    names = {parameter: f"backbone.{name}" for name, parameter in backbone.named_parameters()}
    names |= {parameter: f"head.{name}" for name, parameter in head.named_parameters()}
    optimizer = build_optimizer(backbone, [head], 0.01, Optimizer.model_validate(OPTIMIZER | changes))
    return optimizer, {
        names[parameter]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_norms_and_biases_do_not_decay_and_the_backbone_has_its_own_rate():
    optimizer, found = groups_of()
    slow = pytest.approx(0.001)
    assert found == {
        "backbone.0.weight": (slow, 0.1),
        "backbone.0.bias": (slow, 0.0),
        "backbone.1.weight": (slow, 0.0),
        "backbone.1.bias": (slow, 0.0),
        "backbone.2.weight": (slow, 0.0),
        "head.weight": (0.01, 0.1),
        "head.bias": (0.01, 0.0),
    }
    assert rate_of_head(optimizer) == 0.01


def test_all_decay_where_it_is_asked_for():
    _, found = groups_of(decay_norms_and_biases=True)
    assert {decay for _, decay in found.values()} == {0.1}


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("adam", torch.optim.Adam, {"betas": (0.8, 0.9), "eps": 1e-6, "amsgrad": True}),
        ("adamw", torch.optim.AdamW, {"betas": (0.8, 0.9), "eps": 1e-6, "amsgrad": True}),
        ("sgd", torch.optim.SGD, {"momentum": 0.7, "nesterov": True}),
    ],
)
def test_each_optimizer_has_its_own_parameters(name, kind, options):
    optimizer, _ = groups_of(name=name)
    assert type(optimizer) is kind
    for group in optimizer.param_groups:
        assert {option: group[option] for option in options} == options


def scheduled(epochs, steps, losses=(), **changes):
    """The rate of each step, and the optimizer, in a run of some epochs of some steps."""
    backbone, head = network()
    optimizer = build_optimizer(backbone, [head], 0.1, Optimizer.model_validate(OPTIMIZER))
    settings = Scheduler.model_validate(SCHEDULER | changes)
    schedule = Schedule(optimizer, 0.1, settings, epochs * steps)
    rates = []
    for epoch in range(epochs):
        for _ in range(steps):
            rates.append(rate_of_head(optimizer))
            optimizer.step()
            schedule.after_step()
        schedule.after_epoch(losses[epoch] if losses else 1.0)
    return rates, optimizer, schedule


def test_cosine_rises_to_its_top_and_falls_to_its_floor():
    rates, optimizer, _ = scheduled(10, 10)
    assert max(rates) == rates[10] == pytest.approx(0.2), "max_lr_factor x lr, after a tenth of the steps"
    assert rates[0] == pytest.approx(0.2 / 11)
    assert all(later > earlier for earlier, later in pairwise(rates[:11]))
    assert rates[55] == pytest.approx(0.001 + 0.199 * 0.5 * (1 + math.cos(math.pi * 0.5)))
    assert rate_of_head(optimizer) == pytest.approx(0.001)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0001), "the backbone's is a tenth throughout"


def test_cosine_ends_at_total_steps_where_they_are_given():
    rates, _, _ = scheduled(10, 10, total_steps=50)
    assert rates[50] == pytest.approx(0.001)
    assert set(rates[51:]) == {rates[50]}


def test_cosine_without_warm_up_begins_at_the_top():
    settings = Scheduler.model_validate(SCHEDULER | {"warmup_steps": 0.0, "max_lr_factor": 1.0})
    assert cosine_factor(0.1, settings, 7)(0) == 1.0


def test_multistep_falls_after_its_epochs():
    rates, _, _ = scheduled(4, 3, name="multistep")
    assert rates == pytest.approx([0.1] * 6 + [0.05] * 3 + [0.025] * 3)


def test_plateau_falls_when_val_loss_does_not():
    rates, optimizer, _ = scheduled(6, 1, [1.0, 0.9, 0.9, 0.95, 0.8, 0.7], name="plateau")
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.05, 0.05])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.005)


def test_no_rate_falls_below_the_floor_on_a_plateau():
    _, optimizer, _ = scheduled(30, 1, [1.0] * 30, name="plateau", patience=0)
    assert rate_of_head(optimizer) == pytest.approx(0.001)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0001)


@pytest.mark.parametrize("name", ["plateau", "multistep", "cosine"])
def test_a_schedule_goes_on_from_its_state(name, tmp_path):
    """Through a file that is read without running code."""
    losses = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]
    whole, *_ = scheduled(6, 2, losses, name=name, total_steps=12)
    first, optimizer, schedule = scheduled(3, 2, losses[:3], name=name, total_steps=12)
    torch.save([optimizer.state_dict(), schedule.state_dict()], tmp_path / "state")
    optimizer_state, schedule_state = torch.load(tmp_path / "state", weights_only=True)
    backbone, head = network()
    optimizer = build_optimizer(backbone, [head], 0.1, Optimizer.model_validate(OPTIMIZER))
    schedule = Schedule(optimizer, 0.1, Scheduler.model_validate(SCHEDULER | {"name": name}), 12)
    schedule.load_state_dict(schedule_state)
    optimizer.load_state_dict(optimizer_state)
    second = []
    for epoch in range(3, 6):
        for _ in range(2):
            second.append(rate_of_head(optimizer))
            optimizer.step()
            schedule.after_step()
        schedule.after_epoch(losses[epoch])
    assert first + second == pytest.approx(whole)


def test_the_running_mean_is_the_mean_it_says():
    torch.manual_seed(0)
    linear = nn.Linear(3, 2)
    linear.bias.requires_grad_(False)
    mean = RunningMean(linear, 0.9)

    class Trainer:
        global_step = 0

    trainer = Trainer()
    mean.on_train_start(trainer, None)
    expected = linear.weight.detach().clone().double()
    for step in range(1, 30):
        with torch.no_grad():
            linear.weight.add_(torch.randn(2, 3))
        if step % 2:
            mean.on_train_batch_end(trainer)  # a batch without a step: gradients are being accumulated
        trainer.global_step = step
        mean.on_train_batch_end(trainer)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * linear.weight.detach().double()
    weight, bias = linear.weight.detach().clone(), linear.bias.clone()
    with mean.shown():
        torch.testing.assert_close(linear.weight.detach().double(), expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(linear.weight, weight)
    assert torch.equal(linear.bias, bias)
    assert list(mean.state_dict()["means"]) == ["weight"]
