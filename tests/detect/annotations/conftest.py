"""Label sets: pictures of one colour, and annotations with all that labels can say."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceline_detect.annotations import Annotation, Annotations

FIELDS = ("boxes", "landmarks", "ignore", "attributes", "hidden", "scores")


@pytest.fixture
def draw():
    """A function that writes a picture of one colour."""

    def write(path: Path, size: tuple[int, int] = (200, 150), **options: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (90, 60, 30)).save(path, **options)
        return path

    return write


@pytest.fixture
def labelled():
    """A function that makes an Annotation; what is not given is unknown."""

    def make(path: str, boxes: list[list[float]], size: tuple[int, int] = (200, 150), **given: object) -> Annotation:
        values = {
            "landmarks": np.full((len(boxes), 5, 2), np.nan),
            "ignore": np.zeros(len(boxes), bool),
            "attributes": np.zeros((len(boxes), 6), np.int64),
            "hidden": np.zeros((len(boxes), 5), bool),
            "scores": np.full(len(boxes), np.nan),
        }
        values |= {name: np.array(value, values[name].dtype) for name, value in given.items()}
        return Annotation(path, np.array(boxes, np.float64).reshape(-1, 4), size=size, **values)

    return make


@pytest.fixture
def label_set(tmp_path, draw, labelled):
    """Four pictures: landmarks known, partly known, hidden, outside; invalid faces, faces of no size; none at all."""
    points = [[32, 41], [50, 40], [41, 51], [33, 60], [49, 61]]
    partly = [[32.125, 41], [np.nan, np.nan], [41, 51.5], [np.nan, np.nan], [49, 61]]
    shifted = [[x + 150, y] for x, y in points]
    nothing = [[np.nan, np.nan]] * 5
    one = labelled(
        "9--Press/one.jpg",
        [[20, 30, 60, 70], [100.25, 20.5, 130.25, 60.125], [20, 30, 60, 70], [160, 30, 202, 70]],
        landmarks=[points, nothing, partly, shifted],
        hidden=[[1, 0, 0, 0, 1], [0] * 5, [1, 0, 0, 0, 0], [0] * 5],
        scores=[0.82, np.nan, 0.1, 1],
        attributes=[[0] * 6, [2, 0, 1, 0, 2, 1], [0] * 6, [1, 1, 1, 0, 0, 1]],
    )
    two = labelled(
        "0--Parade/2.b.jpg",
        [[5, 6, 5, 6], [10, 10, 40, 50], [60, 60, 60, 80], [-5, 40, 30.25, 80]],
        ignore=[True, True, True, False],
        attributes=[[0] * 6, [0, 0, 0, 1, 0, 0], [2, 0, 0, 1, 0, 0], [0] * 6],
        landmarks=[nothing, points, nothing, nothing],
    )
    three = labelled("empty.png", [])
    four = labelled("all ignored.jpg", [[10, 10, 40, 50], [90, 90, 95, 99]], (120, 130), ignore=[True, True])
    pictures = [one, two, three, four]
    for picture in pictures:
        draw(tmp_path / "pictures" / picture.path, picture.size)
    return Annotations(pictures, tmp_path / "pictures", tmp_path / "nowhere.txt")


@pytest.fixture
def same():
    """A function that asserts that two sets say the same, in the same order; boxes and points to `px`."""

    def compare(first: Annotations, second: Annotations, px: float = 1e-6) -> None:
        assert [picture.path for picture in first.pictures] == [picture.path for picture in second.pictures]
        for one, other in zip(first.pictures, second.pictures, strict=True):
            assert one.size == other.size
            for name in FIELDS:
                a, b = getattr(one, name), getattr(other, name)
                assert a.shape == b.shape, (one.path, name)
                assert a.dtype == b.dtype, (one.path, name)
                np.testing.assert_allclose(a, b, rtol=0, atol=px, err_msg=f"{one.path} {name}")

    return compare


@pytest.fixture
def write_labels(tmp_path, draw):
    """A function that writes labels beside a.jpg and b.jpg, 200 x 150 px, and small.jpg, 10 px high."""
    for name, size in (("a.jpg", (200, 150)), ("b.jpg", (200, 150)), ("small.jpg", (30, 10))):
        draw(tmp_path / "images" / name, size)

    def write(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file

    return write


@pytest.fixture
def random_set(tmp_path, draw, labelled):
    """A function that makes a random set of a seed: boxes and points of all digits, in pictures of all shapes."""

    def make(seed: int) -> Annotations:
        rng = np.random.default_rng(seed)
        pictures = []
        for i in range(12):
            size = tuple(rng.integers(20, 400, 2).tolist())
            count = int(rng.integers(0, 9))
            low = rng.uniform(0, 0.8, (count, 2)) * size
            high = low + rng.uniform(0.01, 0.2, (count, 2)) * size
            points = low[:, None] + rng.uniform(-0.2, 1.2, (count, 5, 2)) * (high - low)[:, None]
            points[rng.random((count, 5)) < 0.3] = np.nan
            points[rng.random(count) < 0.3] = np.nan
            ignore = rng.random(count) < 0.3
            high[ignore & (rng.random(count) < 0.5), rng.integers(2)] = 0
            high = np.maximum(high, low)
            path = f"{rng.integers(4)}--x/{rng.choice(['ä', 'b', '7 7'])}_{i}.{rng.choice(['jpg', 'png', 'JPEG'])}"
            pictures.append(
                labelled(
                    path,
                    np.c_[low, high].tolist(),
                    size,
                    landmarks=points,
                    ignore=ignore,
                    attributes=rng.integers(0, 3, (count, 6)),
                    hidden=(rng.random((count, 5)) < 0.4) & np.isfinite(points).all(axis=-1),
                    scores=np.where(rng.random(count) < 0.5, rng.random(count).round(2), np.nan),
                )
            )
            draw(tmp_path / "random" / path, size)
        return Annotations(pictures, tmp_path / "random", tmp_path / "nowhere.txt")

    return make
