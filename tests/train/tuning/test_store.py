"""Databases of studies, and what parts one study from another."""

import optuna
import pytest
from optuna.trial import TrialState

from faceline_core.errors import FacelineError
from faceline_train.tuning.search import search

LR = {"distribution": "loguniform", "low": 1e-4, "high": 1e-2}


def test_a_file_that_is_no_database(tmp_path, values_with, train):
    (tmp_path / "tune").mkdir()
    (tmp_path / "tune/study.db").write_text("not a database, but long enough to be looked at as one" * 20)
    with pytest.raises(FacelineError, match=r"study\.db does not answer: file is not a database"):
        search(values_with(), "params.yaml", train, artifacts=tmp_path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"epochs": 5}, "begun with epochs 4 (now 5)"),
        ({"optuna__direction": "minimize"}, "optuna.direction maximize (now minimize)"),
        ({"optuna__metric": "val_loss"}, "optuna.metric val_acc (now val_loss)"),
        ({"searched": {"lr": LR | {"high": 0.1}}}, "optuna.search_spaces.lr.high 0.01 (now 0.1)"),
        ({"trainer__gradient_clip_val": 1.0}, "trainer.gradient_clip_val 0.0 (now 1.0)"),
        ({"augment__transforms": [{"name": "GaussianBlur"}]}, "augment.transforms []"),
    ],
)
def test_a_study_is_not_mixed_with_another(tmp_path, changes, says, values_with, train):
    search(values_with(1), "params.yaml", train, artifacts=tmp_path)
    with pytest.raises(FacelineError) as caught:
        search(values_with(2, **changes), "params.yaml", train, artifacts=tmp_path)
    assert says in str(caught.value)
    assert "Take another study_name" in str(caught.value)
    search(values_with(2, **changes, optuna__study_name="other"), "params.yaml", train, artifacts=tmp_path)


def test_what_differs_between_machines_does_not_part_a_study(tmp_path, values_with, train):
    search(values_with(1), "params.yaml", train, artifacts=tmp_path)
    changes = {"trainer__precision": "bf16", "dataset__num_workers": 3, "dataset__cache": "disk", "lr": 0.5}
    study = search(values_with(2, optuna__pruner="none", **changes), "params.yaml", train, artifacts=tmp_path)
    assert len(study.trials) == 2


def test_other_faces_are_another_study(tmp_path, values_with, train):
    faces = tmp_path / "faces"
    (faces / "train/anna").mkdir(parents=True)
    (faces / "train/anna/1.jpg").write_bytes(b"1")
    values = values_with(1, dataset__path=str(faces))
    search(values, "params.yaml", train, artifacts=tmp_path)
    (faces / "train/anna/2.jpg").write_bytes(b"2")
    with pytest.raises(FacelineError, match="begun with other faces"):
        search(values, "params.yaml", train, artifacts=tmp_path)


def test_a_study_of_which_nothing_came_may_become_another(tmp_path, values_with, train):
    def fails(*_, **__):
        raise FacelineError("data/processed is not there")

    with pytest.raises(FacelineError, match="data/processed is not there"):
        search(values_with(2), "params.yaml", fails, artifacts=tmp_path)
    study = search(values_with(2, optuna__direction="minimize"), "params.yaml", train, artifacts=tmp_path)
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"optuna__metric": "val_accc"}, "optuna.metric: val_accc is not logged"),
        ({"optuna__metric": "val_recall"}, "add recall to logging.metrics"),
        ({"trainer__devices": 2}, "a trial runs on one device"),
        ({"trainer__fast_dev_run": True}, "trainer.fast_dev_run"),
        ({"ckpt_path": "a.pth"}, "only_weights_load"),
        ({"optuna__search_spaces": {}}, "optuna.search_spaces is empty"),
        ({"lr": -1}, "lr: should be greater than 0"),
        ({"optuna__storage": "nonsense"}, "no database URL"),
        ({"optuna__storage": "sqlite:////nowhere/at/all.db"}, "does not answer: unable to open database file"),
        ({"optuna__storage": "postgresql+psycopg2://anna:secret@127.0.0.1:1/x"}, "Run: pip install psycopg2"),
        ({"optuna__storage": "nosuch://127.0.0.1/x"}, "optuna.storage: nosuch://127.0.0.1/x"),
    ],
)
def test_what_cannot_do_is_one_line(tmp_path, changes, says, values_with, train):
    with pytest.raises(FacelineError) as caught:
        search(values_with(**changes), "params.yaml", train, artifacts=tmp_path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
