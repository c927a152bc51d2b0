"""The faces that several detectors found in one picture, made one list."""

from faceline_detect.fusion.combining import combine
from faceline_detect.fusion.suppression import soft_nms
from faceline_detect.fusion.weighted_boxes import fuse

__all__ = ["combine", "fuse", "soft_nms"]
