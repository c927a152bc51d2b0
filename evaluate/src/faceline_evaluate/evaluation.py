"""The evaluate stage: a checkpoint and the faces it has not been trained on to metrics, tables and pictures."""

from pathlib import Path
from typing import Any

import numpy as np

from faceline_core.data.part import Part, sources_of
from faceline_core.data.protocol import FaceSet
from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import load_recogniser
from faceline_core.parameters import StageParameters
from faceline_core.parameters.schema import Evaluate
from faceline_core.stage.files import replaced_folder, sha256_of, write_json
from faceline_core.stage.progress import say
from faceline_core.verification.drawn_pairs import draw_people
from faceline_evaluate.comparing import EMBEDDING, Compared, by_embeddings, compare
from faceline_evaluate.devices import find_device
from faceline_evaluate.inference import Recognised, recognise
from faceline_evaluate.known import classification, person_rows
from faceline_evaluate.people import find_people
from faceline_evaluate.pictures import draw_confusion
from faceline_evaluate.report import report
from faceline_evaluate.tables import write_table
from faceline_evaluate.unknown import known_shares, part_figures, predicted_visibility, unknown_figures
from faceline_evaluate.verification import Verification
from faceline_evaluate.visibility_picture import chosen_faces, draw_visibility
from faceline_evaluate.weights import check_weights, find_statistics
from faceline_evaluate.written_pairs import write_pairs


def evaluate(
    parameters: StageParameters,
    processed: Path = Path("data/processed"),
    artifacts: Path = Path("artifacts"),
    split: str | None = None,
    checkpoint: Path | None = None,
    output: Path | None = None,
    embedding_weight: float | None = None,
    local_weight: float | None = None,
) -> dict[str, Any]:
    """Measures a checkpoint: known people on `test` (or `val`), unknown ones on `unseen`.

    Thresholds are chosen on `unseen_val`, which holds other people than `unseen`, and applied to both sets that are
    reported. Where preprocess held nobody back, only known people are measured; where the checkpoint knows nobody of
    the split, only unknown ones. Unknown people are measured by embedding, and where the recogniser has a matcher by
    that, and by both.

    Args:
        parameters: what faceline_evaluate.KEYS names.
        processed: the folder that preprocess wrote.
        artifacts: the folder that train wrote to.
        split: val or test: where photos of the known people lie. None is test.
        checkpoint: the recogniser's file. None is the best of `artifacts`.
        output: the folder for `metrics.json` and `evaluate/`. None is `artifacts`, but where `split`, `checkpoint` or a
            weight is given one below `<artifacts>/evaluations`, which leaves the stage's own results as they are.
        embedding_weight: of the embeddings in the sum of both scores. None takes the checkpoint's.
        local_weight: that of the matcher.

    Returns:
        What metrics.json holds.

    Raises:
        FacelineError: where the checkpoint or a split is missing or does not do, where `output` does not do, and where
            weights are no weights or there is nothing to weigh.
    """
    check_weights(embedding_weight, local_weight)
    file, name = checkpoint or artifacts / "checkpoints/best_model.pth", split or "test"
    weights = {"embedding": embedding_weight, "local": local_weight}
    asked = "".join(f"_{score}{weight:g}" for score, weight in weights.items() if weight is not None)
    beside_the_stage = artifacts / "evaluations" / f"{file.stem}_{name}{asked}"
    output = output or (artifacts if split is None and checkpoint is None and not asked else beside_the_stage)
    _check_output(output, artifacts, weighed=bool(asked))
    device, settings, seed = find_device(), parameters.evaluate, parameters.seed
    recogniser, content = load_recogniser(file)
    recogniser.to(device)
    statistics = find_statistics(recogniser, content, file, embedding_weight, local_weight)
    people = find_people(processed, name, content["classes"], recogniser.img_size, file)
    faces = ", ".join(f"{len(those)} {which} faces" for which, those in people.named(name).items())
    say("evaluate", f"{file}: {faces}, {device}")

    metrics: dict[str, Any] = {}
    if people.known is not None:
        known = recognise(recogniser, people.known, device, settings.flip)
        metrics[name] = classification(people.known.labels, known.probabilities, people.known.classes)
    metrics["checkpoint"] = {"sha256": sha256_of(file)} | {key: content[key] for key in ("epoch", "monitor", "best")}
    chosen, unknown = {EMBEDDING: {}}, None
    if people.unknown:

        def compared(which: str) -> Compared:
            return compare(recogniser, people.unknown[which], processed / which, statistics, device, settings, seed)

        choosing = compared("unseen_val").by
        chosen = {score: verification.thresholds(settings.fars) for score, verification in choosing.items()}
        unknown = compared("unseen")
        shares = known_shares(unknown)
        metrics |= unknown_figures(unknown, chosen, settings, seed)
        of_choosing = choosing[EMBEDDING].figures(settings.fars, {}, 0, seed)
        metrics["unseen_val"] = {key: value for key, value in of_choosing.items() if key != "vr"}
        metrics |= part_figures(unknown, shares, recogniser, statistics, settings, seed)
    verified = None
    if people.known is not None:
        verified = _verified(people.known, known, processed / name, settings, seed)
        if verified is None:
            say("evaluate", f"{name} holds one person, or one photo of each: known people are not compared in pairs")
        else:
            figures = verified.figures(settings.fars, chosen[EMBEDDING], settings.bootstrap, seed)
            metrics[name]["verification"] = figures

    with replaced_folder(output / "evaluate") as folder:
        if people.known is not None:
            _write_known(folder, name, people.known, known)
        by = {} if unknown is None else unknown.by
        write_pairs(folder, by, chosen, None if verified is None else (name, verified), settings.fars)
        if "unseen_visibility" in metrics:
            draw_visibility(
                folder / "visibility.png", unknown.faces, predicted_visibility(unknown), chosen_faces(shares)
            )
    write_json(output / "metrics.json", metrics)
    report(metrics, name, settings.fars, output)
    return metrics


def _check_output(output: Path, artifacts: Path, weighed: bool) -> None:
    if not next(place for place in (output, *output.parents) if place.exists()).is_dir():
        raise FacelineError(f"--output {output}: a folder was expected, it is a file or lies in one. Name another")
    if weighed and output.resolve() == artifacts.resolve():
        raise FacelineError(
            f"--output {output}: its metrics.json gives the thresholds that export passes on with the checkpoint's own "
            "weights, not those of --embedding-weight and --local-weight. Name another folder, or none"
        )


def _verified(faces: FaceSet, seen: Recognised, where: Path, settings: Evaluate, seed: int) -> Verification | None:
    """Known people in pairs, by their embeddings; None where they give no pairs of one person and of two."""
    people = len(set(faces.labels))
    photos = len(set(zip(faces.labels, sources_of(faces), strict=True)))
    if not 1 < people < photos:
        return None
    kept = draw_people(faces.labels, settings.max_faces, np.random.default_rng(seed))
    return by_embeddings(Part(faces, kept.tolist()), seen.embeddings[kept], where)


def _write_known(folder: Path, name: str, faces: FaceSet, seen: Recognised) -> None:
    predicted = seen.probabilities.argmax(axis=1)
    confusion = [
        {"actual": faces.classes[actual], "predicted": faces.classes[guess]}
        for actual, guess in zip(faces.labels, predicted, strict=True)
    ]
    write_table(folder / "confusion.csv", confusion)
    write_table(folder / "people.csv", person_rows(faces.labels, seen.probabilities, faces.classes))
    draw_confusion(folder / "confusion.png", name, faces.labels, predicted, faces.classes)
