"""A frozen backbone: it stays as it came, and runs once."""

import pytest
import torch

from faceline_core.models.recogniser import Recogniser


@pytest.fixture
def forwards(monkeypatch) -> list[int]:
    """The number of faces of each pass through a backbone."""
    original, seen = Recogniser.features, []

    def features(self, images):
        seen.append(len(images))
        return original(self, images)

    monkeypatch.setattr(Recogniser, "features", features)
    return seen


FROZEN = {"freeze_ratio": True, "lr": 0.01, "epochs": 3, "augment__preset": "none"}
MEANS = 16
"""Faces that the mean embeddings of people are made of, where those trained on are augmented."""


def test_a_frozen_backbone_stays_as_it_came(run, weights_of):
    source = run("source")
    artifacts = run(**FROZEN, weights=str(source / "checkpoints/final_model.pth"))
    before, after = weights_of(source), weights_of(artifacts)
    for name in before:
        if name.startswith("backbone."):
            assert torch.equal(before[name], after[name]), name
    assert not torch.equal(before["head.weight"], after["head.weight"])


@pytest.mark.parametrize("head", ["softmax", "adaface"])
def test_its_features_give_what_the_ordinary_path_gives(run, weights_of, assert_same, rows_of, content_of, head):
    ordinary = run("ordinary", **FROZEN, head=head, trainer__reuse_embeddings=False)
    quick = run("quick", **FROZEN, head=head)
    assert_same(weights_of(ordinary), weights_of(quick), atol=1e-4)
    assert_same(weights_of(ordinary, "best_model.pth"), weights_of(quick, "best_model.pth"), atol=1e-4)
    for row, other in zip(rows_of(ordinary), rows_of(quick), strict=True):
        for name in ("train_loss", "val_loss", "val_acc", "val_f1"):
            assert row[name] == pytest.approx(other[name], abs=1e-4)
    persons = [content_of(path, "best_model.pth")["person_embeddings"] for path in (ordinary, quick)]
    torch.testing.assert_close(*persons, atol=1e-4, rtol=0)


def test_it_runs_once_whatever_the_epochs_and_the_runs(run, forwards):
    run("a", **FROZEN | {"dataset__cache": "none"})
    assert sum(forwards) == 16 + 4, "training faces, validation faces"
    forwards.clear()
    run("a", **FROZEN | {"lr": 0.02})
    assert sum(forwards) == 0, "the features are there"
    forwards.clear()
    run("a", **FROZEN | {"model_name": "resnet18"})
    assert sum(forwards) == 16 + 4, "of another network they are other ones"


def test_augmented_faces_take_turns_in_their_views(run, forwards, weights_of, assert_same):
    changes = FROZEN | {"augment__preset": "standard"}
    run("anew", **changes)
    assert sum(forwards) == 3 * (16 + 4) + MEANS, "without views every epoch draws new ones"
    forwards.clear()
    views = run("views", **changes, augment__views=2)
    assert sum(forwards) == 2 * 16 + 4 + MEANS
    ordinary = run("two", **changes | {"epochs": 2}, trainer__reuse_embeddings=False)
    twice = run("twice", **changes | {"epochs": 2}, augment__views=2)
    assert_same(weights_of(ordinary), weights_of(twice), atol=1e-4)
    assert not torch.equal(weights_of(views)["head.weight"], weights_of(twice)["head.weight"])


def test_a_stopped_run_of_the_head_goes_on_to_the_same_weights(run, stop_at_step, stopped, weights_of, assert_same):
    whole = run("whole", **FROZEN)
    stop_at_step(5)
    with pytest.raises(stopped):
        run("stopped", **FROZEN)
    assert_same(weights_of(whole), weights_of(run("stopped", **FROZEN)))


def test_a_named_checkpoint_of_a_frozen_run_is_trained_on_from(run, weights_of, assert_same):
    changes = {**FROZEN, "scheduler__name": "multistep"}
    whole = run("whole", **changes | {"epochs": 4})
    half = run("half", **changes | {"epochs": 2})
    rest = run("rest", **changes | {"epochs": 4}, ckpt_path=str(half / "checkpoints/final_model.pth"))
    assert_same(weights_of(whole), weights_of(rest))
