"""`trainer.precision: auto` where other work on the machine comes and goes."""

from itertools import count
from types import SimpleNamespace

import pytest
import torch

from faceline_core.training import precision

SETTINGS = SimpleNamespace(precision="auto", accelerator="cpu", channels_last=True, devices=1, num_nodes=1)
ALL = set(range(99))


class Trial:
    network = torch.nn.Linear(4, 4)
    facts = ("linear",)

    def inputs(self, device):
        return torch.linspace(-1, 1, 8, device=device).reshape(2, 4)

    def loss(self, network, inputs):
        return network(inputs).float().sum()

    def outputs(self, network, inputs):
        return network(inputs)


@pytest.fixture
def decide(tmp_path, monkeypatch):
    """A function that decides where a step takes 0.1 s in float32 and `took` times that in bf16, four times as long in
    the steps of `busy`."""

    def with_steps(took, busy, **options):
        steps = count()

        def seconds(_trial, _network, _inputs, kind):
            return 0.1 * (1 if kind == 32 else took) * (4 if next(steps) in busy else 1)

        monkeypatch.setattr(precision, "_seconds", seconds)
        return precision.decide(Trial(), SETTINGS, tmp_path / "precision.json", **options)

    return with_steps


@pytest.mark.parametrize(("took", "wanted"), [(0.5, "bf16"), (0.75, "bf16"), (0.85, 32), (1.5, 32)])
@pytest.mark.parametrize(
    "busy",
    [set(), set(range(4)), ALL - set(range(4)), {2, 3}, {4, 5}, {2, 5, 9}, ALL - {4}, ALL - {6}],
    ids=["never", "at first", "later", "a round", "another", "some steps", "all but a bf16 step", "all but a 32 step"],
)
def test_other_work_does_not_decide(decide, took, wanted, busy):
    assert decide(took, busy) == wanted


def test_what_was_measured_is_said_once(decide, capsys, tmp_path):
    for _ in range(2):
        assert decide(0.85, set(), stage="detect") == 32
    where = tmp_path / "precision.json"
    line = (
        f"[detect] precision: 32 (0.1 s a step, bf16 0.085 s: taken where 1.25 times as fast; measured once, {where})"
    )
    assert capsys.readouterr().out == line + "\n"


def test_a_real_step_is_timed_and_leaves_the_network_as_it_was(tmp_path):
    before = {name: tensor.clone() for name, tensor in Trial.network.state_dict().items()}
    assert precision.decide(Trial(), SETTINGS, tmp_path / "precision.json") in (32, "bf16")
    assert all(torch.equal(tensor, before[name]) for name, tensor in Trial.network.state_dict().items())
    assert Trial.network.weight.grad is None
