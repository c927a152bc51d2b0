"""Faces of one grey level, as training opens them; maps for a matcher, and one with parameters of every kind."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from faceline_core.data.face_set import open_faces
from faceline_core.models.qaconv import QAConv
from faceline_core.parameters.training import Dataset

CHANNELS, HEIGHT, WIDTH = 5, 3, 2


@pytest.fixture(scope="session")
def opened():
    """A function that opens the faces to train on and to validate on."""

    def opened(path, name, classes=None, holdout=0.0, seed=1, size=32, min_images=1):
        settings = Dataset(
            format=name,
            path=str(path),
            holdout=holdout,
            min_images=min_images,
            sampler="shuffle",
            instances_per_identity=4,
            cache="none",
            num_workers=0,
            prefetch=2,
        )
        return open_faces(settings, size, classes, seed)

    return opened


@pytest.fixture(scope="session")
def contents():
    """A function from faces to what they show."""

    def contents(faces):
        """(person, grey level) of each face."""
        return [(faces.classes[label], int(faces.face(i)[0, 0, 0])) for i, label in enumerate(faces.labels)]

    return contents


@pytest.fixture(scope="session")
def some_matcher():
    """A function that builds a matcher."""

    def some_matcher(visibility="scaling", **options):
        """With parameters and running statistics of every kind, float64."""
        torch.manual_seed(5)
        matcher = QAConv(CHANNELS, HEIGHT, WIDTH, visibility=visibility, **options).double()
        for parameter in matcher.parameters():
            nn.init.uniform_(parameter, 0.3, 1.2)
        for bn, mean, variance in ((matcher.bn, 0.4, 0.3), (matcher.logit_bn, -1.0, 2.0)):
            bn.running_mean.fill_(mean), bn.running_var.fill_(variance)
        return matcher

    return some_matcher


@pytest.fixture(scope="session")
def some_maps():
    """A function that draws maps."""

    def some_maps(count, seed, channels=CHANNELS, height=HEIGHT, width=WIDTH):
        maps = torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(seed)).double()
        return F.normalize(maps, dim=1)

    return some_maps


@pytest.fixture(scope="session")
def some_visibility():
    """A function that draws what is visible."""

    def some_visibility(count, seed):
        """(count, 1, h, w) in sixteenths, which bfloat16 has too, none 0: ties between matches have no one gradient.

        Of the second face nothing counts as visible, of the third all.
        """
        random = torch.Generator().manual_seed(seed)
        visibility = torch.randint(1, 17, (count, 1, HEIGHT, WIDTH), generator=random).double() / 16
        visibility[:1, ..., 0], visibility[:1, ..., 1] = 0.75, 0.5
        visibility[1:2].clamp_(max=0.5)
        visibility[2:3].clamp_(min=0.5625)
        return visibility

    return some_visibility
