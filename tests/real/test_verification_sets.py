"""Photos and LFW's list of pairs to k-fold accuracy, with published weights."""

import numpy as np
import pytest
import torch

import faceline_preprocess
from faceline_core.data.verification_set import open_verification_set
from faceline_core.models.recogniser import Recogniser
from faceline_core.models.weights import load_backbone_weights
from faceline_core.verification.folds import fold_accuracy, fold_accuracy_of_scores
from faceline_preprocess.making_bin import make_bin
from faceline_preprocess.pair_lists import read_pairs


@pytest.mark.real
def test_mobilefacenet_tells_listed_pairs_as_it_is_known_to(real_data, tmp_path, parameters_with):
    """1,200 pairs of 1,062 photos, 10 folds: 99.08 +- 1.15 %; 98.92 +- 1.12 % with faces and their mirror images."""
    folder, listed = real_data / "recognition/people", real_data / "recognition/pairs.txt"
    parameters = parameters_with(faceline_preprocess.KEYS, {"img_size": 112})
    assert make_bin(folder, listed, tmp_path / "set.bin", parameters) == 1200
    faces = open_verification_set(tmp_path / "set.bin", 112)
    recogniser = Recogniser("mobilefacenet", 112, ["a", "b"]).eval()
    weights = str(real_data / "weights/mobilefacenet_foamliu.pt")
    load_backbone_weights(recogniser.backbone, recogniser.spec, weights, tmp_path, strict=True)
    photos = [photo for pair in read_pairs(listed, folder) for photo in (pair.first, pair.second)]
    place = {photo: index for index, photo in enumerate(photos)}  # each photo is embedded once
    units = []
    with torch.inference_mode():
        for start in range(0, len(place), 64):
            batch = np.stack([faces.face(index) for index in list(place.values())[start : start + 64]])
            units.append(recogniser.embed(torch.from_numpy(batch).permute(0, 3, 1, 2))[0])
    rows = {photo: row for row, photo in enumerate(place)}
    embeddings = torch.cat(units).numpy().astype(np.float64)[[rows[photo] for photo in photos]]
    distances = ((embeddings[::2] - embeddings[1::2]) ** 2).sum(axis=1)
    found = fold_accuracy(distances, faces.same)
    assert found.mean == pytest.approx(0.9908, abs=0.0015)
    assert found.std == pytest.approx(0.0115, abs=0.0015)
    assert found.best == pytest.approx(0.9917, abs=0.001)
    assert found.best_threshold == pytest.approx(1.43, abs=0.05)
    assert fold_accuracy_of_scores(1 - distances / 2, faces.same).mean == pytest.approx(0.9908, abs=0.002)
