"""The evaluate stage: a checkpoint and the faces it has not been trained on to metrics, tables and pictures."""

import math
from pathlib import Path
from typing import Any

import torch

from faceline_core.data.split import Split, read_split
from faceline_core.models.checkpoint import load_recogniser
from faceline_core.parameters import StageParameters
from faceline_core.stage.files import replaced_folder, sha256_of, write_json
from faceline_core.stage.progress import say
from faceline_evaluate.inference import Recognised, recognise
from faceline_evaluate.known import classification, person_rows
from faceline_evaluate.pictures import draw_confusion, draw_roc, draw_scores
from faceline_evaluate.tables import roc_rows, score_rows, write_table
from faceline_evaluate.verification import Verification, far_name

_UNKNOWN = ("unseen_val", "unseen")
_FEW_PEOPLE = 10
"""Below this the stage says that its thresholds hang on a few people."""


def evaluate(
    parameters: StageParameters, processed: Path = Path("data/processed"), artifacts: Path = Path("artifacts")
) -> dict[str, Any]:
    """Measures the best checkpoint: known people on `test`, unknown ones on `unseen`.

    Thresholds are chosen on `unseen_val`, which holds other people than `unseen`, and applied to both sets that are
    reported. Where preprocess held nobody back, only known people are measured. Writes `metrics.json` and `evaluate/`
    below `artifacts`.

    Args:
        parameters: what faceline_evaluate.KEYS names.
        processed: the folder that preprocess wrote.
        artifacts: the folder that train wrote to.

    Returns:
        What metrics.json holds.

    Raises:
        FacelineError: where the checkpoint or a split is missing or does not do.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    checkpoint_file = artifacts / "checkpoints/best_model.pth"
    recogniser, checkpoint = load_recogniser(checkpoint_file)
    recogniser.to(device)
    test = read_split(processed, "test", checkpoint["classes"])
    held_back = any((processed / name).is_dir() for name in _UNKNOWN)
    splits = {name: read_split(processed, name) for name in _UNKNOWN} if held_back else {}
    splits["test"] = test
    say("evaluate", ", ".join(f"{len(split.paths)} {name} faces" for name, split in splits.items()) + f", {device}")
    seen = {name: recognise(recogniser, split, device) for name, split in splits.items()}
    if not held_back:
        say(
            "evaluate",
            "nobody is held back (that takes six people): unknown people go unmeasured, no threshold is chosen",
        )
    if len(set(test.labels)) == 1 or len(set(test.sources)) == len(set(test.labels)):
        say("evaluate", "test holds one person, or one photo of each: known people are not compared in pairs")
        del splits["test"]
    verified = {name: _verification(split, seen[name], parameters) for name, split in splits.items()}

    settings = parameters.evaluate
    chosen = verified["unseen_val"].thresholds(settings.fars) if held_back else {}
    figures = {
        name: verified[name].figures(
            settings.fars, {} if name == "unseen_val" else chosen, settings.bootstrap, parameters.seed
        )
        for name in splits
    }
    known = classification(test.labels, seen["test"].probabilities, test.classes)
    metrics = {
        "test": known | ({"verification": figures["test"]} if "test" in figures else {}),
        "checkpoint": {
            "sha256": sha256_of(checkpoint_file),
            "epoch": checkpoint["epoch"],
            "best_val_acc": checkpoint["best_val_acc"],
        },
    }
    if held_back:
        metrics["unseen"] = figures["unseen"]
        metrics["unseen_val"] = {name: value for name, value in figures["unseen_val"].items() if name != "vr"}
    with replaced_folder(artifacts / "evaluate") as folder:
        _write(folder, test, seen["test"], verified, chosen, settings.fars)
    write_json(artifacts / "metrics.json", metrics)
    _report(metrics, settings.fars)
    return metrics


def _verification(split: Split, seen: Recognised, parameters: StageParameters) -> Verification:
    return Verification(split, seen.embeddings, parameters.evaluate.max_faces, parameters.seed)


def _write(
    folder: Path,
    test: Split,
    seen: Recognised,
    verified: dict[str, Verification],
    chosen: dict[str, float | None],
    fars: list[float],
) -> None:
    predicted = seen.probabilities.argmax(axis=1)
    confusion = [
        {"actual": test.classes[actual], "predicted": test.classes[guess]}
        for actual, guess in zip(test.labels, predicted, strict=True)
    ]
    write_table(folder / "confusion.csv", confusion)
    write_table(folder / "people.csv", person_rows(test.labels, seen.probabilities, test.classes))
    reported = {name: verified[name] for name in ("unseen", "test") if name in verified}
    for name, verification in reported.items():
        suffix = "" if name == "unseen" else f"_{name}"
        pairs = verification.pairs
        write_table(folder / f"roc{suffix}.csv", roc_rows(verification.curve))
        write_table(folder / f"scores{suffix}.csv", score_rows(pairs.genuine, pairs.impostor))
    if reported:
        draw_roc(folder / "roc.png", reported, fars)
    if "unseen" in reported:
        _draw_unseen(folder, reported["unseen"], chosen, fars)
    draw_confusion(folder / "confusion.png", test.labels, predicted, test.classes)


def _draw_unseen(folder: Path, unseen: Verification, chosen: dict[str, float | None], fars: list[float]) -> None:
    far = min(fars, key=lambda rate: abs(math.log10(rate) + 2))  # the one nearest to 1e-2 is drawn
    draw_scores(folder / "scores.png", "people never trained on", unseen, chosen[far_name(far)], far)


def _report(metrics: dict[str, Any], fars: list[float]) -> None:
    test, unseen = metrics["test"], metrics.get("unseen")
    say(
        "evaluate",
        f"known people: accuracy {test['accuracy']:.3f} [{test['accuracy_low']:.3f}, {test['accuracy_high']:.3f}], "
        f"macro F1 {test['macro_f1']:.3f} ({test['faces']} test faces of {test['people']} people)",
    )
    if unseen is not None:
        _report_unseen(unseen, metrics["unseen_val"]["people"], fars)
    say("evaluate", "figures: artifacts/metrics.json, tables and pictures: artifacts/evaluate")


def _report_unseen(unseen: dict[str, Any], choosing_people: int, fars: list[float]) -> None:
    say(
        "evaluate",
        f"unknown people: AUC {unseen['auc']:.4f}, EER {unseen['eer']:.4f} ({unseen['people']} people, "
        f"{unseen['genuine_pairs']} genuine and {unseen['impostor_pairs']} impostor pairs)",
    )
    fewest = min(unseen["people"], choosing_people)
    if fewest < _FEW_PEOPLE:
        say(
            "evaluate",
            f"note: {unseen['people']} people measured, thresholds chosen on {choosing_people}: too few to rely on a "
            "threshold. Hold more people back: preprocess.unseen_identities, or more people",
        )
    for far in fars:
        say("evaluate", f"  FAR {far:g}: " + _rate_line(unseen["vr"][far_name(far)], unseen["impostor_pairs"]))


def _rate_line(rate: dict[str, Any], impostor_pairs: int) -> str:
    if not rate["resolvable"]:
        return f"cannot be resolved by {impostor_pairs} impostor pairs"
    line = f"VR {rate['vr']:.3f}"
    if rate["vr_low"] is not None:
        line += f" [{rate['vr_low']:.3f}, {rate['vr_high']:.3f}]"
    if "chosen_threshold" in rate:
        line += (
            f"; at {rate['chosen_threshold']:.3f}, chosen on unseen_val: "
            f"FAR {rate['far_at_chosen']:.4f}, VR {rate['vr_at_chosen']:.3f}"
        )
    return line
