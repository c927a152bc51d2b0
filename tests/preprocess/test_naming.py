"""No face overwrites another."""

from pathlib import Path

from faceline_core.data.split import Split
from faceline_preprocess.naming import copy_name, face_names


def test_photos_that_share_a_stem_keep_their_endings():
    photos = [Path(name) for name in ("a.jpg", "a.png", "a.png.jpg", "A.webp", "b.jpg", "b_blur0.5.jpg", "b_face1.jpg")]
    names = face_names(photos)
    assert names == face_names(photos[::-1])
    assert names[Path("A.webp")] == "A"
    assert names[Path("a.jpg")] == "a.jpg"
    assert names[Path("b_blur0.5.jpg")] == "b_blur0.5.jpg"
    written = [
        copy_name(name, face, level).lower() for name in names.values() for face in (None, 1, 2) for level in (0.0, 0.5)
    ]
    assert len(set(written)) == len(written)


def test_copies_are_recognised_as_copies_by_those_who_read_them():
    names = [copy_name("a", None, level) for level in (0.0, 0.5, 1.0, 2.25)]
    assert names == ["a", "a_blur0.5", "a_blur1.0", "a_blur2.25"]
    split = Split(Path(), ["x"], [Path("x", f"{name}.jpg") for name in names], [0] * 4)
    assert set(split.sources) == {"x/a"}
    assert copy_name("a", 2, 0.5) == "a_face2_blur0.5"
