import pytest

from faceline_sample.dataset import draw_dataset

PEOPLE, PHOTOS, SCENES, SEED = 8, 8, 6, 5


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A small sample, drawn once by two processes."""
    out = tmp_path_factory.mktemp("drawn") / "sample"
    draw_dataset(PEOPLE, PHOTOS, SCENES, SEED, out, processes=2)
    return out
