"""The learning rate's factor, against its plain definition step by step."""

import numpy as np
import pytest

from faceline_detect.training.rate import rate_factor

EPOCHS, STEPS = 6, 60


@pytest.fixture
def factors(parameters_with):
    """A function that gives the factor of each of STEPS steps."""

    def of(**changes):
        given = {f"detect.retinaface.{name}": value for name, value in ({"epochs": EPOCHS} | changes).items()}
        factor = rate_factor(parameters_with(("detect",), given).detect.retinaface, STEPS)
        return [factor(step) for step in range(STEPS)]

    return of


def rise(steps):
    """Along a line from nothing, which no step has, to the top, which the first step after it has."""
    return [(step + 1) / (steps + 1) for step in range(steps)]


@pytest.mark.parametrize(("warmup", "rising"), [(0.0, 0), (0.05, 3), (0.26, 16), (0.5, 30)])
def test_half_a_cosine_to_a_thousandth_after_the_warm_up(factors, warmup, rising):
    falling = STEPS - rising
    fall = [0.001 + 0.999 * (1 + np.cos(np.pi * step / falling)) / 2 for step in range(falling)]
    found = factors(schedule="cosine", warmup=warmup)
    assert found == pytest.approx(rise(rising) + fall, rel=1e-12)
    assert max(found) == found[rising] == 1.0


@pytest.mark.parametrize(("warmup", "rising"), [(0.0, 0), (0.05, 3), (0.26, 16)])
def test_a_tenth_after_each_milestone_and_the_warm_up(factors, warmup, rising):
    stairs = [1.0] * 20 + [0.1] * 20 + [0.01] * 10 + [0.001] * 10  # ten steps an epoch
    found = factors(schedule="steps", warmup=warmup, milestones=[2, 4, 5])
    assert found == pytest.approx(rise(rising) + stairs[rising:], rel=1e-12)


def test_the_end_is_a_thousandth(parameters_with):
    settings = parameters_with(("detect",), {"detect.retinaface.schedule": "cosine"}).detect.retinaface
    for step in (STEPS, STEPS + 7):  # where fewer steps were counted on than there are
        assert rate_factor(settings, STEPS)(step) == pytest.approx(0.001)
