"""Data sets of one's own, by an entry point: what they are asked, and what is checked of their answers."""

import dataclasses
import re
from importlib.metadata import EntryPoint, EntryPoints
from types import SimpleNamespace

import numpy as np
import pytest

from faceline_core.data import plugin
from faceline_core.errors import FacelineError

SIZE = 32


def picture(grey, size=SIZE):
    return np.full((size, size, 3), grey, np.uint8)


@dataclasses.dataclass
class Drawn:
    """A data set as others may write it."""

    classes: object = ("ann", "bob")
    labels: object = dataclasses.field(default_factory=lambda: np.array([0, 0, 1, 1]))
    made: object = dataclasses.field(default_factory=lambda: picture(9))
    count: int = 4

    def __len__(self):
        return self.count

    def face(self, index):
        return self.made if index == 0 else picture(index)

    def describe(self, index):
        return f"drawn {index}"


@pytest.fixture
def install(monkeypatch):
    """Offers a factory as the data set `drawn`."""

    def install(factory):
        entry = EntryPoint("drawn", "somewhere:factory", plugin.GROUP)
        monkeypatch.setattr(EntryPoint, "load", lambda _: factory)
        monkeypatch.setattr(plugin, "entry_points", lambda **by: EntryPoints([entry]).select(**by))

    return install


def test_a_data_set_of_ones_own(install, tmp_path, opened, contents):
    asked = []

    def factory(path, split, img_size):
        asked.append((path, split, img_size))
        return Drawn() if split == "train" else None

    install(factory)
    train, val = opened(tmp_path, "drawn", holdout=0.5)
    assert asked == [(tmp_path, "train", SIZE), (tmp_path, "val", SIZE)]
    assert sorted(contents(train) + contents(val)) == [("ann", 1), ("ann", 9), ("bob", 2), ("bob", 3)]
    assert train.describe(0).startswith("drawn ")
    whole = plugin.open_plugin("drawn", tmp_path, "train", SIZE)
    assert whole.sha256() == plugin.open_plugin("drawn", tmp_path, "train", SIZE).sha256()
    install(lambda *_: Drawn(made=picture(8)))
    assert plugin.open_plugin("drawn", tmp_path, "train", SIZE).sha256() != whole.sha256()
    train, _ = opened(tmp_path, "drawn", classes=["bob", "ann"])
    assert contents(train) == [("ann", 8), ("ann", 1), ("bob", 2), ("bob", 3)]
    assert train.classes == ["bob", "ann"]
    with pytest.raises(FacelineError, match="drawm is unknown; did you mean drawn"):
        opened(tmp_path, "drawm")
    install(lambda *_: None)
    with pytest.raises(FacelineError, match=r"\(drawn, train\) is not there"):
        opened(tmp_path, "drawn")


@pytest.mark.parametrize(
    ("returned", "fault"),
    [
        (SimpleNamespace(classes=["a"]), "SimpleNamespace has no labels, __len__, face, describe"),
        (Drawn(count=3), "found 4 labels and 3 faces"),
        (Drawn(labels=[0, 1, 2, 0]), "expected labels from 0 to 1, found 2 at face 2"),
        (Drawn(labels=[0, 1.0, 1, 0]), "expected labels from 0 to 1, found 1.0 at face 1"),
        (Drawn(labels=[0, -1, 1, 0]), "found -1 at face 1"),
        (Drawn(classes=["a", "a"]), "expected classes to be strings, each once"),
        (Drawn(classes=[0, 1]), "expected classes to be strings, each once"),
        (Drawn(labels=[], count=0), "it has no faces"),
        (
            Drawn(made=picture(0, 64)),
            "face(0) to be an array (32, 32, 3) of uint8, found (64, 64, 3) of uint8",
        ),
        (Drawn(made=picture(0).astype(np.float32)), "found (32, 32, 3) of float32"),
        (Drawn(made=None), "found NoneType"),
    ],
)
def test_what_a_data_set_returns_is_checked(install, tmp_path, returned, fault, opened):
    install(lambda *_: returned)
    with pytest.raises(
        FacelineError, match=rf"dataset\.format: drawn \(somewhere:factory, train\): .*{re.escape(fault)}"
    ):
        opened(tmp_path, "drawn")


def test_a_later_face_that_does_not_do_is_named(install, tmp_path, opened):
    install(lambda *_: Drawn())
    train, _ = opened(tmp_path, "drawn")
    train.faces.face = lambda _: picture(0, 64)
    with pytest.raises(FacelineError, match=r"drawn 2: expected face\(2\) to be an array \(32, 32, 3\)"):
        train.face(2)


def test_a_data_set_that_does_not_load(monkeypatch, tmp_path, opened):
    entries = [EntryPoint("drawn", f"nowhere_{number}:factory", plugin.GROUP) for number in range(2)]
    monkeypatch.setattr(plugin, "entry_points", lambda **by: EntryPoints(entries[:1]).select(**by))
    with pytest.raises(FacelineError, match=r"the entry point nowhere_0:factory does not load \(No module named"):
        opened(tmp_path, "drawn")
    monkeypatch.setattr(plugin, "entry_points", lambda **by: EntryPoints(entries).select(**by))
    with pytest.raises(FacelineError, match="drawn is offered by 2 packages"):
        opened(tmp_path, "drawn")
