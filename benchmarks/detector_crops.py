"""What recognition reaches with the faces that each detector cuts out: one recogniser, one list of pairs.

    .venv/bin/python benchmarks/detector_crops.py PEOPLE PAIRS WEIGHTS mtcnn retinaface=FOLDER fused=FOLDER

PEOPLE holds <person>/<photo>; PAIRS is a list as LFW's pairs.txt; WEIGHTS are published weights of MobileFaceNet. A
detector is its name and, but for mtcnn, what `faceline_detect.detectors.load` takes as its checkpoint: the folder that
the detect stage left (default: artifacts/detect/<name>).

Of each photo of the list the face that `pick: central_largest` takes is aligned to 112 px and passes through JPEG, as
preprocess does it. A photo without a face is alike to nobody: its pairs are told to be two people. Accuracy is that of
the listed pairs over 10 folds; the verification rates are of all pairs of these photos.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(path) for path in ROOT.glob("*/src")]

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from faceline_core.faces import align, pick, read_photo
from faceline_core.models.recogniser import Recogniser
from faceline_core.models.weights import load_backbone_weights
from faceline_core.verification.folds import fold_accuracy
from faceline_core.verification.rates import vr_at_far
from faceline_detect.detectors import load
from faceline_preprocess.pair_lists import read_pairs

SIZE, AT_A_TIME = 112, 16
FARS = (1e-2, 1e-3)
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]


def crops_of(photos: Sequence[Path], name: str, place: Path | None, device: str) -> dict[int, NDArray[np.uint8]]:
    """The aligned face of each photo that gives one, by the photo's place in the list."""
    detector = load(name, place, device)
    crops = {}
    for start in range(0, len(photos), AT_A_TIME):
        pictures = [read_photo(photo) for photo in photos[start : start + AT_A_TIME]]
        for number, (picture, faces) in enumerate(zip(pictures, detector.detect(pictures), strict=True), start):
            for face in pick(faces, "central_largest", picture.shape[1], picture.shape[0]):
                if face.landmarks is not None:
                    crop = cv2.cvtColor(align(picture, face.landmarks, SIZE), cv2.COLOR_RGB2BGR)
                    crops[number] = cv2.imdecode(cv2.imencode(".jpg", crop, JPEG)[1], cv2.IMREAD_COLOR_RGB)
    return crops


@torch.inference_mode()
def embedded(recogniser: Recogniser, crops: dict[int, NDArray[np.uint8]], count: int) -> NDArray[np.float64]:
    """(count, D) unit embeddings; NaN where there is no face."""
    faces = torch.from_numpy(np.stack(list(crops.values()))).permute(0, 3, 1, 2)
    units = torch.cat([recogniser.embed(some)[0] for some in faces.split(64)]).numpy()
    everyone = np.full((count, units.shape[1]), np.nan)
    everyone[list(crops)] = units
    return everyone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("people", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("detectors", nargs="+", metavar="NAME[=PLACE]")
    parser.add_argument("--device", default="cpu", help="where detectors run")
    options = parser.parse_args()

    listed = read_pairs(options.pairs, options.people)
    photos = list(dict.fromkeys(photo for pair in listed for photo in (pair.first, pair.second)))
    place = {photo: number for number, photo in enumerate(photos)}
    first, second = (np.array([place[getattr(pair, side)] for pair in listed]) for side in ("first", "second"))
    people = np.array([photo.parent.name for photo in photos])
    every = np.triu_indices(len(photos), 1)
    same = people[every[0]] == people[every[1]]
    recogniser = Recogniser("mobilefacenet", SIZE, ["a", "b"]).eval()
    with TemporaryDirectory() as folder:
        load_backbone_weights(recogniser.backbone, recogniser.spec, str(options.weights), Path(folder), strict=True)

    of_one = sum(pair.same for pair in listed)
    print(f"{len(listed):,} listed pairs, {of_one:,} of one person, of {len(photos):,} photos; of all pairs of these")
    print(f"{same.sum():,} are of one person and {(~same).sum():,} of two")
    columns = [
        "detector",
        "accuracy over 10 folds",
        *(f"VR at FAR {far:g}" for far in FARS),
        "photos without a face",
        "s",
    ]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for name, _, where in (each.partition("=") for each in options.detectors):
        began = time.perf_counter()
        crops = crops_of(photos, name, Path(where) if where else None, options.device)
        took = time.perf_counter() - began
        units = embedded(recogniser, crops, len(photos))
        distances = np.nan_to_num(((units[first] - units[second]) ** 2).sum(axis=1), nan=4.0)
        accuracy = fold_accuracy(distances, [pair.same for pair in listed])
        scores = np.nan_to_num((units @ units.T)[every], nan=-1.0)
        rates = [vr_at_far(scores, same, far).vr for far in FARS]
        cells = [name, f"{100 * accuracy.mean:.2f} +- {100 * accuracy.std:.2f} %"]
        cells += ["-" if rate is None else f"{rate:.4f}" for rate in rates]
        print(f"| {' | '.join([*cells, str(len(photos) - len(crops)), f'{took:.0f}'])} |", flush=True)


if __name__ == "__main__":
    main()
