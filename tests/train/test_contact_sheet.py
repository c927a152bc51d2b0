import numpy as np
import pytest
from PIL import Image

from faceline_train.contact_sheet import contact_sheet


@pytest.mark.parametrize(("count", "side", "size"), [(3, 64, (3, 1)), (70, 112, (8, 8)), (9, 30, (8, 2))])
def test_contact_sheet_shows_up_to_64_faces_by_whole_pixels(tmp_path, count, side, size):
    faces = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)
    path = tmp_path / "artifacts/train/first_batch.png"
    contact_sheet(path, faces, [f"Zoë_{i}" for i in range(count)])
    sheet = np.asarray(Image.open(path))
    zoom = -(-112 // side)
    shown = zoom * side
    columns, rows = size
    pitch = (sheet.shape[1] - 8) // columns, (sheet.shape[0] - 8) // rows
    for place in range(min(count, 64)):
        left, top = 8 + place % columns * pitch[0], 8 + place // columns * pitch[1]
        cell = sheet[top : top + shown, left : left + shown]
        assert np.array_equal(cell[::zoom, ::zoom], faces[place])
        assert np.array_equal(cell[zoom - 1 :: zoom, zoom - 1 :: zoom], faces[place])
        below = sheet[top + shown : top + pitch[1], left : left + shown]
        assert 0.01 < (below < 128).mean() < 0.2  # its caption, black on white
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_long_caption_stays_within_its_column(tmp_path):
    faces = np.full((2, 112, 112, 3), 255, np.uint8)
    contact_sheet(tmp_path / "sheet.png", faces, ["W" * 60, "Catherine_Zeta-Jones"])
    dark = np.asarray(Image.open(tmp_path / "sheet.png").convert("L")) < 128
    lines = dark[120:].any(axis=1)
    assert not dark[:, 121:127].any()  # between the columns, but for a letter's overhang
    assert not dark[:, 241:].any()
    assert (np.diff(lines.astype(int)) == 1).sum() >= 2  # two lines
    assert dark[120:, 8:120].any()


def test_a_contact_sheet_has_a_caption_a_face(tmp_path):
    with pytest.raises(ValueError, match="there are 2 and 1"):
        contact_sheet(tmp_path / "sheet.png", np.zeros((2, 8, 8, 3), np.uint8), ["a"])
    with pytest.raises(ValueError, match="there are 0 and 0"):
        contact_sheet(tmp_path / "sheet.png", np.zeros((0, 8, 8, 3), np.uint8), [])
