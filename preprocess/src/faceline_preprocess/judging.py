"""Which faces are turned away, and why."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from faceline_core.parameters.schema import Preprocess
from faceline_detect.detectors.identity import working_confidence


@dataclass(frozen=True)
class Rejection:
    """Why a photo or a face is not used: `kind` for the table, `reason` with the measured value for the manifest."""

    kind: str
    reason: str


def limits_of(limits: Preprocess, detector: str) -> Preprocess:
    """The limits with `min_confidence: auto` made a number: the score from which on the detector's faces count.

    Raises:
        FacelineError: where it is to be read from the detector's folder, and that is missing or broken.
    """
    if limits.min_confidence != "auto":
        return limits
    return limits.model_copy(update={"min_confidence": working_confidence(detector)})


def judge_photo(row: dict[str, Any]) -> Rejection | None:
    """A photo without anything to use."""
    if "fault" in row:
        kind = "mask does not fit" if row["fault"].startswith("mask ") else "does not decode"
        return Rejection(kind, row["fault"])
    if not row["faces"]:
        return Rejection("no face", "no face")
    return None


def judge_face(face: dict[str, Any], limits: Preprocess) -> Rejection | None:
    """The first limit that a face misses, in the order of the parameters; a value on a limit passes.

    Args:
        face: as in a row's `faces`.
        limits: as `limits_of` gives them.
    """
    return next(_misses(face, limits), None)


def _misses(face: dict[str, Any], limits: Preprocess) -> Iterator[Rejection]:
    score, height = face["score"], face["box"][3] - face["box"][1]
    if score < limits.min_confidence:
        yield Rejection("low confidence", f"low confidence: {score:.3f} < {limits.min_confidence:g}")
    if height < limits.min_face_height:
        yield Rejection("too small", f"too small: face height {height:.1f} px < {limits.min_face_height:g}")
    if "fault" in face:
        yield Rejection("cannot be aligned", f"cannot be aligned: {face['fault']}")
        return
    sharp, grey, turned = face["sharpness"], face["exposure"], face["asymmetry"]
    low, high = limits.exposure
    if sharp < limits.min_sharpness:
        yield Rejection("blurred", f"blurred: sharpness {sharp:.1f} < {limits.min_sharpness:g}")
    if grey < low:
        yield Rejection("underexposed", f"underexposed: mean grey level {grey:.1f} < {low:g}")
    if grey > high:
        yield Rejection("overexposed", f"overexposed: mean grey level {grey:.1f} > {high:g}")
    if turned > limits.max_asymmetry:
        yield Rejection("turned away", f"turned away: asymmetry {turned:.3f} > {limits.max_asymmetry:g}")
