"""RetinaFace beside the plain way on the same weights, in one run: a batch through the network, and its anchors.

    .venv/bin/python benchmarks/retinaface.py                   # mobilenet0.25, 8 pictures of 640 x 640
    .venv/bin/python benchmarks/retinaface.py --backbone resnet50 --side 320 --pictures 4

Plain: pictures to float32, less their mean, through the network as it is built, channel after channel in memory. Ours:
what RetinaFaceSearch does: BatchNorm in the convolutions, channels last, 2 million px at a time, the padding's
bookkeeping; in bf16 but for the heads as well. Each measurement is a process of its own, the ways in turn; medians over
the rounds, by the clock and of the processors.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(path) for path in ROOT.glob("*/src")]
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as the stages set it, for all

import torch
from torch import Tensor

from faceline_detect.retinaface import Outputs, RetinaFace, anchors
from faceline_detect.retinaface.network import BGR_MEAN
from faceline_detect.retinaface.searching import RetinaFaceSearch, Search
from faceline_detect.searching.batches import BATCH_PIXELS

WAYS = ("plain", "ours", "ours in bf16")
PASSES = 3


def plain(network: RetinaFace, pictures: Tensor) -> Outputs:
    """Outputs for pictures (N, 3, H, W) uint8 RGB."""
    outputs: Outputs = network(pictures.flip(1).float() - torch.tensor(BGR_MEAN)[:, None, None])
    return outputs


def measure(way: str, options: argparse.Namespace) -> None:
    """A few passes in this process, on a line of JSON: the fastest after a first one."""
    torch.manual_seed(0)
    network = RetinaFace(options.backbone).eval()
    pictures = torch.randint(0, 256, (options.pictures, 3, options.side, options.side), dtype=torch.uint8)
    expected = None
    if way == "plain":
        network = network.to(memory_format=torch.contiguous_format)

        def run() -> Outputs:
            return plain(network, pictures)
    else:
        search = RetinaFaceSearch(network, Search(precision="bf16" if "16" in way else 32))
        pictures = pictures.contiguous(memory_format=torch.channels_last)  # as photos come

        def run() -> Outputs:
            size = (options.side, options.side)
            parts = pictures.split(max(1, BATCH_PIXELS["cpu"] // options.side**2))
            seen = [search.see(part, [size] * len(part)) for part in parts]
            return Outputs(*(torch.cat(one) for one in zip(*seen, strict=True)))

        with torch.inference_mode():
            expected = network(pictures[:1].flip(1).float() - torch.tensor(BGR_MEAN)[:, None, None]).boxes
    seconds, processors = [], []
    with torch.inference_mode():
        for _ in range(1 + PASSES):
            began, worked = time.perf_counter(), time.process_time()
            outputs = run()
            seconds.append(time.perf_counter() - began)
            processors.append(time.process_time() - worked)
    off = 0.0 if expected is None else float((outputs.boxes[:1] - expected).abs().max() / expected.abs().max())
    print(json.dumps({"seconds": min(seconds[1:]), "processors": min(processors[1:]), "off": off}))


def compare(options: argparse.Namespace) -> None:
    """The ways in turn, as many rounds as asked for."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way in WAYS:
            command = [sys.executable, __file__, "--measure", way, "--backbone", options.backbone]
            command += ["--pictures", str(options.pictures), "--side", str(options.side)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found[way].append(json.loads(done.stdout))
    print(f"RetinaFace {options.backbone}, {options.pictures} pictures of {options.side} x {options.side}")
    for way, rounds in found.items():
        line = f"{way:13}"
        for what in ("seconds", "processors"):
            ratios = [first[what] / own[what] for first, own in zip(found["plain"], rounds, strict=True)]
            took = 1000 * median(own[what] for own in rounds)
            line += f" {took:7.0f} ms {'by the clock' if what == 'seconds' else 'of the processors'},"
            line += f" {median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f});"
        print(line + f" boxes off by {max(own['off'] for own in rounds):.0e} of the largest code")


def anchors_of_a_photo(height: int = 1080, width: int = 1920, repeats: int = 200) -> None:
    """Time of `anchors` for one photo, computed anew each time."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        grid = anchors(height, width)
        seconds.append(time.perf_counter() - began)
    print(f"anchors of a {width} x {height} picture ({len(grid):,}): {1000 * median(seconds):.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="mobilenet0.25", choices=["mobilenet0.25", "resnet50"])
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--side", type=int, default=640, help="px, a multiple of 32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options)
        return
    compare(options)
    anchors_of_a_photo()


if __name__ == "__main__":
    main()
