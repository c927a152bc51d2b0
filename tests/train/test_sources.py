"""Where faces may come from: the same faces give the same weights, whatever they are kept in."""

import csv
import sys

import numpy as np
import pytest
import torch

from faceline_core.data.recordio import write_records
from faceline_train import feeding
from faceline_train.classifier import Classifier


@pytest.fixture
def kept_as(tmp_path, processed):
    """A function that keeps the faces of `processed` in another format, and returns that folder."""
    files = {split: sorted((processed / split).glob("*/*.jpg")) for split in ("train", "val")}
    people = sorted({file.parent.name for file in files["train"]})

    def keep(form: str):
        folder = tmp_path / form
        folder.mkdir()
        for split, faces in files.items():
            if form == "recordio":
                items = [(people.index(face.parent.name), face.read_bytes()) for face in faces]
                write_records(folder / f"{split}.rec", items)
            else:
                with (folder / f"{split}.csv").open("w", newline="") as table:
                    csv.writer(table).writerows([("path", "label"), *((face, face.parent.name) for face in faces)])
        return folder

    return keep


@pytest.mark.parametrize("form", ["recordio", "csv"])
def test_the_format_changes_nothing(run, kept_as, weights_of, assert_same, form):
    first = run("folder", epochs=1)
    second = run("other", epochs=1, dataset__format=form, dataset__path=str(kept_as(form)))
    assert_same(weights_of(first), weights_of(second))


def test_data_sets_of_ones_own(run, tmp_path, monkeypatch, content_of):
    """An installed package that offers the entry point faceline.datasets: made up, and put on the path."""
    (tmp_path / "made_up.py").write_text(
        "import numpy as np\n"
        "class Faces:\n"
        "    classes = ['dark', 'light']\n"
        "    labels = [0, 1] * 6\n"
        "    def __len__(self): return 12\n"
        "    def face(self, index):\n"
        "        rng = np.random.default_rng(index)\n"
        "        return rng.integers(0, 100, (32, 32, 3)).astype(np.uint8) + np.uint8(150 * (index % 2))\n"
        "    def describe(self, index): return f'made up {index}'\n"
        "def open_it(path, split, img_size):\n"
        "    return Faces() if split == 'train' else None\n"
    )
    info = tmp_path / "made_up-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: made-up\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[faceline.datasets]\nmade_up = made_up:open_it\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    artifacts = run("own", epochs=6, dataset__format="made_up", dataset__holdout=0.3, model_name="resnet18")
    sys.modules.pop("made_up")
    content = content_of(artifacts, "best_model.pth")
    assert content["classes"] == ["dark", "light"]
    assert content["best"] == 1.0


def test_the_contact_sheet_is_the_first_batch_as_the_network_sees_it(run, monkeypatch):
    shown, seen = [], []
    monkeypatch.setattr(feeding, "contact_sheet", lambda _path, faces, captions: shown.append((faces, captions)))
    original = Classifier.training_step

    def training_step(self, batch, index):
        seen.append(batch)
        return original(self, batch, index)

    monkeypatch.setattr(Classifier, "training_step", training_step)
    run(epochs=1, augment__preset="standard")
    ((faces, captions),) = shown
    assert torch.equal(torch.from_numpy(np.asarray(faces)).permute(0, 3, 1, 2), seen[0].images)
    assert captions == [f"person_{label:02}" for label in seen[0].labels]
