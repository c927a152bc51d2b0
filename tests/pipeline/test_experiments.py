"""The commands that the README and docs/experiments.md tell people to type."""

import re
import time

import pytest
import yaml

AFTER_PREPROCESS = ["train", "evaluate", "export"]
OUTPUTS = (
    "data/sample/recognition/people",
    "artifacts/detect/mtcnn/detector.json",
    "artifacts/detect/retinaface/model.pth",
    "artifacts/detect/yolo/model.pt",
    "artifacts/detect/fused/detector.json",
    "artifacts/detect/metrics.json",
    "data/processed/manifest.csv",
    "artifacts/checkpoints/best_model.pth",
    "artifacts/checkpoints/final_model.pth",
    "artifacts/train/history.csv",
    "artifacts/metrics.json",
    "artifacts/evaluate/roc.csv",
    "artifacts/evaluate/confusion.csv",
    "artifacts/model/model.torchscript.pt",
    "artifacts/model/metadata.json",
)


def values_of(experiment: dict) -> dict:
    return experiment["params"]["params.yaml"]["data"]


def has_metrics(experiment: dict) -> bool:
    return bool(experiment["metrics"]["artifacts/metrics.json"]["data"])


@pytest.fixture(scope="module")
def experiment(reproduced, copy_of):
    """A copy in which `dvc exp run -S lr=0.001` has run, and what it printed."""
    clone = copy_of(reproduced)
    return clone, clone.run("dvc", "exp", "run", "-S", "lr=0.001", "--name", "slower")


def test_repro_writes_every_output(reproduced):
    assert [path for path in OUTPUTS if not (reproduced.folder / path).exists()] == []
    assert reproduced.run("git", "status", "--porcelain") == ""


def test_repro_again_runs_nothing_and_the_runner_does_not_matter(reproduced, ran):
    assert ran(reproduced.run("dvc", "repro")) == []
    assert ran(reproduced.run("dvc", "repro", RUNNER="docker")) == []


def test_repro_restores_removed_artifacts_without_running(reproduced, copy_of, ran):
    clone = copy_of(reproduced)
    before = (clone.folder / "artifacts/metrics.json").read_bytes()
    clone.run("rm", "-rf", "artifacts")
    assert ran(clone.run("dvc", "repro")) == []
    assert (clone.folder / "artifacts/metrics.json").read_bytes() == before


def test_a_parameter_of_train_reruns_train_and_what_follows(experiment, ran):
    clone, output = experiment
    assert ran(output) == AFTER_PREPROCESS
    assert yaml.safe_load((clone.folder / "params.yaml").read_text())["lr"] == 0.001
    assert has_metrics(clone.experiments()["slower"])


def test_another_detector_trained_redoes_no_faces_that_mtcnn_found(reproduced, copy_of, ran):
    clone = copy_of(reproduced)
    assert ran(clone.run("dvc", "exp", "run", "-S", "detect.train=[retinaface]", "--name", "fewer")) == ["detect"]
    figures = clone.experiments()["fewer"]["metrics"]["artifacts/detect/metrics.json"]["data"]
    assert list(figures) == ["mtcnn", "retinaface"]
    for command in ("show", "diff"):
        output = clone.run("dvc", "plots", command)
        assert re.fullmatch(r"file://\S+index\.html\n", output), "it complains of nothing"
        page = (clone.folder / "dvc_plots/index.html").read_text()
        assert "pr_curve_retinaface.csv" in page


def test_params_metrics_and_plots_diff(experiment):
    clone, _ = experiment
    assert clone.read_json("dvc", "params", "diff", "--json")["params.yaml"]["lr"] == {
        "old": 0.002,
        "new": 0.001,
        "diff": pytest.approx(-0.001),
    }
    clone.run("dvc", "metrics", "diff")
    assert "artifacts/metrics.json" in clone.read_json("dvc", "metrics", "diff", "--all", "--json")
    clone.run("dvc", "plots", "diff")
    page = (clone.folder / "dvc_plots/index.html").read_text()
    assert re.findall('id = "(.*?)"', page) == [
        "loss",
        "accuracy",
        "roc",
        "detectors",
        "artifacts_evaluate_confusion_csv",
    ]
    assert clone.run("git", "status", "--porcelain").split() == ["M", "dvc.lock", "M", "params.yaml"]


def test_the_queue(reproduced, copy_of):
    clone = copy_of(reproduced)
    resamples = {"first": 11, "second": 12}  # evaluate alone runs
    for name, number in resamples.items():
        clone.run("dvc", "exp", "run", "--queue", "-S", f"evaluate.bootstrap={number}", "--name", name)
    clone.run("dvc", "queue", "start", "-j", "1")
    try:
        deadline = time.monotonic() + 300
        while (status := clone.run("dvc", "queue", "status")).count("Success") < 2:
            assert "Failed" not in status, clone.run("dvc", "queue", "logs", "first")
            assert time.monotonic() < deadline, status
            time.sleep(4)  # each look takes seconds of a core
    finally:
        clone.run("dvc", "queue", "stop", "--kill")  # its worker would wait for more
    found = clone.experiments()
    assert {name: values_of(found[name])["evaluate"]["bootstrap"] for name in resamples} == resamples
    assert all(has_metrics(found[name]) for name in resamples)


def test_own_photos_elsewhere_leave_the_workspace_alone(reproduced, copy_of, ran):
    clone = copy_of(reproduced)
    before = (clone.folder / "artifacts/metrics.json").read_bytes()
    clone.run("cp", "-r", "data/sample", "data/photos")
    clone.run("dvc", "add", "data/photos")
    changes = ("-S", "data=data/photos", "-S", "lr=1e-5")  # YAML would read a string
    output = clone.run("dvc", "exp", "run", "--temp", *changes, "--name", "own")
    assert ran(output) == ["preprocess", *AFTER_PREPROCESS]
    own = clone.experiments()["own"]
    assert has_metrics(own)
    assert float(values_of(own)["lr"]) == 1e-5
    assert (clone.folder / "artifacts/metrics.json").read_bytes() == before
    status = set(clone.run("git", "status", "--porcelain").splitlines())
    assert status == {"A  data/.gitignore", "A  data/photos.dvc"}


def test_a_failed_stage_is_one_line_and_checkout_brings_its_outputs_back(reproduced, copy_of):
    clone = copy_of(reproduced)
    checkpoint = clone.folder / "artifacts/checkpoints/best_model.pth"
    before = checkpoint.read_bytes()
    params = clone.folder / "params.yaml"
    params.write_text(params.read_text().replace("lr: 0.002", "lr: -1"))
    output = clone.run("dvc", "repro", fails=True)
    (line,) = [line for line in output.splitlines() if "error:" in line]
    assert line.startswith("[train] error: params.yaml: lr: ")
    assert "dvc checkout" in line
    assert "Traceback" not in output
    clone.run("dvc", "checkout")
    assert checkpoint.read_bytes() == before
