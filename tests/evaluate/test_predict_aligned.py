"""Aligned faces to a table: the figures against a slow version, odd files and names, whole or not at all."""

import csv
import os
from collections import Counter

import cv2
import numpy as np
import pytest
import torch

from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import load_recogniser, save_checkpoint
from faceline_core.models.recogniser import Recogniser
from faceline_evaluate.__main__ import main
from faceline_evaluate.devices import find_device
from faceline_evaluate.prediction import candidates
from faceline_evaluate.prediction.nearest import nearest, person_embeddings
from faceline_evaluate.prediction.predicting import predict
from faceline_evaluate.prediction.rows import COLUMNS, as_text

SIZE = 32
PEOPLE = ["=HYPERLINK(1)", "Øyvind Åse", "Ana, 'the' \"B\"", "'quoted", "plain", "-minus", "写真"]
TRAINED = {"epoch": 1, "monitor": "val_acc", "best": 0.5, "data_sha256": "x", "parameters": {}}


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_faces(folder, count):
    """Patterns as PNG, whose pixels are known."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pattern = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
        face = cv2.resize(pattern, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number:03}.png"), face)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    recogniser = Recogniser("mobilenet_v3_small", SIZE, PEOPLE).train()
    for module in recogniser.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    patterns = torch.nn.functional.interpolate(255 * torch.rand(48, 3, 4, 4), size=SIZE, mode="bicubic")
    with torch.no_grad():
        recogniser(patterns.clamp(0, 255))
        recogniser.head.weight.normal_(std=0.1)
    path = tmp_path_factory.mktemp("predict") / "model.pth"
    means = torch.nn.functional.normalize(torch.randn(len(PEOPLE), 576), dim=1)
    save_checkpoint(path, recogniser.eval(), person_embeddings=means, **TRAINED)
    return path


def test_figures_are_those_of_one_face_at_a_time(checkpoint, tmp_path):
    write_faces(tmp_path / "faces/b", 70)  # more than a batch
    write_faces(tmp_path / "faces/a", 2)
    counts = predict(tmp_path / "faces", checkpoint, tmp_path / "out.csv")
    assert counts == Counter(used=72)
    rows = rows_of(tmp_path / "out.csv")
    assert tuple(rows[0]) == COLUMNS
    assert [row["file"] for row in rows] == [path.as_posix() for path in sorted((tmp_path / "faces").rglob("*.png"))]
    recogniser, content = load_recogniser(checkpoint)
    means = content["person_embeddings"].numpy()
    seen = set()
    for row in rows:
        face = torch.from_numpy(cv2.imread(row["file"])[:, :, ::-1].copy()).permute(2, 0, 1)[None]
        with torch.no_grad():
            probabilities = torch.softmax(recogniser(face), dim=1)[0].numpy()
            feature = recogniser.features(face)[0].numpy()
        order = np.argsort(-probabilities)[:5]
        names = [row["person"], *(row[f"person_{rank}"] for rank in range(2, 6))]
        values = [row["probability"], *(row[f"probability_{rank}"] for rank in range(2, 6))]
        assert names == [as_text(PEOPLE[label]) for label in order]
        assert [float(value) for value in values] == pytest.approx(probabilities[order], abs=5e-5)
        cosines = means @ feature / np.linalg.norm(feature)
        assert row["nearest_person"] == as_text(PEOPLE[cosines.argmax()])
        assert float(row["similarity"]) == pytest.approx(cosines.max(), abs=5e-5)
        assert (row["face"], row["status"], row["reason"], row["box_x1"], row["score"]) == ("1", "used", "", "", "")
        seen |= {row["person"], row["nearest_person"]}
    assert len(seen) > 3, "or it shows little"


def test_what_is_no_aligned_face_is_a_row_with_its_reason(checkpoint, tmp_path):
    folder = tmp_path / "faces"
    write_faces(folder, 1)
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("no photo")
    (folder / "cut.png").write_bytes((folder / "000.png").read_bytes()[:200])
    cv2.imwrite(str(folder / "large.png"), np.zeros((64, 48, 3), np.uint8))
    cv2.imwrite(str(folder / "grey.png"), np.full((SIZE, SIZE), 100, np.uint8))
    (folder / "notes.txt").write_text("x")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / ".hidden").mkdir()
    (folder / ".hidden/a.png").write_bytes(b"")
    (folder / "gone.png").symlink_to(folder / "nothing")
    counts = predict(folder, checkpoint, tmp_path / "out.csv")
    reasons = {row["file"].rsplit("/", 1)[1]: row["reason"] for row in rows_of(tmp_path / "out.csv")}
    assert list(reasons) == ["000.png", "cut.png", "empty.jpg", "grey.png", "large.png", "text.jpg"]
    assert reasons["000.png"] == reasons["grey.png"] == ""
    assert reasons["large.png"] == "other size: 48 x 64 px, expected 32 x 32"
    assert reasons["empty.jpg"] == "does not decode: the file is empty"
    assert reasons["cut.png"].startswith("does not decode: ")
    assert reasons["text.jpg"].startswith("does not decode: it is no JPEG")
    assert counts == {"used": 2, "does not decode": 3, "other size": 1}
    for row in rows_of(tmp_path / "out.csv"):
        assert bool(row["person"]) == bool(row["similarity"]) == (row["status"] == "used") == (not row["reason"])


def test_odd_names_come_back_and_are_no_formulas(checkpoint, tmp_path, monkeypatch):
    names = ['=1+1,"x".png', "@a.png", "Øy, 写真.png", "two\nlines\r.png", "a;b'.png", os.fsdecode(b"\xff.png")]
    write_faces(tmp_path / "one", 1)
    face = (tmp_path / "one/000.png").read_bytes()
    folder = tmp_path / "here"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(face)
    monkeypatch.chdir(folder)
    assert main(["predict", ".", "--aligned", "--checkpoint", str(checkpoint), "--output", "../out.csv"]) == 0
    files = [row["file"] for row in rows_of(tmp_path / "out.csv")]
    assert set(files) == {'./=1+1,"x".png', "./@a.png", *names[2:5], "\\udcff.png"}
    assert not any(file.startswith(("=", "@")) for file in files)
    assert sum((folder / file).read_bytes() == face for file in files if "udcff" not in file) == 5


@pytest.mark.parametrize("name", PEOPLE)
def test_a_name_of_a_person_is_text_and_comes_back(name):
    cell = as_text(name)
    assert not cell.startswith(("=", "+", "-", "@"))
    assert cell.removeprefix("'") == name or cell == name
    assert (cell[:1] == "'") == (cell != name), "so that whoever takes the ' away takes away no other"


def test_fewer_than_five_people_leave_columns_empty(tmp_path, capsys):
    path = tmp_path / "two.pth"
    save_checkpoint(path, Recogniser("mobilenet_v3_small", SIZE, ["Ana", "Bo"]).eval(), **TRAINED)
    write_faces(tmp_path / "faces", 1)
    predict(tmp_path / "faces/000.png", path, tmp_path / "out.csv")
    (row,) = rows_of(tmp_path / "out.csv")
    assert {row["person"], row["person_2"]} == {"Ana", "Bo"}
    assert float(row["probability"]) + float(row["probability_2"]) == pytest.approx(1, abs=2e-6)
    assert [row[name] for name in ("person_3", "probability_5", "nearest_person", "similarity")] == [""] * 4
    assert f"note: {path} holds no embeddings of its people" in capsys.readouterr().out


def test_whose_embeddings_similarity_is_taken_to(tmp_path):
    kept = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    recogniser = Recogniser("mobilenet_v3_small", SIZE, PEOPLE, head="arcface").eval()
    means = person_embeddings(recogniser, {"head": "arcface", "person_embeddings": kept})
    assert means.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 1]]
    assert person_embeddings(recogniser, {"head": "softmax"}) is None
    with torch.no_grad():
        recogniser.head.weight *= 3
    save_checkpoint(tmp_path / "margin.pth", recogniser, **TRAINED)
    write_faces(tmp_path / "faces", 3)
    predict(tmp_path / "faces", tmp_path / "margin.pth", tmp_path / "out.csv")
    for row in rows_of(tmp_path / "out.csv"):
        face = torch.from_numpy(cv2.imread(row["file"])[:, :, ::-1].copy()).permute(2, 0, 1)[None]
        with torch.no_grad():
            feature = recogniser.features(face)[0].double().numpy()
        columns = recogniser.head.weight.detach().double().numpy().T
        cosines = columns @ feature / np.linalg.norm(columns, axis=1) / np.linalg.norm(feature)
        assert row["nearest_person"] == row["person"] == as_text(PEOPLE[cosines.argmax()]), "logits are s * cosine"
        assert float(row["similarity"]) == pytest.approx(cosines.max(), abs=5e-5)


def test_nobody_is_like_a_person_without_training_faces():
    faces = torch.nn.functional.normalize(torch.tensor([[-1.0, -0.1], [0.0, 1.0]]), dim=1)
    cosines, whose = nearest(faces, torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]))
    assert whose.tolist() == [2, 2]
    assert cosines.tolist() == pytest.approx([-0.0995, 1], abs=1e-4)


def test_an_earlier_table_stays_where_the_run_is_stopped(checkpoint, tmp_path, monkeypatch, capsys):
    write_faces(tmp_path / "faces", 70)
    (tmp_path / "out.csv").write_text("earlier")
    before = sorted(tmp_path.iterdir())

    def stopped(path, read=candidates.read_photo):
        if path.name == "069.png":  # of the second batch
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(candidates, "read_photo", stopped)
    arguments = ["--aligned", "--checkpoint", str(checkpoint), "--output", str(tmp_path / "out.csv")]
    assert main(["predict", str(tmp_path / "faces"), *arguments]) == 130
    assert (tmp_path / "out.csv").read_text() == "earlier"
    assert sorted(tmp_path.iterdir()) == before
    assert "stopped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("place", "output", "device", "says"),
    [
        ("nowhere", "out.csv", "cpu", "nowhere is not there. Name a photo or a folder of photos"),
        ("texts", "out.csv", "cpu", "texts holds no photos, only .txt 1. Put .jpg"),
        ("faces", "texts", "cpu", "texts: a file to write was expected, it is a folder or lies in a file"),
        ("faces", "texts/a.txt/out.csv", "cpu", "out.csv: a file to write was expected"),
        ("faces", "out.csv", "gpu", "--device gpu: PyTorch cannot compute there"),
        ("faces", "out.csv", "cuda:99", "--device cuda:99: PyTorch cannot compute there"),
        ("faces", "out.csv", "meta", "--device meta: PyTorch cannot compute there"),
    ],
)
def test_errors_are_one_line_and_write_nothing(checkpoint, tmp_path, capsys, place, output, device, says):
    write_faces(tmp_path / "faces", 1)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("x")
    before = sorted(tmp_path.rglob("*"))
    options = ["--aligned", "--checkpoint", str(checkpoint), "--device", device, "--output", str(tmp_path / output)]
    assert main(["predict", str(tmp_path / place), *options]) == 1
    message = capsys.readouterr().err
    assert says in message
    assert message.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_options_may_stand_before_the_command(checkpoint, tmp_path):
    write_faces(tmp_path / "faces", 1)
    before = ["--checkpoint", str(checkpoint), "--output", str(tmp_path / "out.csv"), "--params", "nowhere.yaml"]
    assert main([*before, "predict", str(tmp_path / "faces"), "--aligned"]) == 0, "params.yaml is not needed"
    assert len(rows_of(tmp_path / "out.csv")) == 1
    with pytest.raises(SystemExit):
        main(["--split", "val", "predict", str(tmp_path / "faces")])


def test_a_checkpoint_that_is_not_there(tmp_path):
    write_faces(tmp_path / "faces", 1)
    with pytest.raises(FacelineError, match=r"none\.pth is not there"):
        predict(tmp_path / "faces", tmp_path / "none.pth", tmp_path / "out.csv")


def test_the_device_is_the_cpu_where_there_is_no_gpu():
    assert find_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert find_device("cpu") == torch.device("cpu")
