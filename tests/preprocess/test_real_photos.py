"""LFW photos hold bystanders: the person meant is the one in the middle."""

import numpy as np
import pytest

from faceline_core.faces import pick, read_photo
from faceline_detect.detectors import load


@pytest.mark.real
def test_the_face_in_the_middle_is_picked(real_data):
    paths = sorted((real_data / "recognition/people").glob("*/*.jpg"))[::6]
    detector = load("mtcnn")
    central = several = 0
    for start in range(0, len(paths), 16):
        photos = [read_photo(path) for path in paths[start : start + 16]]
        for photo, faces in zip(photos, detector.detect(photos), strict=True):
            height, width = photo.shape[:2]
            chosen = pick(faces, "central_largest", width, height)
            central += bool(chosen) and chosen[0].holds(width / 2, height / 2)
            several += len(faces) > 1
    assert central / len(paths) >= 0.98
    assert np.isclose(several / len(paths), 0.15, atol=0.1)  # or the test shows nothing
