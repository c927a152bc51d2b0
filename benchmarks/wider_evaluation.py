"""Average precision as WIDER FACE defines it, beside a plain loop over pictures, boxes and thresholds, in one process.

    .venv/bin/python benchmarks/wider_evaluation.py                 # as many pictures and faces as its validation set
    .venv/bin/python benchmarks/wider_evaluation.py --images 300 --near 10

The input is drawn: faces of 8 to some hundred px, a few in most pictures and hundreds in some; near each of them some
boxes, and some anywhere; four faces of five count. The plain version does what the evaluation published in Python does,
picture by picture. Ours is timed before and after it.
"""

import argparse
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(path) for path in ROOT.glob("*/src")]

import numpy as np
from numpy.typing import NDArray

from faceline_detect.average_precision import area_under_envelope, evaluate

Arrays = list[NDArray[np.float64]]
STEPS = 1000


def draw(images: int, faces: int, near: int, anywhere: int) -> tuple[Arrays, Arrays, list[NDArray[np.bool_]]]:
    """Predictions, truths, counted, of pictures of 1,024 px."""
    rng = np.random.default_rng(0)
    weights = np.minimum(rng.lognormal(0, 1.6, images), 200)
    counts = rng.multinomial(faces, weights / weights.sum())
    predictions, truths, counted = [], [], []
    for count in counts:
        sides = 8 + rng.exponential(600 / (6 + count), (count, 1))
        corners = rng.uniform(0, 1000, (count, 2))
        boxes = np.hstack([corners, corners + sides * [0.8, 1]])
        close = np.repeat(boxes, near, axis=0) + rng.normal(0, 0.12, (count * near, 4)) * np.repeat(sides, near, axis=0)
        corners = rng.uniform(0, 1000, (anywhere, 2))
        other = np.hstack([corners, corners + rng.uniform(8, 200, (anywhere, 1))])
        found = np.vstack([close, other])
        predictions.append(np.hstack([found, rng.random((len(found), 1))]))
        truths.append(boxes)
        counted.append(rng.random(count) < 0.8)
    return predictions, truths, counted


def overlaps(boxes: NDArray[np.float64], faces: NDArray[np.float64]) -> NDArray[np.float64]:
    """(D, G) intersection over union, sides counted in whole pixels."""
    wide = np.minimum(boxes[:, None, 2], faces[:, 2]) - np.maximum(boxes[:, None, 0], faces[:, 0]) + 1
    high = np.minimum(boxes[:, None, 3], faces[:, 3]) - np.maximum(boxes[:, None, 1], faces[:, 1]) + 1
    both = np.maximum(wide, 0) * np.maximum(high, 0)
    areas = [(each[:, 2] - each[:, 0] + 1) * (each[:, 3] - each[:, 1] + 1) for each in (boxes, faces)]
    return both / (areas[0][:, None] + areas[1] - both)


def plain(predictions: Arrays, truths: Arrays, counted: list[NDArray[np.bool_]]) -> float:
    """The protocol as it is published, step by step."""
    scores = np.concatenate(predictions)[:, 4]
    low, high = scores.min(), scores.max()
    totals, faces = np.zeros((STEPS, 2)), 0
    for unsorted, labelled, to_find in zip(predictions, truths, counted, strict=True):
        faces += to_find.sum()
        if not len(unsorted) or not len(labelled):
            continue
        boxes = unsorted[np.argsort(-unsorted[:, 4], kind="stable")]
        stretched, matrix = (boxes[:, 4] - low) / (high - low), overlaps(boxes, labelled)
        hit, counts, found = np.zeros(len(labelled), bool), np.ones(len(boxes), bool), np.zeros(len(boxes))
        for row in range(len(boxes)):
            best = matrix[row].argmax()
            if matrix[row, best] >= 0.5:
                counts[row] = to_find[best]
                hit[best] |= to_find[best]
            found[row] = hit.sum()
        for step in range(STEPS):
            kept = np.flatnonzero(stretched >= 1 - (step + 1) / STEPS)
            if len(kept):
                totals[step] += counts[: kept[-1] + 1].sum(), found[kept[-1]]
    reported, right = totals.T
    return area_under_envelope(right / np.maximum(reported, 1), right / faces)


def timed(evaluation: Callable[..., Any], images: tuple[Any, ...]) -> tuple[Any, float, float]:
    """What it says, and its seconds by the clock and of the processor."""
    began = time.perf_counter(), time.process_time()
    said = evaluation(*images)
    return said, time.perf_counter() - began[0], time.process_time() - began[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=3226)
    parser.add_argument("--faces", type=int, default=39_708)
    parser.add_argument("--near", type=int, default=3, help="boxes near each face")
    parser.add_argument("--anywhere", type=int, default=15, help="boxes elsewhere in each picture")
    parser.add_argument("--rounds", type=int, default=5, help="of ours, before plain and after it")
    options = parser.parse_args()
    faces = round(options.faces * min(1, options.images / 3226)) if options.faces == 39_708 else options.faces
    images = draw(options.images, faces, options.near, options.anywhere)
    boxes = sum(map(len, images[0]))
    print(f"{options.images:,} images, {faces:,} faces ({max(map(len, images[1]))} at most), {boxes:,} boxes")

    ours = [timed(evaluate, images) for _ in range(options.rounds)]
    (expected, *slow) = timed(plain, images)
    ours += [timed(evaluate, images) for _ in range(options.rounds)]
    (area, _), *_ = ours[0]
    fast = np.array([times for _, *times in ours])
    tracemalloc.start()
    evaluate(*images)
    memory = tracemalloc.get_traced_memory()[1] / 2**20
    print(f"average precision {expected!r} and {area!r}: {'equal' if area == expected else 'NOT EQUAL'}")
    for number, what in enumerate(("by the clock", "of the processor")):
        middle = np.median(fast[:, number])
        print(
            f"{what:16} plain {slow[number]:6.2f} s, ours {middle:.3f} s ({fast[:, number].min():.3f} to "
            f"{fast[:, number].max():.3f}), ratio {slow[number] / middle:.0f}"
        )
    print(f"ours takes {memory:.0f} MiB of memory")


if __name__ == "__main__":
    main()
