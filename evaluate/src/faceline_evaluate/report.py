"""The lines at the end of the stage."""

from pathlib import Path
from typing import Any

from faceline_core.stage.progress import say
from faceline_evaluate.verification import far_name

_FEW_PEOPLE = 10
"""Below this the stage says that its thresholds hang on a few people."""


def report(metrics: dict[str, Any], split: str, fars: list[float], output: Path) -> None:
    """Says what metrics.json holds.

    Args:
        metrics: the figures.
        split: where photos of the known people were taken from.
        fars: the false accept rates.
        output: the folder that was written to.
    """
    if split in metrics:
        known = metrics[split]
        say(
            "evaluate",
            f"known people: accuracy {known['accuracy']:.3f} [{known['accuracy_low']:.3f}, "
            f"{known['accuracy_high']:.3f}], macro F1 {known['macro_f1']:.3f} ({known['faces']} {split} faces of "
            f"{known['people']} people)",
        )
    if "unseen" in metrics:
        _report_unseen(metrics["unseen"], metrics["unseen_val"]["people"], fars)
    say("evaluate", f"figures: {output / 'metrics.json'}, tables and pictures: {output / 'evaluate'}")


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
