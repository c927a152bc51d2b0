"""What each part of the occlusion-aware method brings, on drawn people that no training saw, and on real photos.

    .venv/bin/python benchmarks/occlusion_ablation.py --folder ../ablation            # the whole of it: 1 to 2 hours
    .venv/bin/python benchmarks/occlusion_ablation.py --folder ../ablation --variants identity --seeds 1

Every variant is recipes/occlusion_aware_small.yaml with the parts of the loss that it lacks set to 0, trained on the
same faces with the same seeds. Training draws medical masks and scarves over faces; the test draws these, and apart
from them sunglasses, hands and veils. Each group of pairs has its own threshold. Intervals are of 95 %, by resampling
people; differences are of the same resampled people, after the rates are averaged over the seeds. What was trained and
scored stays in the folder: a benchmark that was stopped goes on from there.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = [str(path) for path in ROOT.glob("*/src")]
sys.path[:0] = SOURCES
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import numpy as np
import torch
import yaml
from matching import crops_of
from numpy.typing import NDArray

from faceline_core.data.processed import has_split, open_processed
from faceline_core.models.checkpoint import load_recogniser
from faceline_core.models.pair_scores import see_faces
from faceline_core.occluders.aligned import occlude_aligned
from faceline_core.verification.combining import statistics_from
from faceline_core.verification.intervals import vr_differences

RECIPE = ROOT / "recipes/occlusion_aware_small.yaml"
TEST_SEED, TEST_PEOPLE, TEST_PHOTOS, REAL_PHOTOS = 1043, 100, 8, 4
FARS, RESAMPLES = (1e-2, 1e-3), 500
SEEN, OTHER = ("medical_mask", "scarf"), ("sunglasses", "hand", "veil")

IDENTITY = {"loss_weights.local": 0.0, "loss_weights.occlusion": 0.0}
VARIANTS: dict[str, dict[str, object]] = {
    "identity": {**IDENTITY, "augment.occlude": 0.0},
    "+ mask augmentation": IDENTITY,
    "+ local matching": {"loss_weights.occlusion": 0.0},
    "+ occlusion head": {},
    "masked visibility": {"local.visibility": "masked"},
}
STEPS = ["identity", "+ mask augmentation", "+ local matching", "+ occlusion head"]

Faces = NDArray[np.uint8]


@dataclass(frozen=True)
class Group:
    """Pairs (i, j) of faces, i on one side and j on the other, both by their place in the list of people."""

    one: str
    """Which faces are on one side: clear, or a kind of occlusion."""
    other: str


GROUPS = {
    "clear": Group("clear", "clear"),
    "one face in a mask or scarf": Group("seen", "clear"),
    "one face behind glasses, hand or veil": Group("other", "clear"),
    "both in a mask or scarf": Group("seen", "seen"),
    "both behind glasses, hand or veil": Group("other", "other"),
}


def run(module: str, folder: Path) -> None:
    """A stage, in a folder of its own."""
    environment = {**os.environ, "PYTHONPATH": ":".join(SOURCES)}
    with (folder / f"{module}.log").open("w") as log:
        done = subprocess.run([sys.executable, "-m", module], cwd=folder, env=environment, stderr=log, check=False)
    if done.returncode:
        sys.exit(f"{module} failed: {folder / module}.log")


def write_parameters(folder: Path, changes: dict[str, object]) -> None:
    """The recipe with some changes, as params.yaml of a folder."""
    parameters = yaml.safe_load(RECIPE.read_text())
    for key, value in changes.items():
        *path, last = key.split(".")
        section = parameters
        for name in path:
            section = section[name]
        section[last] = value
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(parameters, sort_keys=False))
    (folder / "models.yaml").write_bytes((ROOT / "models.yaml").read_bytes())


def draw(folder: Path, changes: dict[str, object]) -> Path:
    """People, drawn and cut into aligned faces, unless they are there."""
    if not (folder / "data/processed").is_dir():
        write_parameters(folder, changes)
        run("faceline_sample", folder)
        run("faceline_preprocess", folder)
    return folder / "data/processed"


def train(variant: str, seed: int, folder: Path, data: Path) -> Path:
    """The best checkpoint of a variant, trained unless it is there."""
    own = folder / f"{variant.replace('+ ', '').replace(' ', '_')}_{seed}"
    best = own / "artifacts/checkpoints/best_model.pth"
    if not best.is_file():
        own_settings = {"seed": seed, "dataset.path": str(data), "trainer.precision": "bf16", "logging.refresh_rate": 0}
        write_parameters(own, VARIANTS[variant] | own_settings)
        run("faceline_train", own)
    return best


def faces_of(data: Path, size: int) -> tuple[Faces, NDArray[np.int64]]:
    """All faces of a processed data set (N, S, S, 3), whatever the split, by person, and who they are (N,)."""
    splits = ("test", "train", "unseen", "unseen_val", "val")
    sets = [open_processed(data, split, size) for split in splits if has_split(data, split)]
    names = [faces.classes[label] for faces in sets for label in faces.labels]
    pictures = np.stack([faces.face(index) for faces in sets for index in range(len(faces))])
    order = np.argsort(names, kind="stable")
    return pictures[order], np.unique(names, return_inverse=True)[1][order]


def few_of_each(faces: Faces, who: NDArray[np.int64], most: int) -> tuple[Faces, NDArray[np.int64]]:
    """The first faces of each person, who are sorted."""
    kept = np.arange(len(who)) - np.searchsorted(who, who) < most
    return faces[kept], who[kept]


def occluded(faces: Faces, kinds: tuple[str, ...]) -> Faces:
    """Each face behind one of some occluders."""
    seed = len(kinds)
    return np.stack([occlude_aligned(f, kinds, np.random.default_rng([seed, i]))[0] for i, f in enumerate(faces)])


def pairs_of(faces: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each two faces once, as the matrix of scores holds them above its diagonal."""
    return np.triu_indices(faces, 1)


@torch.inference_mode()
def score(checkpoint: Path, sides: dict[str, Faces], groups: list[str], keep: Path) -> dict[str, NDArray[np.float32]]:
    """Scores (P,): `group/embedding`, and where there is a matcher `group/local` and `group/combined`."""
    if keep.is_file():
        return dict(np.load(keep))
    recogniser, content = load_recogniser(checkpoint)
    recogniser.eval()
    seen = {name: see_faces(recogniser, list(faces)) for name, faces in sides.items()}
    scores: dict[str, NDArray[np.float32]] = {}
    for name in groups:
        group = GROUPS[name]
        one, other = seen[group.one], seen[group.other]
        above = pairs_of(len(one.unit))
        scores[f"{name}/embedding"] = (one.unit @ other.unit.T).numpy()[above]
        if recogniser.matcher is not None:
            local = recogniser.matcher(one.maps, other.maps, one.visibility, other.visibility)
            scores[f"{name}/local"] = local.numpy()[above]
            statistics = statistics_from(content["score_statistics"])
            scores[f"{name}/combined"] = statistics.combined(scores[f"{name}/embedding"], scores[f"{name}/local"])
    np.savez(keep, **{name: values.astype(np.float32) for name, values in scores.items()})
    return scores


def chosen_kind(scores: dict[str, NDArray[np.float32]], kind: str | None = None) -> str:
    """What a variant is measured by: both scores together, where there are two."""
    return kind or ("combined" if "clear/combined" in scores else "embedding")


def compared(
    before: list[dict[str, NDArray[np.float32]]],
    after: list[dict[str, NDArray[np.float32]]],
    who: NDArray[np.int64],
    kinds: tuple[str | None, str | None] = (None, None),
) -> dict[str, list[dict[str, object]]]:
    """By group and FAR: the rates of two variants, each with its interval, and their difference."""
    first, second = pairs_of(len(who))
    people = np.stack([who[first], who[second]], 1)
    found: dict[str, list[dict[str, object]]] = {}
    for group in [name for name in GROUPS if f"{name}/embedding" in before[0]]:
        sides = [
            [scores[f"{group}/{chosen_kind(scores, kind)}"] for scores in those]
            for those, kind in zip((before, after), kinds, strict=True)
        ]
        found[group] = []
        for each in vr_differences(*sides, people, FARS, RESAMPLES, seed=0):
            row: dict[str, object] = {"far": each.far, "pairs": [each.genuine_pairs, each.impostor_pairs]}
            for name in ("before", "after", "difference"):
                estimate = getattr(each, name)
                row[name] = None if estimate is None else [estimate.value, estimate.low, estimate.high]
            found[group].append(row)
    return found


def table(title: str, columns: dict[str, dict[str, list[dict[str, object]]]], name: str) -> None:
    """Markdown: a row for each group and FAR, a column for each of `columns`."""
    print(f"\n{title}\n\n| pairs | FAR | " + " | ".join(columns) + " |")
    print("|---|---|" + "---|" * len(columns))
    for group in next(iter(columns.values())):
        for place, far in enumerate(FARS):
            cells = [_cell(found[group][place][name], name == "difference") for found in columns.values()]
            print(f"| {group} | {far:g} | " + " | ".join(cells) + " |")


def _cell(estimate: object, signed: bool) -> str:
    if estimate is None:
        return "-"
    assert isinstance(estimate, list)
    value, low, high = (100 * number for number in estimate)
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]" if signed else f"{value:.1f} [{low:.1f}, {high:.1f}]"


def report(
    scored: dict[str, list[dict[str, NDArray[np.float32]]]], who: NDArray[np.int64], title: str, folder: Path
) -> None:
    """Tables of the rates and of the differences, printed and kept."""
    rates, differences = {}, {}
    for variant, scores in scored.items():
        for kind in ("embedding", "local", "combined"):
            if f"clear/{kind}" in scores[0]:
                rates[f"{variant}, {kind}"] = compared(scores, scores, who, (kind, kind))
    order = [variant for variant in STEPS if variant in scored]
    for before, after in pairwise(order):
        differences[f"{after} - {before.replace('+ ', '')}"] = compared(scored[before], scored[after], who)
    if len(order) > 2:
        differences[f"{order[-1]} - {order[0]}"] = compared(scored[order[0]], scored[order[-1]], who)
    if "masked visibility" in scored and "+ occlusion head" in scored:
        differences["masked - scaling"] = compared(scored["+ occlusion head"], scored["masked visibility"], who)
    print(f"\n## {title}: {len(who)} faces of {len(np.unique(who))} people")
    table("VR in %, mean over the seeds", rates, "after")
    table("Difference in VR, percentage points", differences, "difference")
    name = title.replace(" ", "_").lower()
    (folder / f"{name}.json").write_text(json.dumps({"rates": rates, "differences": differences}, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="for data, runs and scores")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    folder = options.folder.resolve()
    data = draw(folder / "drawn", {})
    test = draw(
        folder / "test",
        {"seed": TEST_SEED, "sample.people": TEST_PEOPLE, "sample.photos": TEST_PHOTOS, "preprocess.min_photos": 1},
    )
    trained = {(v, s): train(v, s, folder / "runs", data) for s in options.seeds for v in options.variants}
    size = yaml.safe_load(RECIPE.read_text())["img_size"]
    sets = {"Drawn people": faces_of(test, size)}
    real = crops_of(None, 10**6, size)
    if real is None:
        print("real photos: left out, there are none")
    else:
        sets["Real photos"] = (real[0].permute(0, 2, 3, 1).numpy(), real[1])
    for title, found in sets.items():
        faces, who = few_of_each(*found, TEST_PHOTOS if title == "Drawn people" else REAL_PHOTOS)
        sides = {"clear": faces, "seen": occluded(faces, SEEN), "other": occluded(faces, OTHER)}
        groups = [name for name, group in GROUPS.items() if title == "Drawn people" or group.other == "clear"]
        scored = {
            v: [score(trained[v, s], sides, groups, trained[v, s].parents[2] / f"{title}.npz") for s in options.seeds]
            for v in options.variants
        }
        report(scored, who, title, folder)


if __name__ == "__main__":
    main()
