"""Photos and lists of pairs to verification sets."""

import os
import pickle
import subprocess
import sys

import cv2
import numpy as np
import pytest

from faceline_core.data.verification_set import open_verification_set
from faceline_core.errors import FacelineError
from faceline_core.faces import align, read_photo
from faceline_detect.detectors import load
from faceline_preprocess.making_bin import make_bin
from faceline_preprocess.pair_lists import read_pairs
from faceline_sample.dataset import draw_dataset


def picture(grey, size=16):
    return cv2.imencode(".png", np.full((size, size, 3), grey, np.uint8))[1].tobytes()


@pytest.fixture
def folder(tmp_path):
    """Aligned faces of Ada (grey 11, 12, 13) and Grace O (21, 22)."""
    for person, greys in (("Ada", (11, 12, 13)), ("Grace O", (21, 22))):
        (tmp_path / "faces" / person).mkdir(parents=True)
        for number, grey in enumerate(greys, 1):
            ending = ".PNG" if grey == 22 else ".png"
            (tmp_path / "faces" / person / f"{person}_{number:04}{ending}").write_bytes(picture(grey))
    (tmp_path / "faces/Ada/Ada_0003.txt").write_text("not a photo")
    (tmp_path / "faces/Ada/Ada_0001.webp").write_bytes(picture(99))  # of two endings the first counts
    return tmp_path / "faces"


@pytest.fixture
def listed(folder, tmp_path):
    """A function that reads a list: the grey levels of each pair, and whether it is of one person."""

    def read(text, name="pairs.txt"):
        (tmp_path / name).write_text(text)
        pairs = read_pairs(tmp_path / name, folder)
        greys = [[int(cv2.imread(str(photo))[0, 0, 0]) for photo in (pair.first, pair.second)] for pair in pairs]
        return [(*grey, pair.same) for grey, pair in zip(greys, pairs, strict=True)]

    return read


PAIRS = "Ada\t3\t1\nGrace O\t1\t2\nAda\t1\tGrace O\t2\nGrace O\t1\tAda\t2\n"
READ = [(13, 11, True), (21, 22, True), (11, 22, False), (21, 12, False)]


def test_pairs_as_lfw_lists_them(listed):
    for header in ("2\t1\n", "2\n", ""):
        assert listed(header + PAIRS) == READ
    assert listed("1\nAda 2 3\nAda 2 Ada 1\n") == [(12, 13, True), (12, 11, True)]


def test_pairs_of_a_table(listed):
    rows = "Ada/Ada_0001.png,1,Ada/Ada_0003.png,x\n Ada/Ada_0002.png , False,Grace O/Grace O_0001.png,\n"
    table = "\ufefffile_b,same,file_a,note\n" + rows
    assert listed(table, "pairs.csv") == [(13, 11, True), (21, 12, False)]


def test_people_may_be_named_by_numbers(tmp_path):
    (tmp_path / "0001").mkdir()
    for number in (1, 2):
        (tmp_path / f"0001/0001_{number:04}.jpg").write_bytes(b"")
    (tmp_path / "pairs.txt").write_text("0001 1 2\n")
    (pair,) = read_pairs(tmp_path / "pairs.txt", tmp_path)
    assert (pair.first.name, pair.second.name, pair.same) == ("0001_0001.jpg", "0001_0002.jpg", True)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("a.txt", "2 300\nAda 1 2\n", r"a\.txt: the first line says 1200 pairs, found 1"),
        ("a.txt", "\n", r"a\.txt lists no pairs"),
        ("a.txt", "Ada 1 2\n\nAda 1\n", "line 3: expected <person> <i> <j>, or <person> <i> <other person> <j>"),
        ("a.txt", "Ada 1 x\n", "line 1: expected <person>"),
        ("a.txt", "Ada 1 2 3 4\n", "line 1: expected <person>"),
        ("a.txt", "1\nAda 1 2\nAda 1 4\n", "line 3: .*Ada has no photo Ada_0004"),
        ("a.txt", "Ada 1 Bob 1\n", "line 1: .*Bob has no photo Bob_0001"),
        ("a.txt", "Ada 1 1\n", r"line 1: pairs .*Ada_0001\.png with itself"),
        ("a.csv", "a,b,same\n", "line 1 must name the columns file_a, file_b, same, found a, b, same"),
        ("a.csv", "", "found nothing"),
        ("a.csv", "file_a,file_b,same\n", r"a\.csv lists no pairs"),
        ("a.csv", "file_a,file_b,same\nAda/Ada_0001.png,Ada/none.png,1\n", r"line 2: .*Ada/none\.png is no file"),
        ("a.csv", "file_a,file_b,same\nAda/Ada_0001.png,,1\n", "line 2: .* is no file"),
        ("a.csv", "file_a,file_b,same\nAda/Ada_0001.png,Ada/Ada_0002.png,yes\n", "line 2: expected 1 or 0 under same"),
        ("a.csv", "file_a,file_b,same\nAda/Ada_0001.png,Ada/Ada_0002.png\n", "same, found nothing"),
        ("a.csv", "file_a,file_b,same\nAda/Ada_0001.png,Ada/Ada_0001.png,1\n", "with itself"),
    ],
)  # fmt: skip
def test_faults_of_a_list_name_the_line(listed, name, text, what):
    with pytest.raises(FacelineError, match=what):
        listed(text, name)


def test_what_is_not_there_or_no_text(folder, tmp_path):
    with pytest.raises(FacelineError, match=r"none is not there\. Name the folder"):
        read_pairs(tmp_path / "a.txt", tmp_path / "none")
    with pytest.raises(FacelineError, match=r"a\.txt is not there\. Name a list"):
        read_pairs(tmp_path / "a.txt", folder)
    (tmp_path / "a.txt").write_bytes(b"\xff")
    with pytest.raises(FacelineError, match=r"not UTF-8 text \(byte 0\)"):
        read_pairs(tmp_path / "a.txt", folder)


def test_aligned_faces_are_taken_as_they_are(folder, tmp_path, capsys):
    (tmp_path / "pairs.txt").write_text("2\n" + PAIRS)
    assert make_bin(folder, tmp_path / "pairs.txt", tmp_path / "out/set.bin", None) == 4
    found = open_verification_set(tmp_path / "out/set.bin", 16)
    greys = [int(found.face(index)[0, 0, 0]) for index in range(8)]
    assert list(zip(greys[::2], greys[1::2], found.same.tolist(), strict=True)) == READ
    with (tmp_path / "out/set.bin").open("rb") as file:
        assert pickle.load(file)[0][0] == (folder / "Ada/Ada_0003.png").read_bytes()  # noqa: S301
    out = capsys.readouterr().out
    assert "4 pairs, 2 of one person, of 5 photos" in out
    assert "holds pairs of one kind only" in out


def test_photos_that_give_no_face_are_listed_or_their_pairs_left_out(folder, tmp_path, capsys):
    (tmp_path / "pairs.txt").write_text("2\n" + PAIRS)
    (folder / "Ada/Ada_0003.png").write_bytes(b"no picture")
    (folder / "Grace O/Grace O_0001.png").write_bytes(
        cv2.imencode(".png", np.zeros((16, 20, 3), np.uint8))[1].tobytes()
    )
    with pytest.raises(FacelineError) as caught:
        make_bin(folder, tmp_path / "pairs.txt", tmp_path / "set.bin", None)
    assert str(caught.value) == (
        f"2 photos give no face: {folder}/Ada/Ada_0003.png (does not decode), {folder}/Grace O/Grace O_0001.png "
        "(is 20 x 16 px, and no square). Replace them, or leave their 3 pairs out with --skip-unusable"
    )
    assert not (tmp_path / "set.bin").exists()
    assert make_bin(folder, tmp_path / "pairs.txt", tmp_path / "set.bin", None, skip_unusable=True) == 1
    assert "; 3 of 4 pairs are left out" in capsys.readouterr().out
    assert open_verification_set(tmp_path / "set.bin", 16).same.tolist() == [False]
    (folder / "Ada/Ada_0001.png").write_bytes(b"")
    with pytest.raises(FacelineError, match=r"3 photos give no face: .*No pair is left"):
        make_bin(folder, tmp_path / "pairs.txt", tmp_path / "set.bin", None, skip_unusable=True)
    for output in (tmp_path, tmp_path / "set.pkl"):
        with pytest.raises(FacelineError, match="a file to write was expected"):
            make_bin(folder, tmp_path / "pairs.txt", output, None)


def test_a_photo_of_too_many_pixels_gives_no_face(folder, tmp_path, huge_picture):
    (tmp_path / "pairs.txt").write_text("2\n" + PAIRS)
    (folder / "Ada/Ada_0003.png").write_bytes(huge_picture)
    with pytest.raises(FacelineError, match=r"1 photos give no face: .*Ada_0003\.png \(does not decode\)\. Replace"):
        make_bin(folder, tmp_path / "pairs.txt", tmp_path / "set.bin", None)


def test_faces_are_found_and_aligned(project, tmp_path):
    """Drawn people, beside one photo without a face; no limit of preprocess turns a face away."""
    draw_dataset(2, 2, 0, 5, tmp_path / "drawn", processes=1)
    people = tmp_path / "drawn/recognition/people"
    names = [photo.relative_to(people).as_posix() for photo in sorted(people.glob("*/*.jpg"))]
    cv2.imwrite(str(people / "wall.jpg"), np.full((80, 80, 3), 90, np.uint8))
    photo = read_photo(people / names[0])
    other = cv2.resize(photo[:, ::-1], None, fx=1.6, fy=1.6)
    wide = np.full((len(other), photo.shape[1] + 2 * other.shape[1], 3), 90, np.uint8)
    wide[:, : other.shape[1]] = other  # the larger face, at the left edge
    wide[: len(photo), other.shape[1] : -other.shape[1]] = photo
    cv2.imwrite(str(people / "wide.png"), cv2.cvtColor(wide, cv2.COLOR_RGB2BGR))
    rows = [("wide.png", names[1], 1), (names[0], "wall.jpg", 0), (names[2], names[3], 1), (names[1], names[3], 0)]
    lines = ["file_a,file_b,same", *(f"{first},{second},{same}" for first, second, same in rows)]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    parameters = project.set(num_workers=0, img_size=112, min_face_height=9999)
    arguments = people, tmp_path / "pairs.csv", tmp_path / "set.bin", parameters
    with pytest.raises(FacelineError, match=r"1 photos give no face: .*wall\.jpg \(no face\)\. Replace"):
        make_bin(*arguments)
    assert make_bin(*arguments, skip_unusable=True) == 3
    found = open_verification_set(tmp_path / "set.bin", 112)
    assert found.same.tolist() == [True, True, False]
    assert found.found_size == 112
    faces = np.stack([found.face(index) for index in range(6)]).astype(float)
    assert np.abs(faces[0] - faces[1]).mean() > 1
    assert (faces[1] == faces[4]).all(), "the photo that is in two pairs"
    assert (faces[3] == faces[5]).all()
    (seen,) = load("mtcnn").detect([wide])
    middle = min(seen, key=lambda face: abs(face.box[[0, 2]].mean() - wide.shape[1] / 2))
    assert middle.width < max(face.width for face in seen)
    assert np.abs(faces[0] - align(wide, middle.landmarks, 112)).mean() < 3, "but for JPEG"


def test_the_command(folder, tmp_path, project):
    (tmp_path / "pairs.txt").write_text("2\n" + PAIRS)

    def run(*options):
        command = [sys.executable, "-m", "faceline_preprocess", "bin", folder, tmp_path / "pairs.txt", *options]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True, check=False)

    done = run("set.bin", "--aligned")
    assert done.returncode == 0, done.stderr
    assert "[preprocess] 4 pairs, 2 of one person, of 5 photos -> set.bin" in done.stdout
    assert open_verification_set(project.folder / "set.bin", 16).same.tolist() == [True, True, False, False]
    failed = run("set.txt", "--aligned")
    assert failed.returncode == 1
    assert failed.stderr == "[preprocess] error: set.txt: a file to write was expected, named as in lfw.bin\n"
