"""From what was found in photos to who is used where: limits, reasons, and nothing in two splits."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import yaml

from faceline_core.parameters.schema import Preprocess
from faceline_preprocess.judging import judge_face
from faceline_preprocess.listing import Listing, Photo
from faceline_preprocess.outcome import decide
from faceline_preprocess.table import table

DEFAULTS = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())["preprocess"]
DEFAULTS |= {"min_confidence": 0.9}  # as limits_of makes it of `auto` for MTCNN
GOOD = {
    "box": [10.0, 10.0, 60.0, 70.0],
    "landmarks": [[0.0, 0.0]] * 5,
    "score": 0.99,
    "sharpness": 100.0,
    "exposure": 120.0,
    "asymmetry": 0.1,
}


def limits(**changes):
    return Preprocess.model_validate(DEFAULTS | changes)


@pytest.mark.parametrize(
    ("face", "limit", "reason"),
    [
        ({"score": 0.7123}, {}, "low confidence: 0.712 < 0.9"),
        ({"box": [0, 0, 50, 19.96]}, {}, "too small: face height 20.0 px < 20"),
        ({"fault": "landmarks are mirrored"}, {}, "cannot be aligned: landmarks are mirrored"),
        ({"sharpness": 12.34}, {"min_sharpness": 50}, "blurred: sharpness 12.3 < 50"),
        ({"exposure": 12.0}, {}, "underexposed: mean grey level 12.0 < 20"),
        ({"exposure": 250.0}, {}, "overexposed: mean grey level 250.0 > 240"),
        ({"asymmetry": 0.8}, {"max_asymmetry": 0.5}, "turned away: asymmetry 0.800 > 0.5"),
    ],
)
def test_each_limit_and_its_reason(face, limit, reason):
    assert judge_face(GOOD, limits()) is None
    assert judge_face(GOOD | face, limits(**limit)).reason == reason


def test_a_value_on_its_limit_passes():
    on_it = limits(min_confidence=0.99, min_face_height=60, min_sharpness=100, exposure=[120, 121], max_asymmetry=0.1)
    assert judge_face(GOOD, on_it) is None


def random_set(rng):
    """A listing and rows: people with 1 to 12 photos, some broken, faceless, copied within or across people."""
    photos, rows, people = [], {}, [f"p{i:02}" for i in range(rng.integers(1, 15))]
    pool = [(int(bits), rng.integers(0, 256, 256, np.uint8).tobytes().hex()) for bits in rng.integers(0, 2**63, 40)]
    for person in people:
        for number in range(rng.integers(1, 13)):
            photo = Photo(Path(person, f"{number:02}.jpg"), person, str(rng.integers(0, 120)))
            photos.append(photo)
            bits, thumbnail = pool[rng.integers(0, len(pool))]
            kind = rng.choice(["good", "good", "good", "faceless", "broken", "doubtful"])
            faces = (
                []
                if kind == "faceless"
                else [GOOD | ({"score": 0.5} if kind == "doubtful" else {})] * rng.integers(1, 3)
            )
            row = {"key": photo.key, "bits": bits, "thumbnail": thumbnail, "faces": faces, "seen": len(faces)}
            rows.setdefault(photo.key, {"key": photo.key, "fault": "does not decode: x"} if kind == "broken" else row)
    return Listing(photos, people, Counter()), rows


def test_no_source_photo_is_in_two_splits_nor_a_picture_of_one():
    rng = np.random.default_rng(0)
    used = 0
    for seed in range(150):
        listing, rows = random_set(rng)
        outcomes = decide(listing, rows, limits(pick="all"), seed)
        assert {outcome.photo for outcome in outcomes} == set(listing.photos)
        photo_splits, picture_splits, person_splits = defaultdict(set), defaultdict(set), defaultdict(set)
        for outcome in outcomes:
            assert (outcome.split != "") == (outcome.status == "used")
            assert (outcome.reason == "") == (outcome.kind == "") == (outcome.status == "used")
            if outcome.split:
                used += 1
                photo_splits[outcome.photo.sha256].add(outcome.split)
                row = rows[outcome.photo.key]
                picture_splits[row["bits"]].add((outcome.photo.identity, outcome.split))
                person_splits[outcome.photo.identity].add(outcome.split)
        assert all(len(splits) == 1 for splits in photo_splits.values())
        assert all(len(splits) == 1 for splits in picture_splits.values())
        for splits in person_splits.values():
            assert len(splits) == 1 or splits <= {"train", "val", "test"}
            assert "train" in splits or splits <= {"unseen_val", "unseen"}
        again = decide(listing, rows, limits(pick="all"), seed)
        assert [outcome.split for outcome in again] == [outcome.split for outcome in outcomes]
        for outcome in outcomes:
            if outcome.like is not None:
                assert outcome.like.identity == outcome.photo.identity
                assert rows[outcome.like.key]["bits"] == rows[outcome.photo.key]["bits"]
    assert used > 1000


def test_another_seed_changes_splits_but_not_what_is_usable():
    listing, rows = random_set(np.random.default_rng(3))
    first, second = (decide(listing, rows, limits(), seed) for seed in (1, 2))
    assert [outcome.status for outcome in first] == [outcome.status for outcome in second]
    assert [outcome.split for outcome in first] != [outcome.split for outcome in second]
    again = decide(listing, rows, limits(), 1)
    assert [outcome.split for outcome in first] == [outcome.split for outcome in again]


def test_people_with_too_few_photos_are_left_out_and_listed():
    photos = [Photo(Path("a", f"{i}"), "a", f"a{i}") for i in range(3)] + [Photo(Path("b", "1"), "b", "b1")]
    rows = {photo.key: {"bits": 0, "thumbnail": "00" * 256, "faces": [GOOD]} for photo in photos}
    listing = Listing(photos, ["a", "b", "c"], Counter())
    outcomes = decide(listing, rows, limits(unseen_identities=0), 0)
    assert [outcome.status for outcome in outcomes] == ["used"] * 3 + ["left_out"]
    assert outcomes[3].reason == "b has 1 usable photos, fewer than 2"
    text = "\n".join(table(listing, outcomes, 2))
    assert "people with fewer than 2 usable photos" in text
    assert "b (1), c (0)" in text
