"""Finding faces with MTCNN or RetinaFace, and preparing a folder of photos, beside what one would run instead.

    .venv/bin/python benchmarks/detect.py PEOPLE [LARGE]            # a part of the photos, some minutes
    .venv/bin/python benchmarks/detect.py PEOPLE [LARGE] --all      # all of them
    .venv/bin/python benchmarks/detect.py PEOPLE [LARGE] --threads 1

PEOPLE holds <person>/<photo>, small photos, as data/lfw/recognition/people; LARGE holds photos as cameras make them.

MTCNN: facenet-pytorch's own `MTCNN(keep_all=True).detect`, a PIL image at a time, against
`faceline_detect.detectors.load("mtcnn").detect`, 16 photos at a time. Photos are decoded and the nets loaded before the
clock starts.

RetinaFace and its anchors: retinaface.py beside this file, which needs no photos and has options of its own.

Preprocessing: a loop (PIL opens, MTCNN finds, the box of the highest score is cut out, resized, saved) against
`faceline-preprocess`, which also aligns, judges, hashes, compares and splits. Whole commands, from their start.

Each measurement is a process of its own, the two ways in turn. Time is told twice, by the clock and of the processors,
of which other work on the machine takes less away; the ratios are of medians.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SOURCES = [str(path) for path in ROOT.glob("*/src")]
sys.path[:0] = SOURCES

import numpy as np
import yaml

ENVIRONMENT = {
    **os.environ,
    "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "1000"),  # as the stages set it, for both
    "PYTHONPATH": os.pathsep.join(SOURCES),
}
SUFFIXES = {".jpg", ".jpeg", ".png"}
AT_A_TIME = 16
SIZE = 112


def find(way: str, photos: Sequence[Path], threads: int) -> dict[str, Any]:
    """Seconds that a way takes to find the faces of photos, and the faces, [box, score] each."""
    import torch

    from faceline_core.faces import read_photo

    if threads:
        torch.set_num_threads(threads)
    pictures = [read_photo(photo) for photo in photos]
    if way == "facenet-pytorch":
        from facenet_pytorch import MTCNN
        from PIL import Image

        net, images = MTCNN(keep_all=True), [Image.fromarray(picture) for picture in pictures]

        def run(images: Sequence[Any]) -> list[Any]:
            return [net.detect(image, landmarks=True) for image in images]

        run(images[:2])
        began = time.perf_counter(), time.process_time()
        found = run(images)
        took = time.perf_counter() - began[0], time.process_time() - began[1]
        faces = [
            []
            if boxes is None
            else [[*map(float, box), float(score)] for box, score in zip(boxes, scores, strict=True)]
            for boxes, scores, _ in found
        ]
    else:
        from faceline_detect.detectors import load

        detector = load("mtcnn")
        detector.detect(pictures[:2])
        began = time.perf_counter(), time.process_time()
        ours = [
            faces
            for start in range(0, len(pictures), AT_A_TIME)
            for faces in detector.detect(pictures[start : start + AT_A_TIME])
        ]
        took = time.perf_counter() - began[0], time.process_time() - began[1]
        faces = [[[*map(float, face.box), face.score] for face in of_one] for of_one in ours]
    return {"clock": took[0], "processors": took[1], "faces": faces}


def loop(photos: Sequence[Path], output: Path) -> None:
    """The way that a first script goes."""
    from facenet_pytorch import MTCNN
    from PIL import Image

    net = MTCNN()
    for photo in photos:
        image = Image.open(photo).convert("RGB")
        boxes, scores = net.detect(image)
        if boxes is not None:
            face = image.crop(tuple(boxes[int(np.argmax(scores))])).resize((SIZE, SIZE))
            place = output / photo.parent.name / f"{photo.stem}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            face.save(place)


def compare_finding(name: str, photos: Sequence[Path], options: argparse.Namespace) -> None:
    ways = ("facenet-pytorch", "ours")
    measured: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as listed:
        json.dump([str(photo) for photo in photos], listed)
        listed.flush()
        for _ in range(options.rounds):
            for way in ways:
                command = [sys.executable, __file__, listed.name, "--measure", way, "--threads", str(options.threads)]
                out = subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout
                measured[way].append(json.loads(out.splitlines()[-1]))
    report(f"MTCNN, {len(photos)} {name}", {way: measured[way] for way in ways})
    print("  " + alike(*(measured[way][0]["faces"] for way in ways)))


def alike(theirs: list[Any], ours: list[Any]) -> str:
    """How many faces both find, and how far apart their boxes are."""
    far, other = 0.0, 0
    for expected, found in zip(theirs, ours, strict=True):
        other += len(expected) != len(found)
        for face in found:
            if expected:
                far = max(far, min(float(np.abs(np.subtract(face[:4], each[:4])).max()) for each in expected))
    return (
        f"{sum(map(len, theirs))} and {sum(map(len, ours))} faces, {other} photos with another number, "
        f"boxes at most {far:.4f} px apart"
    )


def compare_preparing(photos: Sequence[Path], options: argparse.Namespace) -> None:
    measured: dict[str, list[dict[str, Any]]] = {"loop": [], "faceline-preprocess": []}
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        people = project / "data/photos/recognition/people"
        for photo in photos:
            (people / photo.parent.name).mkdir(parents=True, exist_ok=True)
            (people / photo.parent.name / photo.name).symlink_to(photo.resolve())
        values = yaml.safe_load((ROOT / "params.yaml").read_text())
        (project / "params.yaml").write_text(yaml.safe_dump(values | {"data": "data/photos", "img_size": SIZE}))
        (project / "photos.json").write_text(json.dumps([str(photo.resolve()) for photo in photos]))
        commands = {
            "loop": [sys.executable, str(Path(__file__).resolve()), "photos.json", "--measure", "loop"],
            "faceline-preprocess": [sys.executable, "-m", "faceline_preprocess"],
        }
        for _ in range(options.rounds):
            for way, command in commands.items():
                before = _of_children()
                began = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True, cwd=project, env=ENVIRONMENT)
                measured[way].append({"clock": time.perf_counter() - began, "processors": _of_children() - before})
        faces = {
            "loop": len(list(project.glob("loop/*/*.jpg"))),
            "faceline-preprocess": len(list(project.glob("data/processed/*/*/*.jpg"))),
        }
    report(f"Preparing {len(photos)} photos", measured)
    print("  faces written: " + ", ".join(f"{way} {count}" for way, count in faces.items()))


def report(what: str, measured: dict[str, list[dict[str, Any]]]) -> None:
    """The medians of both ways, their ratio, and the ratios of the rounds."""
    print(f"{what}, {len(next(iter(measured.values())))} rounds")
    for clock, words in (("clock", "by the clock"), ("processors", "of the processors")):
        (slow, slow_rounds), (fast, fast_rounds) = (
            (way, [each[clock] for each in rounds]) for way, rounds in measured.items()
        )
        ratio = statistics.median(slow_rounds) / statistics.median(fast_rounds)
        rounds = ", ".join(f"{a / b:.2f}" for a, b in zip(slow_rounds, fast_rounds, strict=True))
        times = f"{slow} {statistics.median(slow_rounds):.2f} s, {fast} {statistics.median(fast_rounds):.2f} s"
        print(f"  {words:<18} {times}, {ratio:.2f} times as fast (rounds: {rounds})")
    sys.stdout.flush()


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _spread(photos: Sequence[Path], count: int) -> list[Path]:
    """About `count` of them, evenly spread."""
    return list(photos[:: max(1, len(photos) // count)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("people", type=Path)
    parser.add_argument("large", type=Path, nargs="?")
    parser.add_argument("--all", action="store_true", help="all photos, not a part of them")
    parser.add_argument("--only", choices=("mtcnn", "retinaface", "prepare"), help="one of the comparisons")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="finding: of torch; 0 leaves it to torch")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        photos = [Path(photo) for photo in json.loads(options.people.read_text())]
        if options.measure == "loop":
            loop(photos, Path("loop"))
        else:
            print(json.dumps(find(options.measure, photos, options.threads)))
        return
    print(f"{os.cpu_count()} processors, {os.getloadavg()[0]:.1f} processes at work before it began")
    people = sorted(path for path in options.people.glob("*/*") if path.suffix.lower() in SUFFIXES)
    if options.only in {None, "mtcnn"}:
        compare_finding("small photos", people if options.all else _spread(people, 100), options)
        if options.large is not None:
            large = sorted(path for path in options.large.rglob("*") if path.suffix.lower() in SUFFIXES)
            compare_finding("large photos", large if options.all else _spread(large, 12), options)
    if options.only in {None, "retinaface"}:
        subprocess.run([sys.executable, Path(__file__).with_name("retinaface.py")], check=True)
    if options.only in {None, "prepare"}:
        some = (
            people if options.all else [photo for photo in people if photo.parent in {p.parent for p in people[:200]}]
        )
        compare_preparing(some, options)


if __name__ == "__main__":
    main()
