"""The evaluate stage: a checkpoint and the faces it has not been trained on to metrics, tables and pictures."""

import math
from pathlib import Path
from typing import Any

from faceline_core.data.split import Split
from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import load_recogniser
from faceline_core.parameters import StageParameters
from faceline_core.stage.files import replaced_folder, sha256_of, write_json
from faceline_core.stage.progress import say
from faceline_evaluate.devices import find_device
from faceline_evaluate.inference import Recognised, recognise
from faceline_evaluate.known import classification, person_rows
from faceline_evaluate.people import find_people
from faceline_evaluate.pictures import draw_confusion, draw_roc, draw_scores
from faceline_evaluate.report import report
from faceline_evaluate.tables import roc_rows, score_rows, write_table
from faceline_evaluate.verification import Verification, far_name


def evaluate(
    parameters: StageParameters,
    processed: Path = Path("data/processed"),
    artifacts: Path = Path("artifacts"),
    split: str | None = None,
    checkpoint: Path | None = None,
    output: Path | None = None,
) -> dict[str, Any]:
    """Measures a checkpoint: known people on `test` (or `val`), unknown ones on `unseen`.

    Thresholds are chosen on `unseen_val`, which holds other people than `unseen`, and applied to both sets that are
    reported. Where preprocess held nobody back, only known people are measured; where the checkpoint knows nobody of
    the split, only unknown ones.

    Args:
        parameters: what faceline_evaluate.KEYS names.
        processed: the folder that preprocess wrote.
        artifacts: the folder that train wrote to.
        split: val or test: where photos of the known people lie. None is test.
        checkpoint: the recogniser's file. None is the best of `artifacts`.
        output: the folder for `metrics.json` and `evaluate/`. None is `artifacts`, but where `split` or `checkpoint`
            is given `<artifacts>/evaluations/<checkpoint>_<split>`, which leaves the stage's own results as they are.

    Returns:
        What metrics.json holds.

    Raises:
        FacelineError: where the checkpoint or a split is missing or does not do, and where `output` is no folder.
    """
    file, name = checkpoint or artifacts / "checkpoints/best_model.pth", split or "test"
    beside_the_stage = artifacts / "evaluations" / f"{file.stem}_{name}"
    output = output or (artifacts if split is None and checkpoint is None else beside_the_stage)
    if not next(place for place in (output, *output.parents) if place.exists()).is_dir():
        raise FacelineError(f"--output {output}: a folder was expected, it is a file or lies in one. Name another")
    device = find_device()
    recogniser, content = load_recogniser(file)
    recogniser.to(device)
    people = find_people(processed, name, content["classes"], file)
    splits = people.named(name)
    faces = ", ".join(f"{len(those.paths)} {which} faces" for which, those in splits.items())
    say("evaluate", f"{file}: {faces}, {device}")
    seen = {which: recognise(recogniser, those, device) for which, those in splits.items()}
    if people.known is not None and not _comparable(people.known):
        say("evaluate", f"{name} holds one person, or one photo of each: known people are not compared in pairs")
        del splits[name]
    verified = {which: _verification(those, seen[which], parameters) for which, those in splits.items()}

    settings = parameters.evaluate
    chosen = verified["unseen_val"].thresholds(settings.fars) if people.unknown else {}
    figures = {
        which: verification.figures(
            settings.fars, {} if which == "unseen_val" else chosen, settings.bootstrap, parameters.seed
        )
        for which, verification in verified.items()
    }
    metrics: dict[str, Any] = {}
    if people.known is not None:
        metrics[name] = classification(people.known.labels, seen[name].probabilities, people.known.classes)
        metrics[name] |= {"verification": figures[name]} if name in figures else {}
    metrics["checkpoint"] = {"sha256": sha256_of(file)} | {key: content[key] for key in ("epoch", "monitor", "best")}
    if people.unknown:
        metrics["unseen"] = figures["unseen"]
        metrics["unseen_val"] = {key: value for key, value in figures["unseen_val"].items() if key != "vr"}
    with replaced_folder(output / "evaluate") as folder:
        if people.known is not None:
            _write_known(folder, name, people.known, seen[name])
        _write_pairs(folder, {which: verified[which] for which in ("unseen", name) if which in verified}, settings.fars)
        if people.unknown:
            far = min(settings.fars, key=lambda rate: abs(math.log10(rate) + 2))  # the one nearest to 1e-2 is drawn
            draw_scores(
                folder / "scores.png", "people never trained on", verified["unseen"], chosen[far_name(far)], far
            )
    write_json(output / "metrics.json", metrics)
    report(metrics, name, settings.fars, output)
    return metrics


def _comparable(split: Split) -> bool:
    """Whether it gives pairs of one person and of two."""
    people = len(set(split.labels))
    return 1 < people < len(set(split.sources))


def _verification(split: Split, seen: Recognised, parameters: StageParameters) -> Verification:
    return Verification(split, seen.embeddings, parameters.evaluate.max_faces, parameters.seed)


def _write_known(folder: Path, name: str, split: Split, seen: Recognised) -> None:
    predicted = seen.probabilities.argmax(axis=1)
    confusion = [
        {"actual": split.classes[actual], "predicted": split.classes[guess]}
        for actual, guess in zip(split.labels, predicted, strict=True)
    ]
    write_table(folder / "confusion.csv", confusion)
    write_table(folder / "people.csv", person_rows(split.labels, seen.probabilities, split.classes))
    draw_confusion(folder / "confusion.png", name, split.labels, predicted, split.classes)


def _write_pairs(folder: Path, reported: dict[str, Verification], fars: list[float]) -> None:
    for which, verification in reported.items():
        suffix = "" if which == "unseen" else f"_{which}"
        pairs = verification.pairs
        write_table(folder / f"roc{suffix}.csv", roc_rows(verification.curve))
        write_table(folder / f"scores{suffix}.csv", score_rows(pairs.genuine, pairs.impostor))
    if reported:
        draw_roc(folder / "roc.png", reported, fars)
