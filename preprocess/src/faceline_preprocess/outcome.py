"""What became of each photo, and of each of its faces."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from faceline_core.parameters.schema import Preprocess
from faceline_preprocess.duplicates import near_duplicates, same_bytes
from faceline_preprocess.judging import Rejection, judge_face, judge_photo
from faceline_preprocess.listing import Listing, Photo
from faceline_preprocess.splitting import hold_back, split_person


@dataclass(frozen=True, eq=False)
class Outcome:
    """A line of the manifest.

    Attributes:
        photo: where it comes from.
        status: used, rejected, or left_out (a usable face of a person with too few photos).
        kind: why not, in a word, for the table; empty where it is used.
        reason: why not, with the measured value.
        split: where it went; empty where it is not used.
        face: what was measured, as in a row's `faces`; None where no face was chosen.
        number: which of the chosen faces it is, from 1.
        like: the first of the person's near-duplicates of the photo, with which it stays in one split; None where it
            is that one, or has none.
    """

    photo: Photo
    status: str
    kind: str = ""
    reason: str = ""
    split: str = ""
    face: dict[str, Any] | None = None
    number: int = 1
    like: Photo | None = None


def decide(listing: Listing, rows: Mapping[str, dict[str, Any]], limits: Preprocess, seed: int) -> list[Outcome]:
    """Judges every photo and gives the usable ones a split.

    Duplicates go first, then what misses a limit, then people with too few photos, then people held back; then each
    known person's photos are split. A photo is in one split with all its faces.

    Args:
        listing: photos and people.
        rows: what was found in each photo, by key.
        limits: the preprocess section.
        seed: of the split.

    Returns:
        A line a photo, in the order of the listing; where `pick` is all, a line a face.
    """
    copies = same_bytes(listing.photos)
    groups: dict[Photo, Photo] = {}
    if limits.near_duplicate_bits is not None:
        rest = [photo for photo in listing.photos if photo not in copies]
        near, groups = near_duplicates(rest, rows, limits.near_duplicate_bits)
        copies |= near
    outcomes = [
        outcome for photo in listing.photos for outcome in _judged(photo, rows[photo.key], copies.get(photo), limits)
    ]
    usable: dict[str, dict[Photo, None]] = defaultdict(dict)
    for outcome in outcomes:
        if outcome.status == "used":
            usable[outcome.photo.identity][outcome.photo] = None
    enough = [person for person in listing.people if len(usable[person]) >= limits.min_photos]
    held = hold_back(enough, limits.unseen_identities, seed)
    splits: dict[Photo, str] = {}
    for person in enough:
        if person in held:
            splits |= dict.fromkeys(usable[person], held[person])
        else:
            splits |= split_person(list(usable[person]), groups, limits.val_ratio, limits.test_ratio, seed)
    placed = [_placed(outcome, splits, len(usable[outcome.photo.identity]), limits) for outcome in outcomes]
    like = {photo: first for photo, first in groups.items() if first is not photo}
    return [replace(outcome, like=like.get(outcome.photo)) for outcome in placed]


def _judged(photo: Photo, row: dict[str, Any], copy: Rejection | None, limits: Preprocess) -> list[Outcome]:
    whole = copy or judge_photo(row)
    faces = row.get("faces", [])
    if whole is not None:
        face = faces[0] if len(faces) == 1 else None
        return [Outcome(photo, "rejected", whole.kind, whole.reason, face=face)]
    outcomes = []
    for number, face in enumerate(faces, 1):
        rejection = judge_face(face, limits)
        if rejection is None:
            outcomes.append(Outcome(photo, "used", face=face, number=number))
        else:
            outcomes.append(Outcome(photo, "rejected", rejection.kind, rejection.reason, face=face, number=number))
    return outcomes


def _placed(outcome: Outcome, splits: Mapping[Photo, str], usable: int, limits: Preprocess) -> Outcome:
    if outcome.status != "used":
        return outcome
    if outcome.photo in splits:
        return replace(outcome, split=splits[outcome.photo])
    reason = f"{outcome.photo.identity} has {usable} usable photos, fewer than {limits.min_photos}"
    return replace(outcome, status="left_out", kind="person with too few photos", reason=reason)
