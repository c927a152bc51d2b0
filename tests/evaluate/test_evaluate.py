import csv
import json
import shutil

import numpy as np
import pytest
import torch
from sklearn.metrics import classification_report

import faceline_evaluate
from faceline_core.data.faces import read_face
from faceline_core.data.split import read_split
from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import load_recogniser, save_checkpoint
from faceline_core.models.recogniser import Recogniser
from faceline_core.verification.rates import rates_at, vr_at_far
from faceline_evaluate.evaluation import evaluate
from faceline_evaluate.known import classification, person_rows, wilson_interval
from faceline_evaluate.tables import score_rows
from faceline_evaluate.verification import far_name


@pytest.fixture(scope="module")
def measured(tmp_path_factory, write_processed, parameters_with):
    """A recogniser with settled BatchNorm statistics, measured: its paths, parameters and metrics."""
    root = tmp_path_factory.mktemp("evaluate")
    processed = write_processed(root, people=5, photos=8, size=32, noise=140, test=2)
    torch.manual_seed(3)
    split = read_split(processed, "train")
    recogniser = Recogniser("resnet18", 32, split.classes).train()
    for module in recogniser.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        recogniser(torch.from_numpy(np.stack([read_face(path, 32) for path in split.paths])).permute(0, 3, 1, 2))
    artifacts = root / "artifacts"
    trained = {"epoch": 1, "monitor": "val_acc", "best": 0.5, "data_sha256": "x"}
    save_checkpoint(artifacts / "checkpoints/best_model.pth", recogniser, **trained)
    fars = [0.1, 0.01, 0.0001]
    parameters = parameters_with(faceline_evaluate.KEYS, {"evaluate.fars": fars, "evaluate.bootstrap": 30})
    return processed, artifacts, parameters, evaluate(parameters, processed, artifacts)


def scores_slow(processed, artifacts, name):
    """Every pair of different photos, one dot product at a time."""
    recogniser, _ = load_recogniser(artifacts / "checkpoints/best_model.pth")
    split = read_split(processed, name)
    with torch.no_grad():
        images = torch.from_numpy(np.stack([read_face(path, 32) for path in split.paths])).permute(0, 3, 1, 2)
        embeddings = torch.nn.functional.normalize(recogniser.features(images)).numpy()
    pairs = [(i, j) for i in range(len(embeddings)) for j in range(i)]
    scores = np.array([embeddings[i] @ embeddings[j] for i, j in pairs])
    return scores, np.array([split.labels[i] == split.labels[j] for i, j in pairs])


def test_unknown_people_are_measured_at_thresholds_of_others(measured):
    processed, artifacts, _, metrics = measured
    scores, same = scores_slow(processed, artifacts, "unseen")
    chosen_scores, chosen_same = scores_slow(processed, artifacts, "unseen_val")
    assert metrics["unseen"]["genuine_pairs"] == same.sum()
    assert metrics["unseen"]["impostor_pairs"] == (~same).sum()
    for far in (0.1, 0.01):
        found, expected = metrics["unseen"]["vr"][far_name(far)], vr_at_far(scores, same, far)
        assert found["vr"] == pytest.approx(expected.vr, abs=1e-9)
        assert found["threshold"] == pytest.approx(expected.threshold, abs=1e-5)
        assert found["vr_low"] <= found["vr"] <= found["vr_high"]
        chosen = vr_at_far(chosen_scores, chosen_same, far)
        assert found["chosen_threshold"] == pytest.approx(chosen.threshold, abs=1e-5)
        assert (found["far_at_chosen"], found["vr_at_chosen"]) == pytest.approx(
            rates_at(scores, same, found["chosen_threshold"]), abs=2e-3
        )


def test_a_rate_that_cannot_be_resolved_is_null_and_says_so(measured):
    _, artifacts, _, _ = measured
    rate = json.loads((artifacts / "metrics.json").read_text())["unseen"]["vr"]["far_1e-4"]
    assert rate == {"resolvable": False, "vr": None, "vr_low": None, "vr_high": None, "threshold": None}


def test_files_are_what_dvc_plots_and_people_read(measured):
    processed, artifacts, _, metrics = measured
    rows = {
        name: list(csv.DictReader((artifacts / f"evaluate/{name}.csv").open()))
        for name in ("roc", "roc_test", "scores", "scores_test", "confusion", "people")
    }
    test = read_split(processed, "test")
    assert len(rows["confusion"]) == len(test.paths)
    right = np.mean([row["actual"] == row["predicted"] for row in rows["confusion"]])
    assert right == pytest.approx(metrics["test"]["accuracy"])
    assert {row["person"] for row in rows["people"]} == set(test.classes)
    assert sum(float(row["genuine"]) for row in rows["scores"]) == pytest.approx(1)
    for picture in ("roc", "scores", "confusion"):
        assert (artifacts / f"evaluate/{picture}.png").read_bytes().startswith(b"\x89PNG")


def test_an_earlier_result_stays_where_a_split_is_empty(measured):
    processed, artifacts, parameters, _ = measured
    before = (artifacts / "metrics.json").read_bytes()
    (processed / "unseen").rename(processed / "away")
    try:
        with pytest.raises(FacelineError, match=r"preprocess\.unseen_identities"):
            evaluate(parameters, processed, artifacts)
        (processed / "unseen").mkdir()
        with pytest.raises(FacelineError, match=r"preprocess\.unseen_identities"):
            evaluate(parameters, processed, artifacts)
        (processed / "away/person_11").rename(processed / "unseen/person_11")
        with pytest.raises(FacelineError, match="8 faces of 1 people: verification needs two people"):
            evaluate(parameters, processed, artifacts)
        (processed / "unseen/person_11").rename(processed / "away/person_11")
        (processed / "unseen").rmdir()
    finally:
        (processed / "away").rename(processed / "unseen")
    assert (artifacts / "metrics.json").read_bytes() == before


def test_where_nobody_is_held_back_known_people_are_measured(measured, tmp_path, write_processed):
    _, artifacts, parameters, _ = measured
    processed = write_processed(tmp_path, people=5, photos=8, size=32, test=2)
    for name in ("unseen", "unseen_val"):
        shutil.rmtree(processed / name)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/best_model.pth").write_bytes((artifacts / "checkpoints/best_model.pth").read_bytes())
    metrics = evaluate(parameters, processed, tmp_path)
    assert set(metrics) == {"test", "checkpoint"}
    assert metrics["test"]["verification"]["people"] == 5
    assert {path.name for path in (tmp_path / "evaluate").glob("*.png")} == {"roc.png", "confusion.png"}


def test_a_large_split_is_sampled_and_says_so(measured, parameters_with, tmp_path):
    processed, artifacts, _, _ = measured
    parameters = parameters_with(faceline_evaluate.KEYS, {"evaluate.max_faces": 20, "evaluate.bootstrap": 0})
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/best_model.pth").write_bytes((artifacts / "checkpoints/best_model.pth").read_bytes())
    metrics = evaluate(parameters, processed, tmp_path)
    assert (metrics["unseen"]["faces"], metrics["unseen"]["people"]) == (16, 2), "whole people, of 8 faces each"
    assert metrics["unseen"]["genuine_pairs"] == 2 * 8 * 7 / 2
    assert metrics["unseen"]["vr"]["far_1e-1"]["vr_low"] is None


def test_classification_equals_the_report_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 60).tolist()
    probabilities = rng.dirichlet(np.ones(5), 60).astype(np.float32)
    probabilities[np.arange(60), labels] += 0.3
    people = list("abcde")
    found = classification(labels, probabilities, people)
    predicted = probabilities.argmax(1)
    report = classification_report(labels, predicted, labels=range(4), output_dict=True, zero_division=0)
    assert found["macro_f1"] == pytest.approx(report["macro avg"]["f1-score"])
    assert found["macro_precision"] == pytest.approx(report["macro avg"]["precision"])
    assert found["macro_recall"] == pytest.approx(report["macro avg"]["recall"])
    assert found["accuracy"] == pytest.approx(np.mean(predicted == labels))
    assert (found["people"], found["people_without_faces"]) == (4, 1)
    rows = {row["person"]: row for row in person_rows(labels, probabilities, people)}
    assert rows["b"]["f1"] == pytest.approx(report["1"]["f1-score"])
    wrong = [people[p] for label, p in zip(labels, predicted, strict=True) if label == 1 != p]
    assert wrong.count(rows["b"]["most_often_taken_for"]) == max(wrong.count(name) for name in wrong)
    assert rows["e"]["faces"] == 0


def test_wilson_interval_is_the_published_one():
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I
    assert wilson_interval(0, 10)[0] == 0
    assert wilson_interval(10, 10)[1] == 1


def test_roc_rows_are_operating_points(measured):
    processed, artifacts, _, _ = measured
    scores, same = scores_slow(processed, artifacts, "unseen")
    rows = list(csv.DictReader((artifacts / "evaluate/roc.csv").open()))
    assert float(rows[-1]["far"]) == 1
    for row in rows:
        point = rates_at(scores, same, float(row["threshold"]) - 1e-6)
        assert (float(row["far"]), float(row["vr"])) == pytest.approx(point, abs=2e-3)
        assert float(row["log10_far"]) == pytest.approx(np.log10(float(row["far"])))


def test_score_rows_share_out_all_pairs():
    rows = score_rows(np.array([0.99, 1.0000001, -1.0]), np.array([0.0]))
    assert sum(row["genuine"] for row in rows) == pytest.approx(1)
    assert rows[-1]["genuine"] == pytest.approx(2 / 3)
    assert rows[0]["genuine"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("far", "name"), [(0.1, "far_1e-1"), (1e-4, "far_1e-4"), (0.05, "far_5e-2"), (0.015, "far_1.5e-2")]
)
def test_a_rate_has_a_name_that_dvc_shows(far, name):
    assert far_name(far) == name


def test_one_test_photo_a_person_is_measured_without_pairs(measured, tmp_path, write_processed):
    _, artifacts, parameters, _ = measured
    processed = write_processed(tmp_path, people=5, photos=4, size=32)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/best_model.pth").write_bytes((artifacts / "checkpoints/best_model.pth").read_bytes())
    metrics = evaluate(parameters, processed, tmp_path)
    assert "verification" not in metrics["test"]
    assert metrics["test"]["faces"] == 5
    assert not (tmp_path / "evaluate/roc_test.csv").exists()
