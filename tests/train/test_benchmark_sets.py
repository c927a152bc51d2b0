"""`.bin` sets that a run is measured on after each epoch."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from faceline_core.data.verification_set import write_verification_set
from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import load_recogniser
from faceline_core.verification.folds import fold_accuracy, fold_accuracy_of_scores
from faceline_train.validating import validate
from faceline_train.verifying import USUAL_PLACE

FINAL = "checkpoints/final_model.pth"
NETWORK = {"model_name": "ir_18", "loss_weights__local": 1.0, "epochs": 2}
PAIRS = [(a, b) for a in range(12) for b in range(a + 1, 12)]


@pytest.fixture
def sets(tmp_path, processed):
    """`small.bin`, of faces of people held back, 32 px, half drowned in noise, and `large.bin`, the same at 64 px."""
    files = sorted((processed / "unseen_val").glob("*/*.jpg"))[::2][:12]
    noise = np.random.default_rng(0).integers(0, 256, (len(files), 32, 32, 3))
    small = [
        (0.4 * cv2.imread(str(file)) + 0.6 * grey).astype(np.uint8) for file, grey in zip(files, noise, strict=True)
    ]
    folder = tmp_path / "benchmarks"
    for name, size in (("small", 32), ("large", 64)):
        faces = [cv2.resize(face, (size, size), interpolation=cv2.INTER_NEAREST) for face in small]
        pictures = [cv2.imencode(".png", faces[place])[1].tobytes() for pair in PAIRS for place in pair]
        same = [files[a].parent == files[b].parent for a, b in PAIRS]
        write_verification_set(folder / f"{name}.bin", pictures, same)
    images = np.stack(small)[..., ::-1].copy()
    return folder, torch.from_numpy(images).permute(0, 3, 1, 2), np.array(same)


def test_sets_are_logged_and_those_of_another_size_told_once(run, sets, rows_of, processed, settings, capsys):
    folder, images, same = sets
    changes = NETWORK | {"validation__benchmarks": str(folder)}
    artifacts = run(**changes)
    output = capsys.readouterr().out
    assert output.count("warning: ") == 1
    assert output.count("[train] 2 verification sets: large, 66 pairs; small, 66 pairs\n") == 1
    assert f"warning: {folder}/large.bin holds faces of 64 px, which are resized to 32 (img_size)" in output
    row = rows_of(artifacts)[-1]
    (line,) = (line for line in output.splitlines() if "epoch 2/2" in line)
    assert f"  large_acc {row['large_acc']:.3f} small_acc {row['small_acc']:.3f}  lr " in line
    recogniser, content = load_recogniser(artifacts / FINAL)
    a, b = np.array(PAIRS).T
    with torch.no_grad():
        seen = recogniser.see(images)
        cosines = (seen.unit[a] * seen.unit[b]).sum(1).numpy()
        distances = (seen.unit[a] - seen.unit[b]).square().sum(1).numpy()
        local = recogniser.matcher.pairs(seen.maps[a], seen.maps[b]).numpy()
    spread = content["score_statistics"]
    combined = spread["embedding_weight"] * (cosines - spread["embedding_mean"]) / spread["embedding_std"]
    combined += spread["local_weight"] * (local - spread["local_mean"]) / spread["local_std"]
    assert len({fold_accuracy_of_scores(scores, same).mean for scores in (cosines, local, combined)}) == 3
    for name in ("small", "large"):  # the larger faces are the small ones, each pixel four times
        assert row[f"{name}_embedding_acc"] == pytest.approx(fold_accuracy(distances, same).mean)
        assert row[f"{name}_local_acc"] == pytest.approx(fold_accuracy_of_scores(local, same).mean)
        assert row[f"{name}_acc"] == pytest.approx(fold_accuracy_of_scores(combined, same).mean)
    figures = validate(settings(dataset__path=str(processed), **changes), artifacts / FINAL, artifacts)
    lines = re.findall(
        r"\[train\] (\w+) over 10 folds: (\S+) \+- (\S+), at the best threshold \((\S+)\) (\S+)\n",
        capsys.readouterr().out,
    )
    printed = {name: [float(number) for number in numbers] for name, *numbers in lines}
    for name in ("small", "large"):
        for which, found in {
            "embedding_acc": fold_accuracy(distances, same),
            "local_acc": fold_accuracy_of_scores(local, same),
            "acc": fold_accuracy_of_scores(combined, same),
        }.items():
            assert figures[f"{name}_{which}"] == pytest.approx(found.mean)
            assert printed[f"{name}_{which}"] == pytest.approx(
                [found.mean, found.std, found.best_threshold, found.best], abs=6e-4
            )
    assert len(printed) == 6


@pytest.mark.parametrize(("there", "what"), [(True, "holds no .bin"), (False, "is not there")])
def test_a_folder_without_sets_is_told_unless_it_is_the_usual_one(
    run, tmp_path, monkeypatch, capsys, there, what, settings
):
    monkeypatch.chdir(tmp_path)  # where there is no data/benchmarks
    run(trainer__fast_dev_run=True)
    assert "verification set" not in capsys.readouterr().out
    assert settings().validation.benchmarks == USUAL_PLACE
    folder = tmp_path / "mine"
    if there:
        folder.mkdir()
    run(trainer__fast_dev_run=True, validation__benchmarks=str(folder))
    told = f"[train] note: validation.benchmarks: {folder} {what}, so no verification set is measured\n"
    assert told in capsys.readouterr().out


def test_a_set_that_is_none_ends_the_run_at_once(run, tmp_path):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/bad.bin").write_bytes(b"cos\nsystem\n(S'touch here'\ntR.")
    with pytest.raises(
        FacelineError,
        match=r"bad\.bin is no verification set .* out of \S*benchmarks \(before byte \d+ it names 'os\.system'",
    ):
        run(**NETWORK, validation__benchmarks=str(tmp_path / "benchmarks"))
    assert not (tmp_path / "artifacts").exists()


MEASURE = """
import sys
from pathlib import Path
from faceline_core.models.recogniser import Parts, Recogniser
from faceline_core.parameters.metric import Validation
from faceline_train.verifying import Verifying
def kilobytes(name):
    return int(Path("/proc/self/status").read_text().split(name + ":")[1].split()[0])
recogniser = Recogniser("timm/test_efficientnet.r160_in1k", 64, ["a", "b"], parts=Parts(matcher=True)).eval()
Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
before = kilobytes("VmRSS")
verifying = Verifying(None, Validation(split="val", max_pairs=2, benchmarks=sys.argv[1], flip=False), 0, 64)
figures = verifying.figures(recogniser)
print(len(verifying.sets["set"]), figures["set_acc"], kilobytes("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux to tell the peak of memory")
def test_twelve_thousand_faces_are_not_in_memory_at_once(tmp_path):
    """60 MB, of 5 kB each as in the published sets, in the form that takes most to read, on the way of a run with a
    matcher. Of 64 px, they would be 147 MB as arrays and 590 MB as floats."""
    rng = np.random.default_rng(0)
    face = cv2.resize(rng.integers(0, 256, (4, 4, 3), np.uint8), (64, 64))
    jpeg = cv2.imencode(".jpg", face)[1].tobytes()
    pictures = [jpeg + rng.bytes(5000 - len(jpeg)) for _ in range(12_000)]  # what follows a JPEG is passed over
    write_verification_set(tmp_path / "set.bin", pictures, [True, False] * 3000)
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    pairs, accuracy, kilobytes = map(float, output.stdout.splitlines()[-1].split())
    assert (pairs, accuracy) == (6000, 0.5)
    assert kilobytes < 100_000, "200 MB above the loaded model are allowed"
