"""Local matching beside the plain way, einsum and maxima, on the same maps, in one run: time, memory, what it tells.

    .venv/bin/python benchmarks/matching.py                     # 1,000 x 1,000 maps of 512 x 7 x 7: plain needs 11 GB
    .venv/bin/python benchmarks/matching.py --faces 300 --side 14
    .venv/bin/python benchmarks/matching.py --crops data/processed/unseen       # aligned faces of 112 px, by person

Each measurement is a process of its own: the time of one call, and how far memory rises during it. Where plain does not
fit into what is free it takes the probes in several parts, which is told. The verification rates are of real faces and
published weights: photos beside the repository, or --crops; without them that part is left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(path) for path in ROOT.glob("*/src")]
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as the stages set it, for both

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from faceline_core.models.qaconv import QAConv

REAL_DATA = Path(os.environ.get("FACELINE_REAL_DATA", ROOT.parent / "shared/data"))
CHANNELS = {7: 512, 14: 256}
WAYS = ("plain", "ours", "ours in bf16")


def plain(matcher: QAConv, probes: Tensor, galleries: Tensor, parts: int = 1) -> Tensor:
    """Scores (P, G) as the papers' formula reads, all similarities of a part at once."""
    scores = []
    for some in probes.chunk(parts):
        similarity = torch.einsum("gcr,pcq->pgrq", galleries.flatten(2), some.flatten(2))
        best = torch.stack([similarity.amax(2), similarity.amax(3)], 2)
        del similarity
        shape = best.shape
        matches = matcher.bn(best.view(-1, 1, shape[3])).view(-1, shape[3])
        scores.append(matcher.logit_bn(matcher.fc(matches).view(-1, 2).sum(1, keepdim=True)).view(shape[:2]))
    return torch.cat(scores)


def measure(way: str, options: argparse.Namespace) -> None:
    """One call in this process, on a line of JSON; its scores go into a file."""
    channels, side = CHANNELS[options.side], options.side
    matcher = QAConv(channels, side, side).train(options.training)
    random = torch.Generator().manual_seed(0)
    maps = [F.normalize(torch.randn(options.faces, channels, side, side, generator=random), dim=1) for _ in range(2)]
    if options.training:
        maps = [maps[0].requires_grad_(), maps[0].view_as(maps[0])]  # so ours keeps the diagonal, as plain does
    elif way == "ours in bf16":
        maps = [m.bfloat16() for m in maps]
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before, began = _kilobytes("VmRSS"), time.perf_counter()
    with torch.inference_mode(not options.training), torch.autocast("cpu", enabled=options.training and "16" in way):
        scores = plain(matcher, *maps, options.parts) if way == "plain" else matcher(*maps)
        if options.training:
            scores.square().sum().backward()
    took, peak = time.perf_counter() - began, _kilobytes("VmHWM") - before
    np.save(options.scores, scores.detach().numpy())
    print(json.dumps({"seconds": took, "bytes": 1024 * peak}))


def _kilobytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def compare(options: argparse.Namespace, training: bool) -> None:
    """Each way in turn, the rounds interleaved; the fastest of each, and the memory of that."""
    similarities = 4 * options.faces**2 * options.side**4
    available = 1024 * next(int(x.split()[1]) for x in Path("/proc/meminfo").read_text().splitlines() if "Avail" in x)
    parts = 1 if training else max(1, -(-int(1.2 * similarities) // int(0.9 * available)))
    fastest: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.repeats):
            for way in WAYS:
                command = [sys.executable, __file__, "--faces", str(options.faces), "--side", str(options.side)]
                command += ["--measure", way, "--parts", str(parts), "--scores", f"{folder}/{way}.npy"]
                done = subprocess.run(
                    command + ["--training"] * training, check=True, stdout=subprocess.PIPE, text=True
                )
                found = json.loads(done.stdout)
                fastest[way] = min(found, fastest.get(way, found), key=lambda one: one["seconds"])
        scores = {way: np.load(f"{folder}/{way}.npy") for way in WAYS}
    what = "forward and backward, each face against each" if training else f"against {options.faces:,}, eval"
    print(f"{options.faces:,} maps of {CHANNELS[options.side]} x {options.side} x {options.side}, {what}")
    if parts > 1:
        print(f"{available / 2**30:.0f} GiB are free: plain takes the probes in {parts} parts")
    for way, found in fastest.items():
        slower, larger = (fastest["plain"][key] / found[key] for key in ("seconds", "bytes"))
        off = np.abs(scores[way] - scores["plain"]).max()
        print(
            f"{way:13} {found['seconds']:7.2f} s, {slower:5.2f} times as fast; {found['bytes'] / 2**20:7.0f} MiB, "
            f"1/{larger:.1f} of plain; scores differ by {off:.1e}"
        )


def crops_of(folder: Path | None, most: int, size: int = 112) -> tuple[Tensor, np.ndarray] | None:
    """Aligned faces (N, 3, size, size) uint8 and who they are (N,): of a folder, or cut from the real photos."""
    from faceline_core.faces.alignment import align
    from faceline_core.faces.choosing import pick
    from faceline_core.faces.photo import read_photo
    from faceline_detect.detectors import load

    source = folder or REAL_DATA / "recognition/people"
    paths = sorted(source.glob("*/*.jpg"))[:most]
    if not paths:
        return None
    photos = [read_photo(path, 10**8) for path in paths]
    who = np.unique([path.parent.name for path in paths], return_inverse=True)[1]
    if folder is None:
        found = [faces for at in range(0, len(photos), 50) for faces in load("mtcnn").detect(photos[at : at + 50])]
        chosen = [pick(f, "central_largest", p.shape[1], p.shape[0])[:1] for f, p in zip(found, photos, strict=True)]
        who = who[[len(faces) == 1 for faces in chosen]]
        photos = [align(p, face.landmarks, size) for p, faces in zip(photos, chosen, strict=True) for face in faces]
    return torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2), who


def verification_rates(folder: Path | None, most: int) -> None:
    """VR of the untrained matcher on MobileFaceNet's maps, of every pair of faces once."""
    from faceline_core.models.recogniser import Parts, Recogniser
    from faceline_core.models.weights import load_backbone_weights
    from faceline_core.verification.rates import vr_at_far

    weights = REAL_DATA / "weights/mobilefacenet_foamliu.pt"
    faces = crops_of(folder, most) if weights.is_file() else None
    if faces is None:
        print(f"verification rates: left out, no faces or no weights under {folder or REAL_DATA}")
        return
    images, who = faces
    recogniser = Recogniser("mobilefacenet", 112, ["a", "b"], parts=Parts(matcher=True)).eval()
    load_backbone_weights(recogniser.backbone, recogniser.spec, str(weights), ROOT, strict=True)
    with torch.inference_mode():
        maps = torch.cat([recogniser.see(some).maps for some in images.split(64)])
        pairs = np.triu_indices(len(maps), 1)
        same = who[pairs[0]] == who[pairs[1]]
        scores = {
            "plain": plain(recogniser.matcher, maps, maps, parts=len(maps) // 50 + 1),
            "ours": recogniser.matcher(maps, maps),
            "ours in bf16": recogniser.matcher(maps.bfloat16(), maps.bfloat16()),
        }
    print(f"VR on {len(maps):,} real faces, {same.sum():,} genuine and {(~same).sum():,} impostor pairs")
    for way, values in scores.items():
        rates = [(far, vr_at_far(values.numpy()[pairs], same, far).vr) for far in (1e-2, 1e-3)]
        print(f"{way:13} " + ", ".join(f"{vr:.4f} at FAR {far:g}" for far, vr in rates if vr is not None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=1000, help="on either side, and the most real ones")
    parser.add_argument("--side", type=int, default=7, choices=CHANNELS)
    parser.add_argument("--batch", type=int, default=64, help="of the training step")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--crops", type=Path, help="a folder of aligned faces, a folder a person")
    parser.add_argument("--measure", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--training", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--parts", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--scores", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options)
        return
    compare(options, training=False)
    verification_rates(options.crops, options.faces)
    options.faces = options.batch
    compare(options, training=True)


if __name__ == "__main__":
    main()
