"""A recogniser with matcher and occlusion head, against figures taken from one pair and one face at a time."""

import json
import shutil
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

import faceline_evaluate
from faceline_core.data.packing import PackedFace, pack_split
from faceline_core.data.processed import open_processed
from faceline_core.data.split import read_split
from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import load_recogniser, save_checkpoint
from faceline_core.models.recogniser import Parts, Recogniser
from faceline_core.verification.combining import ScoreStatistics
from faceline_core.verification.rates import vr_at_far
from faceline_evaluate.__main__ import main
from faceline_evaluate.evaluation import evaluate
from faceline_evaluate.identification import identification_figures
from faceline_evaluate.visibility_picture import chosen_faces

PARAMS = Path(__file__).parents[2] / "params.yaml"
TRAINED = {"epoch": 3, "monitor": "val_acc", "best": 0.5, "data_sha256": "x", "parameters": {}}
KNOWN = ["person_00", "person_01", "person_02", "person_03"]
STATISTICS = ScoreStatistics(0.6, 0.2, 0.1, 0.5, 0.5, 0.5, 0.9)
SIZE, FARS = 64, [0.1, 0.01, 0.0001]
TIMES = {"evaluate.fars": FARS, "evaluate.bootstrap": 20, "evaluate.rerank_top": 2}


def write_masks(processed):
    """Hides the lower part of every second face of the unknown people; of every seventh nothing is known."""
    for split in ("unseen_val", "unseen"):
        for number, path in enumerate(read_split(processed, split).paths):
            mask = np.full((SIZE, SIZE), 255, np.uint8)
            if number % 2:
                face, top = cv2.imread(str(path)), 20 + number
                face[top:], mask[top:] = 128, 0
                cv2.imwrite(str(path), face)
            if number % 7:
                file = processed / "masks" / split / path.parent.name / f"{path.stem}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(file), mask)


def write_recogniser(path, statistics=STATISTICS, **parts):
    """With BatchNorm statistics of faces like those to measure, so that it tells people apart; parts at random."""
    torch.manual_seed(5)
    parts = parts or {"matcher": True, "occlusion_head": True}
    recogniser = Recogniser("mobilenet_v3_small", SIZE, KNOWN, parts=Parts(feature_map=14, **parts)).train()
    for norm in recogniser.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.momentum = 1.0
    patterns = torch.nn.functional.interpolate(255 * torch.rand(48, 3, 4, 4), size=SIZE, mode="bicubic").clamp(0, 255)
    with torch.no_grad():
        seen = recogniser.see(patterns) if recogniser.tap else recogniser.embed(patterns)
        if recogniser.matcher is not None:
            recogniser.matcher.pairs(seen.maps[:24], seen.maps[24:])
        if recogniser.occlusion_head is not None:
            recogniser.occlusion_head.out.weight.normal_()
            recogniser.occlusion_head.out.bias.fill_(1.0)
    plain = None if statistics is None else statistics.as_dict()
    save_checkpoint(path, recogniser.eval(), **TRAINED, score_statistics=plain)
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory, write_processed):
    """Known and unknown people, these with masks; and a checkpoint."""
    root = tmp_path_factory.mktemp("parts")
    write_masks(write_processed(root, people=4, photos=6, size=SIZE, noise=60))
    write_recogniser(root / "artifacts/checkpoints/best_model.pth")
    text = PARAMS.read_text().replace("bootstrap: 500", "bootstrap: 20").replace("rerank_top: 100", "rerank_top: 2")
    text = text.replace("fars: [0.1, 0.01, 0.001, 0.0001]", f"fars: {FARS}")
    (root / "params.yaml").write_text(text)
    return root


@pytest.fixture(scope="module")
def measured(project):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        assert main([]) == 0
    return json.loads((project / "artifacts/metrics.json").read_text())


IOU = ("iou_hidden", "iou_visible")


class Slow:
    """The faces of a split one at a time, and their pairs."""

    def __init__(self, project, split, flip=False):
        recogniser, _ = load_recogniser(project / "artifacts/checkpoints/best_model.pth")
        self.faces = open_processed(project / "data/processed", split, SIZE)
        self.recogniser, self.labels, seen = recogniser, self.faces.labels, []
        with torch.no_grad():
            for index in range(len(self.labels)):
                seen.append(recogniser.see(torch.from_numpy(self.faces.face(index)).permute(2, 0, 1)[None], flip))
            self.pairs = list(combinations(range(len(seen)), 2))
            self.same = np.array([self.labels[a] == self.labels[b] for a, b in self.pairs])
            self.seen = seen
            self.scores = {
                "embedding": np.array([float(seen[a].unit[0] @ seen[b].unit[0]) for a, b in self.pairs]),
                "local": np.array([self.matched(a, b) for a, b in self.pairs]),
            }
        self.scores["combined"] = STATISTICS.combined(self.scores["embedding"], self.scores["local"])
        self.masks = [self.faces.mask(index) for index in range(len(self.labels))]

    def matched(self, a, b):
        a, b = self.seen[a], self.seen[b]
        with torch.no_grad():
            return self.recogniser.matcher(a.maps, b.maps, a.visibility, b.visibility).item()


@pytest.fixture(scope="module")
def slow(project):
    return {split: Slow(project, split) for split in ("unseen_val", "unseen")}


@pytest.mark.parametrize(
    ("record", "score"), [("unseen", "embedding"), ("unseen_local", "local"), ("unseen_combined", "combined")]
)
def test_each_score_is_measured(measured, slow, record, score):
    figures, same = measured[record], slow["unseen"].same
    scores = slow["unseen"].scores[score]
    assert (figures["genuine_pairs"], figures["impostor_pairs"]) == (same.sum(), (~same).sum())
    assert 0.55 < figures["auc"] < 0.999, "or it shows little"
    assert figures["auc"] == pytest.approx(roc_auc_score(same, scores), abs=2e-3)
    for far, name in ((0.1, "far_1e-1"), (0.01, "far_1e-2")):
        found, expected = figures["vr"][name], vr_at_far(scores, same, far)
        assert found["vr"] == pytest.approx(expected.vr, abs=0.02)
        assert found["threshold"] == pytest.approx(expected.threshold, abs=5e-3)
        chosen = vr_at_far(slow["unseen_val"].scores[score], slow["unseen_val"].same, far).threshold
        assert found["chosen_threshold"] == pytest.approx(chosen, abs=5e-3)
        assert found["vr_at_chosen"] == pytest.approx(np.mean(scores[same] >= chosen), abs=0.02)
        assert found["vr_low"] <= found["vr"] <= found["vr_high"]
    assert figures["vr"]["far_1e-4"]["vr"] is None
    assert measured["score_weights"] == {"embedding": 0.5, "local": 0.5}


def test_a_gain_is_the_difference_of_the_two_rates(measured):
    for name, gain in measured["unseen_combined_minus_embedding"].items():
        if name == "far_1e-4":
            assert gain == {"resolvable": False, "difference": None, "low": None, "high": None}
        else:
            rates = [measured[record]["vr"][name]["vr"] for record in ("unseen_combined", "unseen")]
            assert gain["difference"] == pytest.approx(rates[0] - rates[1])
            assert gain["low"] <= gain["difference"] <= gain["high"]


def test_pairs_are_measured_apart_by_how_many_faces_are_occluded(measured, slow):
    figures, of = measured["unseen_occlusion"], slow["unseen"]
    occluded = [None if mask is None else bool(np.mean(mask > 127) < 0.9) for mask in of.masks]
    assert figures["unknown_faces"] == occluded.count(None) > 0
    assert (figures["occluded_faces"], figures["clear_faces"]) == (occluded.count(True), occluded.count(False))
    for count, group in enumerate(("none", "one", "both")):
        kept = [
            number
            for number, (a, b) in enumerate(of.pairs)
            if None not in (occluded[a], occluded[b]) and occluded[a] + occluded[b] == count
        ]
        same, found = of.same[kept], figures[group]
        assert (found["genuine_pairs"], found["impostor_pairs"]) == (same.sum(), (~same).sum())
        for score in ("embedding", "local", "combined"):
            scores = of.scores[score][kept]
            assert found[score]["auc"] == pytest.approx(roc_auc_score(same, scores), abs=5e-3)
            assert found[score]["vr"]["far_1e-1"]["vr"] == pytest.approx(vr_at_far(scores, same, 0.1).vr, abs=0.02)
        rates = [found[score]["vr"]["far_1e-1"]["vr"] for score in ("combined", "embedding")]
        assert found["combined_minus_embedding"]["far_1e-1"]["difference"] == pytest.approx(rates[0] - rates[1])


def test_predicted_visibility_is_compared_with_masks(measured, slow):
    of, side = slow["unseen"], 4
    told, truly = [], []
    for seen, mask in zip(of.seen, of.masks, strict=True):
        if mask is not None:
            told.append(seen.visibility[0, 0].numpy())
            truly.append(mask.reshape(side, SIZE // side, side, SIZE // side).mean(axis=(1, 3)) / 255)
    told, truly = np.array(told), np.array(truly)
    hidden = sum(not (p > 0.5) and not (t > 0.5) for p, t in zip(told.flat, truly.flat, strict=True))
    either = sum(not (p > 0.5) or not (t > 0.5) for p, t in zip(told.flat, truly.flat, strict=True))
    visible = sum(p > 0.5 and t > 0.5 for p, t in zip(told.flat, truly.flat, strict=True))
    assert 0 < hidden < either, "or it shows little"
    assert measured["unseen_visibility"] == pytest.approx(
        {
            "faces": len(told),
            "hidden_share": np.mean(1 - truly),
            "mean_absolute_error": np.mean(np.abs(told - truly)),
            "iou_hidden": hidden / either,
            "iou_visible": visible / (told.size - hidden),
        },
        abs=1e-4,
    )


def test_one_is_found_among_many_at_two_matches_a_face(measured, slow):
    of = slow["unseen"]
    gallery = [of.labels.index(person) for person in sorted(set(of.labels))]
    probes = [face for face in range(len(of.labels)) if face not in gallery]
    score = {pair: {name: scores[number] for name, scores in of.scores.items()} for number, pair in enumerate(of.pairs)}
    ranks = {"embedding": [], "reranked": []}
    for probe in probes:
        of_probe = {face: score[min(face, probe), max(face, probe)] for face in gallery}
        by_embedding = sorted(gallery, key=lambda face: -of_probe[face]["embedding"])
        best = sorted(by_embedding[:2], key=lambda face: -of_probe[face]["combined"])
        right = gallery[sorted(set(of.labels)).index(of.labels[probe])]
        ranks["embedding"].append(by_embedding.index(right))
        ranks["reranked"].append([*best, *by_embedding[2:]].index(right))
    found = measured["unseen_identification"]
    assert ranks["embedding"] != ranks["reranked"], "or it shows little"
    assert (found["people"], found["probes"], found["matches_a_probe"]) == (4, len(probes), 2)
    for how, places in ranks.items():
        assert found[how]["rank_1"] == pytest.approx(np.mean(np.array(places) == 0), abs=0.03)
        assert list(found[how]) == ["rank_1"], "of four, all are among five"


def test_the_first_five_of_six_say_something():
    angles = np.array([0, 1, 2, 3, 4, 5, 0.2, 5]) * np.pi / 6  # two probes, of people 0 and 0
    faces = SimpleNamespace(labels=[0, 1, 2, 3, 4, 5, 0, 0])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    compared = SimpleNamespace(faces=faces, seen=SimpleNamespace(embeddings=embeddings))
    found = identification_figures(compared, None, None, 0)
    assert found == {"people": 6, "probes": 2, "embedding": {"rank_1": 0.5, "rank_5": 0.5}}


def test_files_of_each_score(project, measured):
    assert measured
    assert {path.name for path in (project / "artifacts/evaluate").iterdir()} >= {
        *(f"{kind}{score}.csv" for kind in ("roc", "scores") for score in ("", "_local", "_combined")),
        *("roc.png", "scores.png", "scores_local.png", "scores_combined.png", "visibility.png"),
    }


def test_weights_go_beside_the_stage(project, measured, monkeypatch, capsys):
    monkeypatch.chdir(project)
    before = (project / "artifacts/metrics.json").read_bytes()
    assert main(["--embedding-weight", "0.9", "--local-weight", "0"]) == 0
    found = json.loads((project / "artifacts/evaluations/best_model_test_embedding0.9_local0/metrics.json").read_text())
    assert found["score_weights"] == {"embedding": 0.9, "local": 0.0}
    assert found["unseen"] == measured["unseen"]
    assert found["unseen_combined"]["auc"] == pytest.approx(measured["unseen"]["auc"])
    out = capsys.readouterr().out
    assert "unknown people by embedding: AUC" in out
    assert "unknown people by both (0.9 embedding + 0 matcher): AUC" in out
    seen, shares = measured["unseen_visibility"], [f"{measured['unseen_visibility'][of]:.3f}" for of in IOU]
    assert (
        f"predicted visibility: off by {seen['mean_absolute_error']:.3f} on average (calling everything visible: "
        f"{seen['hidden_share']:.3f}), IoU {shares[0]} of what is hidden, {shares[1]} of what is visible" in out
    )
    assert " come first; by both " in out
    assert "occluded" in out
    assert main(["--embedding-weight", "0.9", "--output", "artifacts"]) == 1
    assert "--output artifacts: its metrics.json gives the thresholds that export passes on" in capsys.readouterr().err
    assert (project / "artifacts/metrics.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--embedding-weight", "-1"], "--embedding-weight -1: a finite number was expected, 0 or more"),
        (["--local-weight", "nan"], "--local-weight nan: a finite number was expected"),
        (["--local-weight", "inf"], "--local-weight inf: a finite number was expected"),
        (["--embedding-weight", "0", "--local-weight", "0"], "nothing would count"),
    ],
)
def test_weights_that_are_none(project, monkeypatch, capsys, options, message):
    monkeypatch.chdir(project)
    assert main(options) == 1
    assert message in capsys.readouterr().err


def test_a_recogniser_without_matcher_has_nothing_to_weigh(project, tmp_path, parameters_with):
    file = write_recogniser(tmp_path / "head.pth", None, occlusion_head=True)
    parameters = parameters_with(faceline_evaluate.KEYS, TIMES)
    with pytest.raises(FacelineError, match=r"head\.pth has no matcher, .* nothing to weigh"):
        evaluate(parameters, project / "data/processed", checkpoint=file, output=tmp_path, local_weight=0.5)
    metrics = evaluate(parameters, project / "data/processed", checkpoint=file, output=tmp_path)
    assert {name for name in metrics if name.startswith("unseen_")} == {
        "unseen_val",
        "unseen_occlusion",
        "unseen_visibility",
    }
    plain = write_recogniser(tmp_path / "plain.pth", None, matcher=False)
    baseline = evaluate(parameters, project / "data/processed", checkpoint=plain, output=tmp_path)
    assert {name for name in baseline if name.startswith("unseen_")} == {"unseen_val", "unseen_occlusion"}
    for one in (metrics, baseline):
        assert set(one["unseen_occlusion"]["one"]) == {"genuine_pairs", "impostor_pairs", "embedding"}


def test_scores_of_unknown_spread_are_reported_apart(project, tmp_path, parameters_with, capsys):
    file = write_recogniser(tmp_path / "apart.pth", None, matcher=True)
    parameters = parameters_with(faceline_evaluate.KEYS, TIMES)
    with pytest.raises(FacelineError, match=r"apart\.pth does not say how its scores are spread.*Train again"):
        evaluate(parameters, project / "data/processed", checkpoint=file, output=tmp_path, local_weight=0.5)
    metrics = evaluate(parameters, project / "data/processed", checkpoint=file, output=tmp_path)
    assert "note: " in (out := capsys.readouterr().out)
    assert "they are reported apart, and nothing is ranked anew" in out
    assert "unseen_local" in metrics
    assert "unseen_combined" not in metrics
    assert set(metrics["unseen_identification"]) == {"people", "probes", "embedding"}


def test_flip_is_of_embeddings(project, tmp_path, parameters_with):
    parameters = parameters_with(faceline_evaluate.KEYS, TIMES | {"evaluate.flip": True})
    file = project / "artifacts/checkpoints/best_model.pth"
    found = evaluate(parameters, project / "data/processed", checkpoint=file, output=tmp_path)
    flipped = Slow(project, "unseen", flip=True)
    for record, score in (("unseen", "embedding"), ("unseen_local", "local")):
        expected = vr_at_far(flipped.scores[score], flipped.same, 0.1).threshold
        assert found[record]["vr"]["far_1e-1"]["threshold"] == pytest.approx(expected, abs=5e-3)


def test_recordio_gives_the_same_figures_and_is_exported(project, measured, tmp_path, parameters_with):
    from faceline_export.exporting import export

    processed, artifacts = tmp_path / "data/processed", tmp_path / "artifacts"
    for name in ("train", "test", "unseen_val", "unseen"):
        split = read_split(project / "data/processed", name)
        faces = [
            PackedFace(
                f"{path.parent.name}/{path.name}", path, mask if (mask := split.mask_path(i)).is_file() else None
            )
            for i, path in enumerate(split.paths)
        ]
        processed.mkdir(parents=True, exist_ok=True)
        pack_split(processed, name, faces, {person: label for label, person in enumerate(split.classes)}, SIZE)
    shutil.copytree(project / "artifacts/checkpoints", artifacts / "checkpoints")
    metrics = evaluate(parameters_with(faceline_evaluate.KEYS, TIMES), processed, artifacts)
    assert json.loads(json.dumps(metrics)) == measured
    export(processed, artifacts)
    metadata = json.loads((artifacts / "model/metadata.json").read_text())
    chosen = measured["unseen_combined"]["vr"]["far_1e-1"]["chosen_threshold"]
    assert metadata["thresholds_combined"][0]["threshold"] == chosen


def test_faces_to_show_are_spread_and_mostly_occluded():
    shares = np.full(100, 0.5)
    shares[::3] = 1.0
    shares[::10] = np.nan
    places = chosen_faces(shares)
    assert len(set(places)) == 16
    assert [shares[place] for place in places] == [0.5] * 12 + [1.0] * 4
    assert min(places[:12]) < 10
    assert max(places[:12]) > 90
    for few, many in ((0.5, 1.0), (1.0, 0.5)):
        chosen = chosen_faces(np.where(np.arange(100) < 3, few, many))
        assert len(chosen) == 16
        assert {0, 1, 2} < set(chosen)
    assert chosen_faces(np.array([np.nan, 0.2])) == [1]
