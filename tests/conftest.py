"""What tests of several packages share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks of the tests are small: threads would wait for each other

REAL_DATA = Path(os.environ.get("FACELINE_REAL_DATA", Path(__file__).parents[2] / "shared/data"))


LONGEST = (
    "pipeline/test_experiments.py",
    "train/test_going_on.py",
    "train/test_processes.py",
    "train/test_map_losses.py",
    "train/test_train.py",
    "detect/test_stage.py",
    "real/test_verification_sets.py",
    "detect/yolo/test_training.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: of several workers none is left with one of them when the others have ended."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real photos beside the repository; a test that asks for them is skipped where they are absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real photos at {REAL_DATA}; FACELINE_REAL_DATA names another folder")
    return REAL_DATA


@pytest.fixture(scope="session")
def write_processed() -> Callable[..., Path]:
    """A function that writes a folder like data/processed: easily told people, as smooth patterns with noise."""
    import cv2
    import numpy as np

    def write(root: Path, people: int = 4, photos: int = 6, size: int = 64, noise: int = 20, test: int = 1) -> Path:
        processed = root / "data/processed"
        for person in range(3 * people):
            rng = np.random.default_rng(person)
            pattern = cv2.resize(rng.integers(0, 256, (4, 4, 3), np.uint8), (size, size), interpolation=cv2.INTER_CUBIC)
            known = ("train",) * (photos - 1 - test) + ("val",) + ("test",) * test
            unknown = ("unseen_val" if person < 2 * people else "unseen",) * photos
            for photo, split in enumerate(known if person < people else unknown):
                folder = processed / split / f"person_{person:02}"
                folder.mkdir(parents=True, exist_ok=True)
                face = pattern.astype(np.int16) + rng.integers(-noise, noise + 1, pattern.shape)
                cv2.imwrite(str(folder / f"{photo}.jpg"), np.clip(face, 0, 255).astype(np.uint8))
        return processed

    return write


@pytest.fixture(scope="session")
def huge_picture() -> bytes:
    """A PNG whose header promises more pixels than OpenCV opens."""
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 70_000, 70_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.fixture(scope="session")
def parameters_with() -> Callable[..., object]:
    """A function that reads the root's params.yaml with some values changed: `{"lr": 0.1, "trainer.precision": 32}`."""
    import yaml

    from faceline_core.parameters.reading import StageParameters
    from faceline_core.parameters.schema import Parameters

    text = (Path(__file__).parents[1] / "params.yaml").read_text()

    def read(keys: tuple[str, ...], changes: dict[str, object]) -> StageParameters:
        values = yaml.safe_load(text)
        for name, value in changes.items():
            *path, last = name.split(".")
            section = values
            for part in path:
                section = section[part]
            section[last] = value
        return StageParameters(Parameters.model_validate(values), keys)

    return read
