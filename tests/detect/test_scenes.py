"""Three label files, or one shared out: no picture is in two of the sets, by its path or as a copy."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceline_core.errors import FacelineError
from faceline_core.parameters.detection import Detect
from faceline_detect import splitting
from faceline_detect.scenes import Scenes, open_scenes

PARTS = {"train": "abcd", "val": "efg", "test": "hij"}
USES = {"train": "that are trained on", "val": "to choose the best epoch with", "test": "to measure on"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with pictures of noise, each of other bytes, and three label files."""
    for number, name in enumerate("abcdefghij"):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
        (tmp_path / "images").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / f"images/{name}.bmp"), pixels)  # not compressed: all are of one size
    for part, names in PARTS.items():
        label(tmp_path, part, [f"{name}.bmp" for name in names])
    return tmp_path


def label(data: Path, part: str, pictures: list[str]) -> None:
    face = "4 4 20 20" + " -1" * 15 + " 1"
    (data / f"{part}.txt").write_text("".join(f"# {picture}\n{face}\n" for picture in pictures))


@pytest.fixture
def scenes_of(data: Path, parameters_with: Callable[..., object]) -> Callable[..., Scenes]:
    """A function that opens the label files: `val=None` holds scenes back."""

    def opened(
        train: str = "train", val: str | None = "val", test: str | None = "test", skip_bad: bool = False
    ) -> Scenes:
        given = {"scenes": train, "val_scenes": val, "test_scenes": test}
        files = {f"detect.{key}": name and f"{name}.txt" for key, name in given.items()}
        changes = {"detect.data": str(data), "detect.val_ratio": 0.3, "detect.test_ratio": 0.3} | files
        changes |= {"detect.skip_bad": skip_bad}
        settings: Detect = parameters_with(("detect",), changes).detect
        return open_scenes(settings, seed=1)

    return opened


def test_files_that_are_apart(scenes_of: Callable[..., Scenes]) -> None:
    scenes = scenes_of()
    found = {part: "".join(path.stem for path in getattr(scenes, part).paths) for part in PARTS}
    assert found == PARTS


@pytest.mark.parametrize("pair", [("train", "val"), ("train", "test"), ("val", "test")])
@pytest.mark.parametrize("kind", ["file", "copy", "link"])
def test_two_label_files_with_a_picture_in_common(
    data: Path, scenes_of: Callable[..., Scenes], pair: tuple[str, str], kind: str
) -> None:
    one, other = pair
    first = data / f"images/{PARTS[one][1]}.bmp"
    second = first if kind == "file" else data / "images/again.bmp"
    if kind == "copy":
        shutil.copy(first, second)
    elif kind == "link":
        second.symlink_to(first)
    label(data, other, [f"{PARTS[other][0]}.bmp", second.name])
    expected = rf"detect.{other}_scenes: {second} is among the scenes {USES[one]} \(as {first}\)\. Take it out of one"
    with pytest.raises(FacelineError, match=expected) as caught:
        scenes_of()
    assert "\n" not in str(caught.value)


def test_one_label_file_for_two_uses(scenes_of: Callable[..., Scenes]) -> None:
    for files, second, first in (
        ({"val": "train"}, "val", "train"),
        ({"test": "train"}, "test", "train"),
        ({"test": "val"}, "test", "val"),
    ):
        many = len(PARTS[first])
        with pytest.raises(FacelineError, match=rf"detect.{second}_scenes: .* {USES[first]} .*; {many - 1} more are\."):
            scenes_of(**files)


@pytest.mark.parametrize(("given", "held_back"), [("val", "test"), ("test", "val")])
def test_labels_of_their_own_are_compared_with_what_is_held_back(
    data: Path, scenes_of: Callable[..., Scenes], given: str, held_back: str
) -> None:
    files = {held_back: None}
    scenes = scenes_of(**files)
    assert {path.stem for part in ("train", held_back) for path in getattr(scenes, part).paths} == set(PARTS["train"])
    first = getattr(scenes, held_back).paths[0]
    shutil.copy(first, data / "images/again.bmp")
    label(data, given, [f"{PARTS[given][0]}.bmp", "again.bmp"])
    expected = (
        rf"detect.{given}_scenes: .*again.bmp is among the scenes {USES[held_back]} \(as {re.escape(str(first))}\)"
    )
    with pytest.raises(FacelineError, match=expected):
        scenes_of(**files)


def test_identities_are_those_of_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    paths = [tmp_path / str(number) for number in range(60)]
    for path in paths:
        path.write_bytes(rng.integers(0, 2, rng.integers(0, 12), np.uint8).tobytes())
    read = []
    monkeypatch.setattr(splitting, "sha256_of", lambda path: read.append(path) or path.read_bytes().hex())
    identities = splitting.file_identities([*paths, *paths[:5]])
    for one in paths:
        for other in paths:
            assert (identities[one] == identities[other]) == (one.read_bytes() == other.read_bytes())
    sizes = [path.stat().st_size for path in paths]
    assert sorted(read) == sorted(path for path in paths if sizes.count(path.stat().st_size) > 1)


def test_a_picture_that_ends_early_is_told_before_anything_is_trained(
    data: Path, scenes_of: Callable[..., Scenes], capsys: pytest.CaptureFixture[str]
) -> None:
    path = data / "images/i.bmp"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(FacelineError) as error:
        scenes_of()
    assert str(error.value).startswith(f"{path}: does not decode: ")
    assert str(error.value).endswith(". Mend it, or set detect.skip_bad: true")
    assert "".join(one.stem for one in scenes_of(skip_bad=True).test.paths) == "hj"
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "left out" in line]
    assert line.startswith(f"[detect] note: {path}: does not decode: ")


def test_what_is_said_of_one_scene_and_of_a_face_that_is_ignored(
    data: Path, scenes_of: Callable[..., Scenes], capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "train.txt").write_text("# a.bmp\n4 4 20 20\n")
    (data / "val.txt").write_text("# e.bmp\n4 4 20 20\n40 40 20 20\n")
    scenes_of(skip_bad=True)
    assert capsys.readouterr().out.splitlines() == [
        f"[detect] note: {data}/val.txt:3: the box 40 40 20 20 lies outside the picture of 32 x 32 px (e.bmp): "
        "the face is ignored",
        "[detect] 1 scene with 1 face to train with, 1 to choose with, 3 to measure on",
    ]


@pytest.mark.parametrize(("one", "other"), [("train", "val"), ("train", "test"), ("val", "test")])
def test_with_skip_bad_copies_are_left_out_of_what_comes_before(
    data: Path, scenes_of: Callable[..., Scenes], capsys: pytest.CaptureFixture[str], one: str, other: str
) -> None:
    copied = data / f"images/{PARTS[one][1]}.bmp"
    shutil.copy(copied, data / "images/again.bmp")
    label(data, other, [f"{PARTS[other][0]}.bmp", "again.bmp"])
    scenes = scenes_of(skip_bad=True)
    assert copied not in getattr(scenes, one).paths
    assert [len(getattr(scenes, part).paths) for part in (one, other)] == [len(PARTS[one]) - 1, 2]
    assert f"note: {copied}: left out, a copy of a picture {USES[other]} (" in capsys.readouterr().out


def test_one_file_in_two_sets_is_an_error_with_skip_bad_too(data: Path, scenes_of: Callable[..., Scenes]) -> None:
    label(data, "val", ["a.bmp", "e.bmp"])
    with pytest.raises(FacelineError, match=r"val_scenes: .*a\.bmp is among the scenes that are trained on"):
        scenes_of(skip_bad=True)
