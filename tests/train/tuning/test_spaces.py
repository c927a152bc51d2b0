"""optuna.search_spaces: what may be searched, what is drawn, how the winner is written; the command line."""

import shlex
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from faceline_core.errors import FacelineError
from faceline_core.parameters.reading import read_values
from faceline_core.parameters.training import SearchSpace
from faceline_train.tuning import spaces
from faceline_train.tuning.search import search

PARAMS = Path(__file__).parents[3] / "params.yaml"
LR = {"distribution": "loguniform", "low": 1e-4, "high": 1e-2}


@pytest.mark.parametrize(
    "value",
    [0.002134, 1e-05, 2.303e-06, 1e-07, 1234567.0, 16, True, False, None, "cosine", "timm/resnet18.a1_in1k", "null",
     "true", "16", "1e-5", "my weights.pth", 'a"b', "a\\b", "a\\", 'a\\"b', "x,y=[z]", "it's", ""],
)  # fmt: skip
def test_dvc_reads_the_command_as_it_was_meant(tmp_path, value):
    hydra = pytest.importorskip("dvc.utils.hydra")
    *words, setting = shlex.split(spaces.command({"weights": value}))
    assert words == ["dvc", "exp", "run", "-S"]
    file = tmp_path / "params.yaml"
    file.write_text("weights: none\n")
    hydra.apply_overrides(file, [setting])
    found = read_values(file)["weights"]
    assert (type(found), found) == (type(value), value)


def test_what_is_drawn_lies_within_the_space_and_is_short():
    searched = {
        "lr": SearchSpace(**LR),
        "loss.m": SearchSpace(distribution="uniform", low=0.123456, high=0.123489),
        "epochs": SearchSpace(distribution="int", low=3, high=5),
        "freeze_ratio": SearchSpace(distribution="categorical", choices=[True, 0.5, 0.0]),
        "weights": SearchSpace(distribution="categorical", choices=["none", "pretrained"]),
    }
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    seen = [spaces.suggest(study.ask(), searched) for _ in range(60)]
    by_name = {name: [one[name] for one in seen] for name in searched}
    assert all(1e-4 <= lr <= 1e-2 and float(f"{lr:.4g}") == lr for lr in by_name["lr"])
    assert 10 < sum(lr < 1e-3 for lr in by_name["lr"]) < 50, "as many below the middle of the logarithms as above"
    assert all(0.123456 <= m <= 0.123489 for m in by_name["loss.m"])
    assert {(type(one), one) for one in by_name["epochs"]} == {(int, 3), (int, 4), (int, 5)}
    assert {(type(one), one) for one in by_name["freeze_ratio"]} == {(bool, True), (float, 0.5), (float, 0.0)}
    assert set(by_name["weights"]) == {"none", "pretrained"}


@pytest.mark.parametrize(
    ("name", "space", "says"),
    [
        ("zzz", LR, "no parameter; known are model_name, weights, "),
        ("optimizer.weight_deacy", LR, "no parameter; did you mean optimizer.weight_decay"),
        ("optimizer.weight_decay.x", LR, "no parameter"),
        ("optimizer", LR, "a section is not searched as a whole. Name one of optimizer.name, optimizer.weight_decay"),
        ("img_size", LR, "faces would have to be cut again"),
        ("preprocess.val_ratio", LR, "faces would have to be cut again"),
        ("dataset.holdout", LR, "do not compare"),
        ("seed", LR, "luck"),
        ("trainer.devices", LR, "one device"),
        ("checkpoint.monitor", LR, "does not change what is learned"),
        ("evaluate.bootstrap", LR, "the train stage does not use it"),
        ("freeze_ratio", {"distribution": "uniform", "low": 0.0, "high": 1.5}, "freeze_ratio: should be less than"),
        ("epochs", LR, "epochs: should be a valid integer"),
        ("scheduler.name", {"distribution": "categorical", "choices": ["cosine", "cosin"]}, "scheduler.name: should"),
        ("classes", {"distribution": "categorical", "choices": ["anna"]}, "do not compare"),
        ("optimizer.betas", {"distribution": "uniform", "low": 0.1, "high": 0.9}, "optimizer.betas: should be a valid"),
    ],
)
def test_what_may_not_be_searched_is_refused_before_the_first_trial(tmp_path, name, space, says, values_with):
    values = values_with(searched={name: space})
    with pytest.raises(FacelineError) as caught:
        search(values, "params.yaml", lambda *_, **__: pytest.fail("a trial began"), artifacts=tmp_path)
    assert str(caught.value).startswith(f"params.yaml: optuna.search_spaces.{name}")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_other_parameter_of_training_may_be_searched():
    values = read_values(PARAMS)
    taken = []
    for name, value in spaces.flat(values).items():
        if not isinstance(value, list):
            try:
                space = SearchSpace(distribution="categorical", choices=[value])
                spaces.check_spaces({name: space}, values, "params.yaml")
                taken.append(name)
            except FacelineError:
                pass
    for name in ("model_name", "weights", "head", "epochs", "batch_size", "lr", "freeze_ratio", "loss.m", "loss.s",
                 "optimizer.name", "optimizer.momentum", "scheduler.name", "scheduler.warmup_steps", "augment.preset",
                 "trainer.precision", "trainer.gradient_clip_val", "early_stopping.patience"):  # fmt: skip
        assert name in taken
    assert not any(name.startswith(("sample.", "preprocess.", "dataset.", "evaluate.", "optuna.")) for name in taken)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--help"], "usage: faceline-train tune"),
        ([], "[tune] error: params.yaml: optuna.search_spaces.lrr is no parameter; did you mean lr"),
        (["--trials", "0"], "faceline-train tune: error: argument --trials: should be 1 or more, found 0"),
    ],
)  # fmt: skip
def test_the_command_line_answers_before_anything_heavy_is_loaded(tmp_path, arguments, says):
    (tmp_path / "params.yaml").write_text(PARAMS.read_text().replace("    lr: {distribution", "    lrr: {distribution"))
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "faceline_train", "tune", *arguments],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"PYTHONPATH": ":".join(str(PARAMS.parent / name / "src") for name in ("core", "train"))},
    )  # fmt: skip
    told = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("import time:")]
    assert any(line.startswith(says) for line in told)
    assert "Traceback" not in done.stderr
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert loaded & {"torch", "numpy", "lightning", "optuna", "sqlalchemy", "matplotlib"} == set()
