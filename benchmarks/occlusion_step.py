"""A training step of the occlusion-aware method beside one of the identity loss alone: time and memory, in one run.

    .venv/bin/python benchmarks/occlusion_step.py                          # ir_50, 64 faces, maps of 7 x 7, bf16
    .venv/bin/python benchmarks/occlusion_step.py --side 14 --precision 32 --rounds 5

Both are recipes/occlusion_aware.yaml: AdaFace; the method besides it pairwise matching, the triplet loss and the
occlusion head, with masks of all faces. Each measurement is a process of its own, the two alternating: one step that
makes room, then one that is timed. Memory is the peak of the process above what it had with its libraries loaded. Time
is told twice, by the clock and of the processors, of which other work on the machine takes less away; the ratios are of
medians.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(path) for path in ROOT.glob("*/src")]
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as the stages set it, for both

import torch
import yaml
from torch.nn import functional as F

import faceline_train
from faceline_core.models.recogniser import Margin, Recogniser
from faceline_core.parameters.reading import StageParameters
from faceline_core.parameters.schema import Parameters
from faceline_core.training.optimisation import build_optimizer
from faceline_core.training.precision import autocast
from faceline_train.parts import MapLosses, parts_of

WAYS = ("identity", "method")
PEOPLE = 1000
BOUNDS = {"seconds": 1.35, "processor": 1.35, "bytes": 1.2}


def parameters_of(way: str, options: argparse.Namespace) -> StageParameters:
    values = yaml.safe_load((ROOT / "recipes/occlusion_aware.yaml").read_text())
    values |= {"model_name": options.model, "batch_size": options.batch, "feature_map": options.side}
    if way == "identity":
        values["loss_weights"] |= {"local": 0.0, "occlusion": 0.0}
    return StageParameters(Parameters.model_validate(values), faceline_train.KEYS)


def measure(way: str, options: argparse.Namespace) -> None:
    """Two steps in this process, the second on a line of JSON."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    parameters = parameters_of(way, options)
    before = _bytes("VmRSS")
    torch.manual_seed(0)
    people, loss = [str(person) for person in range(PEOPLE)], parameters.loss
    margin = Margin(loss.m, loss.h, loss.s, loss.t_alpha)
    recogniser = Recogniser(options.model, 112, people, head="adaface", margin=margin, parts=parts_of(parameters))
    recogniser.to(device, memory_format=torch.channels_last)
    rest = [part for part in (recogniser.matcher, recogniser.occlusion_head, recogniser.head) if part is not None]
    optimizer = build_optimizer(recogniser.backbone, rest, parameters.lr, parameters.optimizer)
    losses = MapLosses(parameters).to(device)
    images = torch.randint(0, 256, (options.batch, 112, 112, 3), dtype=torch.uint8).permute(0, 3, 1, 2).to(device)
    masks = torch.randint(0, 256, (options.batch, 112, 112), dtype=torch.uint8).to(device)
    known = torch.ones(options.batch, dtype=torch.bool, device=device)
    instances = parameters.dataset.instances_per_identity
    labels = torch.arange(options.batch // instances, device=device).repeat_interleave(instances)
    weights = parameters.loss_weights

    def step() -> None:
        parts: dict[str, torch.Tensor] = {}
        with autocast(device, options.precision):
            if recogniser.tap is None:
                features = recogniser.features(images)
            else:
                features, maps = recogniser.features_and_map(images)
                parts = losses(recogniser, maps, labels, masks, known, epoch=0)
            parts["identity"] = F.cross_entropy(recogniser.classify(features, labels).float(), labels)
        sum(getattr(weights, name) * part for name, part in parts.items()).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize()

    step()
    began, worked = time.perf_counter(), time.process_time()
    step()
    found = {"seconds": time.perf_counter() - began, "processor": time.process_time() - worked}
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else _bytes("VmHWM") - before
    print(json.dumps({**found, "bytes": peak}))


def _bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ir_50")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--side", type=int, default=7, choices=(7, 14), help="of the feature map")
    parser.add_argument("--precision", default="bf16", choices=("bf16", "32"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.precision = 32 if options.precision == "32" else options.precision
    if options.measure:
        measure(options.measure, options)
        return
    rounds: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way in WAYS:
            command = [sys.executable, __file__, *sys.argv[1:], "--measure", way]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            rounds[way].append(json.loads(done.stdout))
    of = {
        way: {name: statistics.median(one[name] for one in found) for name in BOUNDS} for way, found in rounds.items()
    }
    print(
        f"a step of {options.model}, {options.batch} faces, maps of {options.side} x {options.side}, "
        f"precision {options.precision}"
    )
    for way, found in of.items():
        seconds, processor, size = found["seconds"], found["processor"], found["bytes"] / 2**20
        print(f"{way:9} {seconds:6.2f} s, {processor:6.2f} s of processors, {size:6.0f} MiB")
    for name, bound in BOUNDS.items():
        ratios = sorted(m[name] / i[name] for i, m in zip(*rounds.values(), strict=True))
        print(
            f"{name:9} {of['method'][name] / of['identity'][name]:.3f} times (at most {bound}); by round "
            + ", ".join(f"{ratio:.2f}" for ratio in ratios)
        )


if __name__ == "__main__":
    main()
