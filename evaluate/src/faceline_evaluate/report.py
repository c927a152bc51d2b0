"""The lines at the end of the stage."""

from pathlib import Path
from typing import Any

from faceline_core.stage.progress import say
from faceline_evaluate.comparing import COMBINED, EMBEDDING, SPOKEN
from faceline_evaluate.occlusion import GROUPS
from faceline_evaluate.unknown import named
from faceline_evaluate.verification import far_name, far_to_show

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
        _report_unseen(metrics, fars)
    if "unseen_occlusion" in metrics:
        _report_occlusion(metrics["unseen_occlusion"], far_to_show(fars))
    if "unseen_visibility" in metrics:
        _report_visibility(metrics["unseen_visibility"])
    if "unseen_identification" in metrics:
        _report_identification(metrics["unseen_identification"])
    say("evaluate", f"figures: {output / 'metrics.json'}, tables and pictures: {output / 'evaluate'}")


def _report_unseen(metrics: dict[str, Any], fars: list[float]) -> None:
    several = "unseen_local" in metrics
    for score, name in SPOKEN.items():
        if named(score) in metrics:
            unseen = metrics[named(score)]
            how = f" by {name}" if several else ""
            if score == COMBINED:
                how += f" ({_weights(metrics['score_weights'])})"
            say(
                "evaluate",
                f"unknown people{how}: AUC {unseen['auc']:.4f}, EER {unseen['eer']:.4f} ({unseen['people']} people, "
                f"{unseen['genuine_pairs']} genuine and {unseen['impostor_pairs']} impostor pairs)",
            )
            if score == EMBEDDING:
                _note_few_people(unseen["people"], metrics["unseen_val"]["people"])
            for far in fars:
                line = _rate_line(unseen["vr"][far_name(far)], unseen["impostor_pairs"])
                say("evaluate", f"  FAR {far:g}: {line}")
    for far in fars if "unseen_combined" in metrics else ():
        gain = metrics["unseen_combined_minus_embedding"][far_name(far)]
        if gain["resolvable"]:
            say("evaluate", f"  FAR {far:g}: VR by both less VR by embedding {_gain(gain)}")


def _note_few_people(measured: int, choosing: int) -> None:
    if min(measured, choosing) < _FEW_PEOPLE:
        say(
            "evaluate",
            f"note: {measured} people measured, thresholds chosen on {choosing}: too few to rely on a "
            "threshold. Hold more people back: preprocess.unseen_identities, or more people",
        )


def _report_occlusion(occlusion: dict[str, Any], far: float) -> None:
    counts = ", ".join(f"{occlusion[f'{kind}_faces']} {kind}" for kind in ("clear", "occluded", "unknown"))
    say("evaluate", f"occlusion ({counts} faces), VR at FAR {far:g} among the pairs of each kind:")
    for group in GROUPS:
        figures = occlusion[group]
        rates = {name: figures[score]["vr"][far_name(far)] for score, name in SPOKEN.items() if score in figures}
        said = ", ".join(f"{name} {_rate(rate)}" for name, rate in rates.items())
        pairs = f"{figures['genuine_pairs']} genuine, {figures['impostor_pairs']} impostor"
        say("evaluate", f"  {group} occluded ({pairs}): {said}")


def _weights(weights: dict[str, float]) -> str:
    return " + ".join(f"{weights[score]:g} {SPOKEN[score]}" for score in weights)


def _report_visibility(visibility: dict[str, Any]) -> None:
    hidden, visible = (
        "none" if visibility[name] is None else f"{visibility[name]:.3f}" for name in ("iou_hidden", "iou_visible")
    )
    say(
        "evaluate",
        f"predicted visibility: off by {visibility['mean_absolute_error']:.3f} on average (calling everything visible: "
        f"{visibility['hidden_share']:.3f}), IoU {hidden} of what is hidden, {visible} of what is visible "
        f"({visibility['faces']} faces)",
    )


def _report_identification(found: dict[str, Any]) -> None:
    line = f"one face of each of {found['people']} people known, {found['probes']} to name: " + _ranks(
        found["embedding"], "embedding"
    )
    if "reranked" in found:
        line += f"; {_ranks(found['reranked'], 'both')}, at {found['matches_a_probe']} matches a face"
    say("evaluate", line)


def _ranks(shares: dict[str, float], score: str) -> str:
    among_five = f", {shares['rank_5']:.3f} among five" if "rank_5" in shares else ""
    return f"by {score} {shares['rank_1']:.3f} come first{among_five}"


def _gain(gain: dict[str, Any]) -> str:
    line = f"{gain['difference']:+.3f}"
    return line if gain["low"] is None else f"{line} [{gain['low']:+.3f}, {gain['high']:+.3f}]"


def _rate(rate: dict[str, Any]) -> str:
    if not rate["resolvable"]:
        return "unresolved"
    if rate["vr_low"] is None:
        return f"{rate['vr']:.3f}"
    return f"{rate['vr']:.3f} [{rate['vr_low']:.3f}, {rate['vr_high']:.3f}]"


def _rate_line(rate: dict[str, Any], impostor_pairs: int) -> str:
    if not rate["resolvable"]:
        return f"cannot be resolved by {impostor_pairs} impostor pairs"
    line = f"VR {_rate(rate)}"
    if "chosen_threshold" in rate:
        line += (
            f"; at {rate['chosen_threshold']:.3f}, chosen on unseen_val: "
            f"FAR {rate['far_at_chosen']:.4f}, VR {rate['vr_at_chosen']:.3f}"
        )
    return line
