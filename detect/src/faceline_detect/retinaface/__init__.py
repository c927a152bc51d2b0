"""RetinaFace (arXiv 1905.00641): one pass over a picture gives its faces' boxes, scores and five landmarks."""

from faceline_detect.retinaface.grid import SIZES, STRIDES, anchors
from faceline_detect.retinaface.network import BACKBONES, Outputs, RetinaFace, normalised

__all__ = ["BACKBONES", "SIZES", "STRIDES", "Outputs", "RetinaFace", "anchors", "normalised"]
