"""A detector's figures in a line of the console."""

import math

from faceline_detect.annotations.text import counted
from faceline_detect.measuring.counting import HEIGHTS
from faceline_detect.measuring.measure import Measured


def line(name: str, measured: Measured, by_height: bool) -> str:
    """`yolo: AP easy (50 px or more) 0.746, medium (30 px) 0.686, hard (10 px) 0.509, 95 % [0.421, 0.597]; ...`

    Args:
        name: of the detector.
        measured: on which figures the line is.
        by_height: whether faces count by their height, and not by WIDER FACE's lists.
    """
    figures = measured.figures

    def shown(figure: str) -> str:
        value = figures[figure]
        return "-" if value is None else f"{value:.3f}"

    heights = {level: f"{height:g} px" for level, height in HEIGHTS.items()}
    heights["easy"] += " or more"
    levels = ", ".join(
        f"{level}{f' ({heights[level]})' if by_height else ''} {shown(f'ap_{level}')}" for level in heights
    )
    at = (
        f"precision {shown('precision')} recall {shown('recall')} F1 {shown('f1')} at {figures['working_confidence']:g}"
    )
    if figures["best_f1_confidence"] is not None:
        rounded = math.floor(1000 * figures["best_f1_confidence"]) / 1000  # down: as a threshold it keeps that score
        at += f", highest F1 {shown('best_f1')} at {rounded:g}"
    return (
        f"{name}: AP {levels}, 95 % [{shown('ap_hard_low')}, {shown('ap_hard_high')}]; {at}; "
        f"landmark error {shown('nme')} ({counted(figures['pictures'], 'scene')})"
    )
