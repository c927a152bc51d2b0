"""What of occlusion a drawn set has: by default as ever, otherwise as `occluded` and `occluders` say."""

import csv
from pathlib import Path

import numpy as np
import pytest

import faceline_sample.scene
from faceline_core.errors import FacelineError
from faceline_core.occluders import occlude
from faceline_core.parameters import read_parameters
from faceline_sample import OCCLUDED, OCCLUDERS
from faceline_sample.dataset import draw_dataset
from faceline_sample.photo import draw_photo, encode, person

ROOT = Path(__file__).parents[2]
SEED = 5


def occluders_of(folder):
    """Photo -> its occluder, where it has one."""
    with (folder / "recognition/truth.csv").open(encoding="utf-8") as file:
        return {Path(r["path"]).stem: r["occluder"] for r in csv.DictReader(file) if r["occluder"] != "none"}


def photos(count=12, **options):
    who = person(SEED, 0)
    return [draw_photo(who, SEED, 0, index, **options) for index in range(count)]


class TestDefaults:
    def test_photos_have_the_occluders_they_always_had(self, drawn):
        assert occluders_of(drawn) == {
            "Ada_Adler_0001": "medical_mask",
            "Ada_Adler_0005": "hand",
            "Bela_Brandt_0006": "hand",
            "Chidi_Costa_0000": "scarf",
            "Chidi_Costa_0001": "hand",
            "Chidi_Costa_0003": "sunglasses",
            "Emil_Eklund_0002": "sunglasses",
            "Farah_Ferrer_0000": "medical_mask",
            "Farah_Ferrer_0004": "sunglasses",
            "Farah_Ferrer_0007": "hand",
            "Goran_Garai_0006": "scarf",
            "Hana_Holm_0001": "sunglasses",
            "Hana_Holm_0007": "hand",
        }

    def test_scenes_have_the_occluders_they_always_had(self, monkeypatch):
        found = []

        def noted(picture, landmarks, kind, rng):
            found.append(kind)
            return occlude(picture, landmarks, kind, rng)

        monkeypatch.setattr(faceline_sample.scene, "occlude", noted)
        for index in (0, 3, 7, 11):
            faceline_sample.scene.draw_scene(SEED, index)
        assert found == ["medical_mask", "scarf", "sunglasses", "hand"]

    def test_they_are_what_the_parameters_say(self):
        sample = read_parameters(ROOT / "params.yaml", ["sample"]).sample
        assert (sample.occluded, tuple(sample.occluders)) == (OCCLUDED, OCCLUDERS)


def test_a_fraction_of_0_draws_none_and_leaves_the_clear_photos_as_they_are():
    without, with_some = photos(occluded=0), photos()
    assert {photo.occluder for photo in without} == {"none"}
    assert all(photo.visible.all() for photo in without)
    clear = [i for i, photo in enumerate(with_some) if photo.occluder == "none"]
    assert 0 < len(clear) < len(without)
    assert all(encode(without[i]) == encode(with_some[i]) for i in clear)


def test_the_fraction_is_that_of_the_photos():
    some = [photo.occluder != "none" for photo in photos(40, occluded=0.5)]
    assert 0.3 < np.mean(some) < 0.7


def test_one_kind_draws_only_this(tmp_path):
    draw_dataset(1, 4, 0, SEED, tmp_path / "out", processes=1, occluded=1, occluders=["veil"])
    assert list(occluders_of(tmp_path / "out").values()) == ["veil"] * 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"occluded": 1.5}, "occluded is 1.5; expected 0 to 1"),
        ({"occluded": -0.1}, "occluded is -0.1"),
        ({"occluded": float("nan")}, "occluded is nan"),
        ({"occluders": []}, "occluders is empty; expected some of medical_mask"),
        ({"occluders": ["scarf", "veill"]}, "occluders holds 'veill'; expected some of .*veil"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, words, tmp_path):
    with pytest.raises(FacelineError, match=words):
        draw_dataset(1, 1, 0, 0, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
