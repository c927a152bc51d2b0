"""What detectors are worth on labelled pictures: figures with intervals, curves, and pictures of the worst mistakes."""

from faceline_detect.measuring.counting import asked_for, by_height, faces_that_count
from faceline_detect.measuring.curves import draw_pr_curves, pr_rows
from faceline_detect.measuring.line import line
from faceline_detect.measuring.measure import Measured, gains, measure
from faceline_detect.measuring.report import write_report
from faceline_detect.measuring.worst import draw_worst

__all__ = [
    "Measured",
    "asked_for",
    "by_height",
    "draw_pr_curves",
    "draw_worst",
    "faces_that_count",
    "gains",
    "line",
    "measure",
    "pr_rows",
    "write_report",
]
