"""What tests of the stage share: a few drawn scenes, drawn once."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def drawn_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images/ and label.txt: ten drawn scenes."""
    from faceline_sample.dataset import draw_dataset

    folder = tmp_path_factory.mktemp("scenes") / "sample"
    draw_dataset(people=1, photos=1, scenes=10, seed=4, out=folder, processes=1)
    return folder / "detection"
