import copy
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from faceline_core.data.split import read_split
from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import save_checkpoint
from faceline_core.models.qaconv import QAConv
from faceline_core.models.recogniser import Parts, Recogniser
from faceline_core.models.weights import load_backbone_weights
from faceline_core.stage.files import sha256_of
from faceline_core.verification.combining import ScoreStatistics
from faceline_export.exporting import export
from faceline_export.matching import ExportedMatcher
from faceline_export.proof import largest_differences
from faceline_export.torchscript import write_torchscript

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
MODES = ("scaling", "masked")
STATISTICS = ScoreStatistics(0.2, 0.3, -1.5, 0.7, 0.8, 0.2, 0.4)
POINT = {"chosen_threshold": 1.5, "far_at_chosen": 0.09, "vr_at_chosen": 0.8, "resolvable": True}
LISTED = {"far": 0.1, "threshold": 1.5, "measured_far": 0.09, "measured_vr": 0.8}


def trained_matcher(matcher):
    """Statistics and weights as far from the initial ones as training takes them."""
    for parameter in matcher.parameters():
        torch.nn.init.normal_(parameter)
    for norm in (matcher.bn, matcher.logit_bn):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.1, 2)
    return matcher.eval()


def small_recogniser(**parts):
    """With statistics of faces in its BatchNorms: without, nothing of a face is left in the last maps."""
    torch.manual_seed(0)
    recogniser = Recogniser("mobilenet_v3_small", 64, list("abcd"), parts=Parts(feature_map=14, **parts))
    for norm in recogniser.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.momentum = 1.0
    faces = F.interpolate(torch.randint(0, 256, (32, 3, 8, 8)).float(), 64)
    recogniser(faces)
    if parts:
        recogniser.see(faces)
    if recogniser.matcher is not None:
        trained_matcher(recogniser.matcher)
    return recogniser.eval()


def maps_and_visibility(count, channels, side):
    """Of a face that shows nothing, one that shows everything, and others."""
    visibility = torch.rand(count, 1, side, side)
    visibility[:1], visibility[1:2] = 0, 1
    return F.normalize(torch.randn(count, channels, side, side), dim=1), visibility


@pytest.fixture
def stage(tmp_path, write_processed):
    processed, artifacts = write_processed(tmp_path, size=64), tmp_path / "artifacts"

    def write(recogniser, statistics=STATISTICS):
        file = artifacts / "checkpoints/best_model.pth"
        plain = None if statistics is None else statistics.as_dict()
        save_checkpoint(file, recogniser, epoch=1, data_sha256="abc", parameters={}, score_statistics=plain)
        vr = {"vr": {"far_1e-1": POINT, "far_1e-4": {"resolvable": False, "vr": None}}}
        metrics = {"unseen_local": vr, "unseen_combined": vr, "checkpoint": {"sha256": sha256_of(file)}}
        (artifacts / "metrics.json").write_text(json.dumps(metrics))
        return processed, artifacts

    return write


@pytest.mark.parametrize("visibility", MODES)
@pytest.mark.parametrize(("probes", "galleries"), [(1, 1), (3, 5), (5, 3), (1, 40), (33, 600), (600, 33), (0, 2)])
def test_match_scores_any_numbers_of_faces_as_the_checkpoint_does(visibility, probes, galleries):
    torch.manual_seed(0)
    matcher = trained_matcher(QAConv(8, 4, 4, visibility=visibility))
    match = torch.jit.script(ExportedMatcher(matcher).eval())
    (p, seen_p), (g, seen_g) = maps_and_visibility(probes, 8, 4), maps_and_visibility(galleries, 8, 4)
    with torch.no_grad():
        for p_shown, g_shown in ((seen_p, seen_g), (torch.ones_like(seen_p), torch.ones_like(seen_g))):
            torch.testing.assert_close(match(p, g, p_shown, g_shown), matcher(p, g, p_shown, g_shown))


def test_match_takes_maps_in_half_the_memory_and_the_channels_last():
    matcher = trained_matcher(QAConv(8, 4, 4))
    match = torch.jit.script(ExportedMatcher(matcher).eval())
    (p, seen_p), (g, seen_g) = maps_and_visibility(3, 8, 4), maps_and_visibility(7, 8, 4)
    with torch.no_grad():
        scores = matcher(p, g, seen_p, seen_g)
        last = match(p, g.contiguous(memory_format=torch.channels_last), seen_p, seen_g)
        torch.testing.assert_close(last, scores)
        coarse = match(p.bfloat16(), g.bfloat16(), seen_p, seen_g)
        torch.testing.assert_close(coarse, scores, atol=0.05, rtol=0.05)


def test_match_says_which_shape_it_expected():
    match = torch.jit.script(ExportedMatcher(QAConv(8, 4, 4).eval()))
    (p, seen_p), (g, seen_g) = maps_and_visibility(3, 8, 4), maps_and_visibility(2, 8, 4)
    with pytest.raises(torch.jit.Error, match=r"maps \[2, 8, 4, 4\] expected, found \[2, 8, 2, 2\]"):
        match(p, g[..., :2, :2], seen_p, seen_g)
    with pytest.raises(torch.jit.Error, match=r"visibility \[3, 1, 4, 4\] expected beside its maps, found \[2, 1"):
        match(p, g, seen_g, seen_g)


ALONE = """
import sys
sys.modules |= dict.fromkeys(("faceline_core", "faceline_export"))  # importing them fails
import numpy, torch
faces, model = torch.from_numpy(numpy.load(sys.argv[1])), torch.jit.load(sys.argv[2])
with torch.inference_mode():
    unit, norm, maps, visibility = model.embed(faces)
    local = model.match(maps[:3], maps, visibility[:3], visibility)
    answers = unit, norm, maps, visibility, local, model.combine(unit[:3] @ unit.T, local), *model(faces)
torch.save(answers, sys.argv[3])
"""


def test_a_process_without_faceline_sees_and_matches_as_the_checkpoint(tmp_path, stage):
    recogniser = small_recogniser(matcher=True, occlusion_head=True, visibility="masked")
    processed, artifacts = stage(recogniser)
    export(processed, artifacts)
    photos = [cv2.imread(str(path)) for path in read_split(processed, "unseen").paths[:9]]
    faces = np.stack([cv2.cvtColor(photo, cv2.COLOR_BGR2RGB) for photo in photos])
    np.save(tmp_path / "faces.npy", faces)
    given = [tmp_path / "faces.npy", artifacts / "model/model.torchscript.pt", tmp_path / "answers.pt"]
    subprocess.run([sys.executable, "-I", "-W", "ignore", "-c", ALONE, *map(str, given)], check=True, cwd=tmp_path)
    with torch.no_grad():
        images = torch.from_numpy(faces).permute(0, 3, 1, 2)
        unit, norm, maps, shown = recogniser.see(images)
        local = recogniser.matcher(maps[:3], maps, shown[:3], shown)
        combined = 0.8 * (unit[:3] @ unit.T - 0.2) / 0.3 + 0.2 * (local + 1.5) / 0.7
        expected = (unit, norm, maps, shown, local, combined, *recogniser.recognise(images))
    assert shown.std() > 0.01  # an occlusion head that tells faces apart is what is compared
    for found, answer in zip(torch.load(tmp_path / "answers.pt"), expected, strict=True):
        assert found.is_contiguous()
        torch.testing.assert_close(found, answer, atol=1e-4, rtol=1e-4)


def test_metadata_says_how_to_embed_and_match(stage):
    processed, artifacts = stage(small_recogniser(matcher=True, occlusion_head=True, visibility="masked"))
    export(processed, artifacts)
    metadata = json.loads((artifacts / "model/metadata.json").read_text())
    assert list(metadata["methods"]) == ["forward", "embed", "match", "combine"]
    differences = [method["largest_difference"] for method in metadata["methods"].values()]
    assert 0 < max(differences) == metadata["largest_difference"] <= 1e-4
    assert "feature maps (N, 48, 4, 4), unit length over channels" in metadata["methods"]["embed"]["outputs"]
    assert metadata["methods"]["match"]["inputs"][3] == "gallery visibility (G, 1, 4, 4)"
    assert metadata["feature_map"] == [48, 4, 4]
    assert (metadata["occlusion_head"], metadata["visibility"]) == (True, "masked")
    assert metadata["score_statistics"] == STATISTICS.as_dict()
    assert metadata["thresholds"] == []
    assert metadata["thresholds_local"] == metadata["thresholds_combined"] == [LISTED]


@pytest.mark.parametrize(
    ("parts", "statistics", "methods"),
    [
        ({}, None, {"forward"}),
        ({"occlusion_head": True}, None, {"forward", "embed"}),
        ({"matcher": True}, None, {"forward", "embed", "match"}),
        ({"matcher": True}, STATISTICS, {"forward", "embed", "match", "combine"}),
    ],
)
def test_the_file_has_the_methods_of_what_was_trained(stage, parts, statistics, methods):
    processed, artifacts = stage(small_recogniser(**parts), statistics)
    export(processed, artifacts)
    model = torch.jit.load(artifacts / "model/model.torchscript.pt")
    metadata = json.loads((artifacts / "model/metadata.json").read_text())
    assert {name for name in ("forward", "embed", "match", "combine") if hasattr(model, name)} == methods
    assert set(metadata["methods"]) == methods
    assert ("visibility" in metadata, "feature_map" in metadata) == ("match" in methods, "embed" in methods)
    if parts == {"matcher": True}:
        _unit, _norm, _maps, visibility = model.embed(torch.zeros(3, 64, 64, 3, dtype=torch.uint8))
        torch.testing.assert_close(visibility, torch.ones(3, 1, 4, 4))


def of_another_occlusion_head(recogniser):
    torch.nn.init.constant_(recogniser.occlusion_head.out.bias, 1)


def of_another_matcher(recogniser):
    recogniser.matcher.fc.weight.data[0, 0] += 0.01


def of_an_occlusion_head_without_numbers(recogniser):
    torch.nn.init.constant_(recogniser.occlusion_head.out.bias, torch.nan)


def of_another_mode(recogniser):
    recogniser.matcher.visibility = "masked"


@pytest.mark.parametrize(
    ("method", "spoil"),
    [
        ("embed", of_another_occlusion_head),
        ("match", of_another_matcher),
        ("embed", of_an_occlusion_head_without_numbers),
        ("match", of_another_mode),
    ],
)
def test_a_file_that_differs_in_one_method_is_refused(tmp_path, method, spoil):
    recogniser = small_recogniser(matcher=True, occlusion_head=True)
    other = copy.deepcopy(recogniser)
    spoil(other)
    write_torchscript(other, tmp_path / "m.pt")
    faces = torch.randint(0, 256, (6, 64, 64, 3), dtype=torch.uint8)
    with pytest.raises(FacelineError, match=rf"differs from its checkpoint by .* \({method}\)"):
        largest_differences(recogniser, tmp_path / "m.pt", faces)


def test_a_file_that_weighs_its_scores_otherwise_is_refused(tmp_path):
    recogniser = small_recogniser(matcher=True)
    write_torchscript(recogniser, tmp_path / "m.pt", STATISTICS.weighted(0.5, 0.5))
    faces = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    with pytest.raises(FacelineError, match=r"\(combine\)"):
        largest_differences(recogniser, tmp_path / "m.pt", faces, STATISTICS)


@pytest.mark.parametrize(
    ("name", "side", "feature_map"),
    [("ir_18", 32, 14), ("mobilefacenet", 112, 7), ("timm/mobilenetv4_conv_small", 64, 7)],
)
def test_maps_of_backbones_export(tmp_path, name, side, feature_map):
    torch.manual_seed(0)
    recogniser = Recogniser(name, side, ["a", "b"], head="adaface", parts=Parts(True, True, feature_map)).eval()
    recogniser.see_channels_as("bgr")
    write_torchscript(recogniser, tmp_path / "m.pt")
    faces = torch.randint(0, 256, (3, side, side, 3), dtype=torch.uint8)
    assert set(largest_differences(recogniser, tmp_path / "m.pt", faces)) == {"forward", "embed", "match"}
    weights = sum(value.nbytes for value in recogniser.state_dict().values())
    assert (tmp_path / "m.pt").stat().st_size < 1.2 * weights  # forward and embed share them


@pytest.mark.real
@pytest.mark.parametrize("visibility", MODES)
def test_real_faces_match_as_with_the_checkpoint(tmp_path, real_data, visibility):
    torch.manual_seed(0)
    recogniser = Recogniser("mobilefacenet", 112, ["a", "b"], parts=Parts(True, True, visibility=visibility)).eval()
    weights = str(real_data / "weights/mobilefacenet_foamliu.pt")
    load_backbone_weights(recogniser.backbone, recogniser.spec, weights, tmp_path, strict=True)
    paths = sorted((real_data / "recognition/people").glob("*/*.jpg"))[:9]
    photos = [cv2.resize(cv2.imread(str(path))[65:185, 65:185, ::-1], (112, 112)) for path in paths]
    faces = torch.from_numpy(np.stack(photos))
    with torch.no_grad():  # running statistics of real faces, which set how far apart scores are
        maps = recogniser.see(faces.permute(0, 3, 1, 2)).maps
        recogniser.matcher.train()
        for _ in range(30):
            recogniser.matcher(maps, maps)
        recogniser.eval()
    write_torchscript(recogniser, tmp_path / "m.pt", STATISTICS)
    largest_differences(recogniser, tmp_path / "m.pt", faces, STATISTICS)
    match = torch.jit.load(tmp_path / "m.pt").match
    with torch.no_grad():
        shown = torch.rand(len(maps), 1, 7, 7)
        scores = recogniser.matcher(maps[:5], maps, shown[:5], shown)
        torch.testing.assert_close(match(maps[:5], maps, shown[:5], shown), scores, atol=1e-4, rtol=0)
    assert scores.std() > 0.1
